/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What writer.c does, without an operating system: in a host that is itself
 * emulated, Linux takes half a minute and more to boot, this takes a second.
 * It has the same options on its command line, records and lines on the
 * console; no dray.latency, and no power button.
 *
 * A multiboot program (qemu's -kernel) in 32-bit mode on a "pc" machine: virtio
 * disks as legacy PCI devices in the order of their slots, interrupts by the
 * two PICs, time by the ACPI timer, COM1. Interrupts are let in only while it
 * halts; so nothing here runs beside anything else.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BLOCK = 4096,
    STRIDE = 7919,
    DISKS_MAX = 8,
    BATCH_MAX = 64,
    QUEUE_MAX = 256, /* descriptors */
    SECTOR = 512,

    COM1 = 0x3f8,
    PIC1 = 0x20,
    PIC2 = 0xa0,
    PIT = 0x40,
    PM = 0x600, /* where the BIOS puts the chipset's power management */
    PCI = 0xcf8,
    VECTORS = 48,
    FIRST_IRQ = 32,
    RETRY_US = 100000,
    SECOND_US = 1000000,
};

/* --- the machine --- */

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static void barrier(void)
{
    __asm__ volatile("lock; addl $0, (%%esp)" : : : "memory");
}

/* @n /= @by; the remainder. What libgcc would do, of which there is no 32-bit
 * one on most machines. */
static uint32_t divide(uint64_t *n, uint32_t by)
{
    uint32_t high = (uint32_t)(*n >> 32), low = (uint32_t)*n, rest = high % by;

    high /= by;
    __asm__("divl %2" : "+a"(low), "+d"(rest) : "r"(by));
    *n = (uint64_t)high << 32 | low;
    return rest;
}

void *memcpy(void *to, const void *from, size_t len)
{
    void *begin = to;
    __asm__ volatile("rep movsb"
                     : "+D"(to), "+S"(from), "+c"(len)
                     :
                     : "memory");
    return begin;
}

void *memset(void *to, int value, size_t len)
{
    void *begin = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(value) : "memory");
    return begin;
}

/* --- the console --- */

static void say_char(char c)
{
    while (!(in8(COM1 + 5) & 0x20))
        continue;
    out8(COM1, (uint8_t)c);
}

static void say(const char *text)
{
    while (*text)
        say_char(*text++);
}

static void say_number(const char *before, uint64_t n)
{
    char digits[24];
    int i = sizeof(digits);

    digits[--i] = '\0';
    do
        digits[--i] = (char)('0' + divide(&n, 10));
    while (n);
    say(before);
    say(digits + i);
}

static char heard(void)
{
    return in8(COM1 + 5) & 1 ? (char)in8(COM1) : '\0';
}

/* --- time --- */

/* Of the ACPI timer: 3.579545 MHz, 24 bits; read often enough. */
static uint64_t now_us(void)
{
    static uint64_t ticks;
    static uint32_t last;
    uint32_t now = in32(PM + 8) & 0xffffff;

    ticks += (now - last) & 0xffffff;
    last = now;
    return ticks * 286 >> 10;
}

/* --- records: see writer.c --- */

struct record {
    char magic[8];
    uint64_t run;
    uint64_t seq;
    uint64_t block;
    uint32_t crc;
    uint32_t filler[(BLOCK - 36) / 4];
};

static uint32_t crc_tables[4][256];

static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320U ^ (c >> 1) : c >> 1;
        crc_tables[0][i] = c;
    }
    for (int t = 1; t < 4; t++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = crc_tables[t - 1][i];

            crc_tables[t][i] = crc_tables[0][c & 255] ^ (c >> 8);
        }
}

/* CRC-32 as zlib computes it, four bytes at a time. */
static uint32_t crc_of(const struct record *r)
{
    const uint32_t *p = (const uint32_t *)(const void *)r;
    uint32_t c = 0xffffffffU;

    for (int i = 0; i < BLOCK / 4; i++) {
        c ^= p[i];
        c = crc_tables[3][c & 255] ^ crc_tables[2][c >> 8 & 255] ^
            crc_tables[1][c >> 16 & 255] ^ crc_tables[0][c >> 24];
    }
    return ~c;
}

static const char magic[8] = { 'D', 'R', 'A', 'Y', 'R', 'E', 'C', '1' };

static void fill(struct record *r, uint64_t run, uint32_t seq, uint32_t block)
{
    uint32_t x = seq;

    memcpy(r->magic, magic, sizeof(magic));
    r->run = run;
    r->seq = seq;
    r->block = block;
    for (size_t i = 0; i < sizeof(r->filler) / 4; i++)
        r->filler[i] = x = x * 1664525 + 1013904223;
    r->filler[0] = 0;
    r->crc = 0;
    r->crc = crc_of(r);
}

static bool is_record(struct record *r, uint64_t run, uint32_t seq,
                      uint32_t block)
{
    uint32_t crc = r->crc;

    r->crc = 0;
    return crc_of(r) == crc && r->run == run && r->seq == seq &&
           r->block == block;
}

/* --- virtio, the legacy way --- */

enum {
    FEATURES = 0,
    ACCEPTED = 4,
    QUEUE = 8,
    QUEUE_SIZE = 12,
    QUEUE_SELECT = 14,
    NOTIFY = 16,
    STATUS = 18,
    INTERRUPT = 19,
    CAPACITY = 20,

    CAN_FLUSH = 1 << 9,
    READ = 0,
    WRITE = 1,
    FLUSH = 4,
    NEXT = 1,
    DEVICE_WRITES = 2,
};

struct descriptor {
    uint64_t address;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

struct avail {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[];
};

struct used {
    uint16_t flags;
    volatile uint16_t index;
};

struct request {
    uint32_t type;
    uint32_t unused;
    uint64_t sector;
    uint8_t status;
};

enum phase {
    WAITING,
    WRITING,
    FLUSHING,
    VERIFYING,
    DONE
};

struct disk {
    uint16_t port;
    uint16_t queue_size;
    bool flushes;
    struct avail *avail;
    struct used *used;
    struct request requests[BATCH_MAX];
    uint32_t count; /* of the requests under way */

    char name[4];
    uint64_t run;
    uint64_t start; /* bytes */
    uint32_t blocks;
    uint32_t batch;
    uint32_t rate;
    enum phase phase;
    char command;   /* what is done after the batch */
    uint32_t seq;   /* acknowledged */
    uint32_t check; /* verified so far */
    uint32_t ok, bad;
    uint64_t due, begin, window; /* us */
    uint32_t slowest, batches;
};

static struct disk disks[DISKS_MAX];
static int disk_count;

/* Not in the program: the BIOS would load that as slowly as a floppy. */
struct memory {
    uint8_t rings[DISKS_MAX][3 * BLOCK];
    struct record buffers[DISKS_MAX][BATCH_MAX];
};
static struct memory *const memory = (struct memory *)0x400000;

static struct descriptor *descriptors(struct disk *d)
{
    return (struct descriptor *)(void *)memory->rings[d - disks];
}

static struct record *buffer(struct disk *d, uint32_t i)
{
    return &memory->buffers[d - disks][i];
}

static uint32_t address(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

/* 7919 is prime: any @blocks records in a row go to different blocks. */
static uint32_t block_of(const struct disk *d, uint32_t seq)
{
    uint64_t product = (uint64_t)seq * STRIDE;

    return divide(&product, d->blocks);
}

/* The i-th of several requests that submit() then sends; three descriptors
 * each: what to do, the data, how it went. */
static void prepare(struct disk *d, uint32_t i, uint32_t type, uint32_t block)
{
    struct descriptor *desc = descriptors(d) + (size_t)3 * i;
    struct request *r = &d->requests[i];
    uint16_t first = (uint16_t)(3 * i);
    bool data = type != FLUSH;

    *r = (struct request){ .type = type, .status = 0xff };
    if (data)
        r->sector = (d->start + (uint64_t)block * BLOCK) / SECTOR;
    desc[0] = (struct descriptor){ address(r), 16, NEXT,
                                   (uint16_t)(first + (data ? 1 : 2)) };
    desc[1] = (struct descriptor){ address(buffer(d, i)), BLOCK,
                                   NEXT | (type == READ ? DEVICE_WRITES : 0),
                                   (uint16_t)(first + 2) };
    desc[2] = (struct descriptor){ address(&r->status), 1, DEVICE_WRITES, 0 };
}

static void submit(struct disk *d, uint32_t count, enum phase phase)
{
    d->count = count;
    d->phase = phase;
    for (uint32_t i = 0; i < count; i++)
        d->avail->ring[(uint16_t)(d->avail->index + i) % d->queue_size] =
            (uint16_t)(3 * i);
    barrier();
    d->avail->index = (uint16_t)(d->avail->index + count);
    barrier();
    out16(d->port + NOTIFY, 0);
}

static bool under_way(const struct disk *d)
{
    return d->used->index != d->avail->index;
}

static bool all_well(const struct disk *d)
{
    bool well = true;

    for (uint32_t i = 0; i < d->count; i++)
        well = well && d->requests[i].status == 0;
    return well;
}

/* --- what a disk does --- */

static void say_of(const struct disk *d, const char *word)
{
    say(word);
    say(" ");
    say(d->name);
}

static uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void write_batch(struct disk *d)
{
    for (uint32_t i = 0; i < d->batch; i++) {
        uint32_t seq = d->seq + 1 + i, block = block_of(d, seq);

        fill(buffer(d, i), d->run, seq, block);
        prepare(d, i, WRITE, block);
    }
    submit(d, d->batch, WRITING);
}

static void flush(struct disk *d)
{
    prepare(d, 0, d->flushes ? FLUSH : READ, 0);
    submit(d, 1, FLUSHING);
}

/* How long the batch took; the slowest once a second. */
static void note_time(struct disk *d)
{
    uint64_t now = now_us(), ms = now;
    uint32_t took = (uint32_t)(now - d->begin);

    d->slowest = took > d->slowest ? took : d->slowest;
    d->batches++;
    if (now - d->window < SECOND_US)
        return;
    (void)divide(&ms, 1000);
    say_of(d, "STAT");
    say_number(" ms=", ms);
    say_number(" n=", d->batches);
    say_number(" max_us=", d->slowest);
    say("\n");
    d->window = now;
    d->slowest = d->batches = 0;
}

static void acknowledge(struct disk *d)
{
    uint64_t pause = (uint64_t)d->batch * SECOND_US, now = now_us();

    d->seq += d->batch;
    say_of(d, "ACK");
    say_number(" ", d->seq);
    say("\n");
    note_time(d);
    d->phase = WAITING;
    if (d->rate) {
        (void)divide(&pause, d->rate);
        d->due += pause;
    }
    if (d->due + SECOND_US < now)
        d->due = now; /* it stood still: no need to catch up */
}

/* How many blocks hold a record: each its newest. */
static uint32_t written(const struct disk *d)
{
    return min32(d->seq, d->blocks);
}

static void read_some(struct disk *d)
{
    uint32_t count = min32(written(d) - d->check, d->batch);

    if (count == 0) {
        say_of(d, "VERIFY");
        say_number(" seq=", d->seq);
        say_number(" ok=", d->ok);
        say_number(" bad=", d->bad);
        say("\n");
        d->phase = WAITING;
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        prepare(d, i, READ, block_of(d, d->seq - d->check - i));
    submit(d, count, VERIFYING);
}

static void check_some(struct disk *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t seq = d->seq - d->check - i;
        bool ok = d->requests[i].status == 0 &&
                  is_record(buffer(d, i), d->run, seq, block_of(d, seq));

        d->ok += ok;
        d->bad += !ok;
    }
    d->check += d->count;
    read_some(d);
}

/* A failed flush may have dropped any of the batch: all of it again. */
static void repeat(struct disk *d)
{
    say_of(d, "ERROR");
    say_number(" ", d->seq);
    say(d->phase == WRITING ? " write\n" : " flush\n");
    d->phase = WAITING;
    d->due = now_us() + RETRY_US;
}

static void begin(struct disk *d)
{
    char command = d->command;

    d->command = '\0';
    if (command == 'q') {
        d->phase = DONE;
        say_of(d, "DONE");
        say_number(" ", d->seq);
        say("\n");
    } else if (command == 'v') {
        d->check = d->ok = d->bad = 0;
        read_some(d);
    } else {
        d->begin = now_us();
        write_batch(d);
    }
}

/* Whether there was something to do. */
static bool step(struct disk *d)
{
    if (under_way(d) || d->phase == DONE ||
        (d->phase == WAITING && !d->command && now_us() < d->due))
        return false;
    if (d->phase == WAITING)
        begin(d);
    else if (d->phase == VERIFYING)
        check_some(d);
    else if (!all_well(d))
        repeat(d);
    else if (d->phase == WRITING)
        flush(d);
    else
        acknowledge(d);
    return true;
}

/* --- how it starts --- */

static uint32_t pci_read(uint32_t slot, uint32_t at)
{
    out32(PCI, 0x80000000U | slot << 11 | at);
    return in32(PCI + 4);
}

static void pci_write(uint32_t slot, uint32_t at, uint32_t value)
{
    out32(PCI, 0x80000000U | slot << 11 | at);
    out32(PCI + 4, value);
}

static uint64_t capacity(const struct disk *d)
{
    return ((uint64_t)in32(d->port + CAPACITY + 4) << 32 |
            in32(d->port + CAPACITY)) *
           SECTOR;
}

static bool start_device(struct disk *d, uint32_t slot)
{
    uint8_t *ring = memory->rings[d - disks];
    size_t used;

    memset(ring, 0, sizeof(memory->rings[0]));
    pci_write(slot, 4, pci_read(slot, 4) | 5); /* ports, bus master */
    d->port = (uint16_t)(pci_read(slot, 0x10) & 0xfffc);
    out8(d->port + STATUS, 0);
    out8(d->port + STATUS, 3); /* seen, and we can drive it */
    d->flushes = in32(d->port + FEATURES) & CAN_FLUSH;
    out32(d->port + ACCEPTED, d->flushes ? CAN_FLUSH : 0);
    out16(d->port + QUEUE_SELECT, 0);
    d->queue_size = in16(d->port + QUEUE_SIZE);
    if (d->queue_size > QUEUE_MAX || d->queue_size < 3)
        return false;
    d->avail = (struct avail *)(void *)(ring + d->queue_size * 16U);
    used = (d->queue_size * 18U + 6 + BLOCK - 1) & ~(size_t)(BLOCK - 1);
    d->used = (struct used *)(void *)(ring + used);
    out32(d->port + QUEUE, address(ring) / BLOCK);
    out8(d->port + STATUS, 7);
    return true;
}

static uint32_t option(const char *cmdline, const char *key, uint32_t fallback)
{
    for (; *cmdline; cmdline++) {
        size_t i = 0;
        uint32_t n = 0;

        while (key[i] && cmdline[i] == key[i])
            i++;
        if (key[i])
            continue;
        for (cmdline += i; *cmdline >= '0' && *cmdline <= '9'; cmdline++)
            n = n * 10 + (uint32_t)(*cmdline - '0');
        return n;
    }
    return fallback;
}

static void start_writing(struct disk *d, const char *cmdline)
{
    uint64_t bytes = capacity(d), size;

    d->run = option(cmdline, "dray.run=", 1);
    d->start = (uint64_t)option(cmdline, "dray.start=", 0) << 20;
    size = (uint64_t)option(cmdline, "dray.size=", 32) << 20;
    if (size == 0 || size > bytes - d->start)
        size = bytes - d->start;
    d->blocks = (uint32_t)(size / BLOCK);
    d->rate = option(cmdline, "dray.rate=", 200);
    d->batch = min32(option(cmdline, "dray.batch=", 8),
                     min32(BATCH_MAX, d->queue_size / 3U));
    d->due = d->window = now_us();
    say_of(d, "READY");
    say_number(" blocks=", d->blocks);
    say_number(" bytes=", bytes);
    say("\n");
}

static void find_disks(const char *cmdline)
{
    for (uint32_t slot = 0; slot < 32 && disk_count < DISKS_MAX; slot++) {
        struct disk *d = &disks[disk_count];

        if (pci_read(slot, 0) != 0x10011af4)
            continue;
        memcpy(d->name, "vda", 4);
        d->name[2] = (char)('a' + disk_count);
        if (!start_device(d, slot)) {
            say_of(d, "ERROR");
            say(" 0 queue\n");
            continue;
        }
        disk_count++;
        start_writing(d, cmdline);
    }
}

/* Any interrupt does no more than wake us. */
void on_interrupt(void)
{
    for (int i = 0; i < disk_count; i++)
        (void)in8(disks[i].port + INTERRUPT);
    out8(PIC2, 0x20);
    out8(PIC1, 0x20);
}

__asm__(".text\n"
        "interrupt:\n"
        "    pusha\n"
        "    call on_interrupt\n"
        "    popa\n"
        "    iret\n");
extern const char interrupt[];

struct gate {
    uint16_t low;
    uint16_t segment;
    uint16_t flags;
    uint16_t high;
};

static void start_interrupts(void)
{
    static struct gate gates[VECTORS];
    static const uint8_t words[2][4] = {
        {0x11,  FIRST_IRQ,     4, 1},
        { 0x11, FIRST_IRQ + 8, 2, 1},
    };
    struct {
        uint16_t size;
        uint32_t base;
    } __attribute__((packed)) table = { sizeof(gates) - 1, address(gates) };

    for (int i = FIRST_IRQ; i < VECTORS; i++)
        gates[i] = (struct gate){ (uint16_t)address(interrupt), 8, 0x8e00,
                                  (uint16_t)(address(interrupt) >> 16) };
    __asm__ volatile("lidt %0" : : "m"(table));
    for (int i = 0; i < 4; i++) {
        out8((uint16_t)(PIC1 + (i > 0)), words[0][i]);
        out8((uint16_t)(PIC2 + (i > 0)), words[1][i]);
    }
    out8(PIC1 + 1, 0); /* none is masked */
    out8(PIC2 + 1, 0);
    out8(PIT + 3, 0x34); /* 100 a second: nobody waits longer than that */
    out8(PIT, 11932 & 255);
    out8(PIT, 11932 >> 8);
    out8(COM1 + 1, 0);
}

static bool all_done(void)
{
    for (int i = 0; i < disk_count; i++)
        if (disks[i].phase != DONE)
            return false;
    return true;
}

static void run(void)
{
    while (!all_done()) {
        char c = heard();
        bool busy = c;

        for (int i = 0; i < disk_count; i++) {
            if (c == 'q' || (c == 'v' && disks[i].command != 'q'))
                disks[i].command = c;
            busy |= step(&disks[i]);
        }
        if (!busy)
            __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
}

struct multiboot {
    uint32_t flags;
    uint32_t memory[2];
    uint32_t boot_device;
    uint32_t cmdline;
};

__attribute__((noreturn)) void start(const struct multiboot *boot)
{
    crc_init();
    start_interrupts();
    find_disks((const char *)(uintptr_t)boot->cmdline);
    run();
    say("BYE\n");
    for (;;)
        out16(PM + 4, 0x2000); /* off */
}

__asm__(".section .multiboot, \"a\"\n"
        ".align 4\n"
        ".long 0x1badb002, 0, -0x1badb002\n"
        ".text\n"
        ".globl _start\n"
        "_start:\n"
        "    cld\n"
        "    lgdt segments_place\n"
        "    ljmp $8, $1f\n"
        "1:  mov $16, %eax\n"
        "    mov %eax, %ds\n"
        "    mov %eax, %es\n"
        "    mov %eax, %ss\n"
        "    mov $stack_end, %esp\n"
        "    push %ebx\n"
        "    push $0\n" /* no way back */
        "    jmp start\n"
        ".section .rodata\n"
        ".align 8\n" /* all memory as code, all memory as data */
        "segments: .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff\n"
        "segments_place: .word . - segments - 1\n"
        "    .long segments\n"
        ".bss\n"
        ".align 16\n"
        "    .space 8192\n"
        "stack_end:\n"
        ".text\n");
