/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The guest's one program: writes checksummed records to its disks all the
 * time, flushes, and only then acknowledges them on the serial console. What
 * was acknowledged must be readable for ever, wherever the disk moves.
 *
 * Kernel command line (all optional):
 *   dray.run=N        number of this run, in every record (default 1)
 *   dray.disks=a,b    disks to write (default vda)
 *   dray.start=MiB    the region that is written: where it starts
 *   dray.size=MiB     and how long it is (default 32; 0: to the disk's end)
 *   dray.rate=N       records per second and disk (default 200; 0: no limit)
 *   dray.batch=N      records per flush and acknowledgement (default 8)
 *   dray.latency=MS   no records: measures single writes instead, and reports
 *                     them every so many ms (default 0: records)
 *
 * Record SEQ (1, 2, ...) of a region of N blocks goes to block SEQ * 7919 mod
 * N, so a reader who knows the last acknowledged SEQ knows which record each
 * block must hold at least (see ../records.py). One process per disk: a disk
 * that stands still does not hold up the others.
 *
 * Latency: one block at a time, direct, not flushed, dray.rate of them a second
 * and in the same order of blocks. A write that comes late is not made up for.
 * The region then holds no records.
 *
 * On the console, one line each:
 *   READY vda blocks=N bytes=N        writing starts
 *   ACK vda SEQ                       all records up to SEQ are on the disk
 *   STAT vda ms=N n=N max_us=N        slowest of N batches in the last second
 *   LAT vda ms=N n=N sum_us=N max_us=N    N single writes and what they took
 *   VERIFY vda seq=SEQ ok=N bad=N     answer to "v": all blocks read back
 *   ERROR vda SEQ what                a request failed; it is repeated
 *   DONE vda SEQ                      answer to "q", before power off
 *   BYE                               all disks are done
 * The power button does what "q" does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/input.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCK = 4096,
    STRIDE = 7919,
    DISKS_MAX = 8,
    BUTTONS_MAX = 8,
};

struct record {
    char magic[8]; /* "DRAYREC1" */
    uint64_t run;
    uint64_t seq;
    uint64_t block;
    uint32_t crc; /* of the whole block with this field zero */
    uint32_t unused;
    uint64_t filler[(BLOCK - 40) / 8];
};

struct disk {
    char name[16];
    int fd;
    int command_fd; /* the parent's letters */
    uint64_t run;
    off_t start; /* bytes */
    uint64_t blocks;
    uint64_t seq; /* last record written */
    long batch;
    long rate;
    long latency_ms; /* 0: records */
};

static uint32_t crc_table[256];

static void crc_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
}

/* CRC-32 as zlib computes it. */
static uint32_t crc32(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t c = 0xffffffffu;

    while (len--)
        c = crc_table[(c ^ *p++) & 0xff] ^ (c >> 8);
    return c ^ 0xffffffffu;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* One write() per line, so that lines of several disks do not mix. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char line[256];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line, sizeof(line) - 1, format, args);
    va_end(args);
    line[len++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)len) < 0)
        abort();
}

static long option(const char *cmdline, const char *key, long fallback)
{
    const char *found = strstr(cmdline, key);

    return found ? strtol(found + strlen(key), NULL, 10) : fallback;
}

static void fill(struct record *r, const struct disk *disk, uint64_t seq)
{
    uint64_t x = seq * 0x9e3779b97f4a7c15u ^ disk->run;

    memcpy(r->magic, "DRAYREC1", sizeof(r->magic));
    r->run = disk->run;
    r->seq = seq;
    r->block = seq * STRIDE % disk->blocks;
    r->unused = 0;
    for (size_t i = 0; i < sizeof(r->filler) / 8; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        r->filler[i] = x;
    }
    r->crc = 0;
    r->crc = crc32(r, BLOCK);
}

static int is_record(struct record *r, const struct disk *disk, uint64_t block)
{
    uint32_t crc = r->crc;

    if (memcmp(r->magic, "DRAYREC1", sizeof(r->magic)) != 0)
        return 0;
    r->crc = 0;
    return crc32(r, BLOCK) == crc && r->run == disk->run && r->block == block;
}

/* To where @seq belongs, until it works. */
static void write_block(const struct disk *disk, const struct record *r,
                        uint64_t seq)
{
    off_t at = disk->start + (off_t)(seq * STRIDE % disk->blocks) * BLOCK;

    while (pwrite(disk->fd, r, BLOCK, at) != BLOCK) {
        say("ERROR %s %llu write: %s", disk->name, (unsigned long long)seq,
            strerror(errno));
        usleep(100000);
    }
}

static void write_record(const struct disk *disk, struct record *r,
                         uint64_t seq)
{
    fill(r, disk, seq);
    write_block(disk, r, seq);
}

/* Flushed, or none of the batch counts: a failed flush may have dropped any of
 * it, so the whole batch is written again. */
static void write_batch(struct disk *disk, struct record *r)
{
    for (;;) {
        for (long i = 1; i <= disk->batch; i++)
            write_record(disk, r, disk->seq + (uint64_t)i);
        if (fdatasync(disk->fd) == 0)
            break;
        say("ERROR %s %llu flush: %s", disk->name,
            (unsigned long long)disk->seq, strerror(errno));
        usleep(100000);
    }
    disk->seq += (uint64_t)disk->batch;
    say("ACK %s %llu", disk->name, (unsigned long long)disk->seq);
}

/* Every block must hold the last record that was written to it. The last
 * @blocks records went to different blocks: 7919 is prime. */
static void verify(const struct disk *disk, struct record *r)
{
    uint64_t count = disk->seq < disk->blocks ? disk->seq : disk->blocks;
    unsigned long long ok = 0, bad = 0;

    for (uint64_t seq = disk->seq - count + 1; seq <= disk->seq; seq++) {
        uint64_t block = seq * STRIDE % disk->blocks;

        if (pread(disk->fd, r, BLOCK, disk->start + (off_t)block * BLOCK) ==
                BLOCK &&
            is_record(r, disk, block) && r->seq == seq)
            ok++;
        else
            bad++;
    }
    say("VERIFY %s seq=%llu ok=%llu bad=%llu", disk->name,
        (unsigned long long)disk->seq, ok, bad);
}

static int wait_command(int fd, int64_t until_us)
{
    int64_t left_us = until_us - now_us();
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char c;

    if (poll(&p, 1, left_us > 0 ? (int)(left_us / 1000) : 0) <= 0)
        return 0;
    return read(fd, &c, 1) == 1 ? c : 'q';
}

static void write_disk(struct disk *disk)
{
    struct record *r = aligned_alloc(BLOCK, BLOCK);
    int64_t window = now_us(), max_us = 0, due = window;
    int n = 0, command = 0;

    while (command != 'q') {
        int64_t begin = now_us(), end;

        write_batch(disk, r);
        end = now_us();
        if (end - begin > max_us)
            max_us = end - begin;
        n++;
        if (end - window >= 1000000) {
            say("STAT %s ms=%lld n=%d max_us=%lld", disk->name,
                (long long)(end / 1000), n, (long long)max_us);
            window = end;
            max_us = n = 0;
        }
        due += disk->rate ? disk->batch * 1000000 / disk->rate : 0;
        if (due < end - 1000000)
            due = end; /* it stood still: no need to catch up */
        command = wait_command(disk->command_fd, due);
        if (command == 'v')
            verify(disk, r);
    }
    say("DONE %s %llu", disk->name, (unsigned long long)disk->seq);
}

static void sleep_until(int64_t until_us)
{
    struct timespec t = {
        .tv_sec = until_us / 1000000,
        .tv_nsec = until_us % 1000000 * 1000,
    };

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        continue;
}

static void time_writes(struct disk *disk)
{
    struct record *r = aligned_alloc(BLOCK, BLOCK);
    int64_t window = now_us(), due = window, sum_us = 0, max_us = 0;
    int n = 0;

    fill(r, disk, 1);
    while (wait_command(disk->command_fd, 0) != 'q') {
        int64_t begin = now_us(), end;

        write_block(disk, r, ++disk->seq);
        end = now_us();
        sum_us += end - begin;
        max_us = end - begin > max_us ? end - begin : max_us;
        n++;
        if (end - window >= disk->latency_ms * 1000) {
            say("LAT %s ms=%lld n=%d sum_us=%lld max_us=%lld", disk->name,
                (long long)(end / 1000), n, (long long)sum_us,
                (long long)max_us);
            window = end;
            sum_us = max_us = n = 0;
        }
        due += disk->rate ? 1000000 / disk->rate : 0;
        if (due < now_us())
            due = now_us();
        sleep_until(due);
    }
    say("DONE %s %llu", disk->name, (unsigned long long)disk->seq);
}

static int open_disk(const char *name)
{
    char path[32];

    snprintf(path, sizeof(path), "/dev/%s", name);
    for (int i = 0; i < 100; i++) {
        int fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);

        if (fd >= 0)
            return fd;
        usleep(20000);
    }
    say("ERROR %s 0 open: %s", name, strerror(errno));
    return -1;
}

static void run_disk(const char *name, const char *cmdline, int command_fd)
{
    uint64_t bytes = 0, size = (uint64_t)option(cmdline, "dray.size=", 32)
                               << 20;
    struct disk disk = {
        .fd = open_disk(name),
        .command_fd = command_fd,
        .run = (uint64_t)option(cmdline, "dray.run=", 1),
        .start = (off_t)option(cmdline, "dray.start=", 0) << 20,
        .batch = option(cmdline, "dray.batch=", 8),
        .rate = option(cmdline, "dray.rate=", 200),
        .latency_ms = option(cmdline, "dray.latency=", 0),
    };

    snprintf(disk.name, sizeof(disk.name), "%s", name);
    if (disk.fd < 0 || ioctl(disk.fd, BLKGETSIZE64, &bytes) < 0 ||
        (uint64_t)disk.start >= bytes)
        return;
    if (size == 0 || size > bytes - (uint64_t)disk.start)
        size = bytes - (uint64_t)disk.start;
    disk.blocks = size / BLOCK;
    say("READY %s blocks=%llu bytes=%llu", name,
        (unsigned long long)disk.blocks, (unsigned long long)bytes);
    if (disk.latency_ms)
        time_writes(&disk);
    else
        write_disk(&disk);
}

/* Starts a process for each name in @names; their command sockets. */
static int start_disks(char *names, const char *cmdline, int fds[])
{
    int count = 0;

    for (char *name = strtok(names, ","); name && count < DISKS_MAX;
         name = strtok(NULL, ",")) {
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
            abort();
        if (fork() == 0) {
            run_disk(name, cmdline, pair[1]);
            _exit(0);
        }
        close(pair[1]);
        fds[count++] = pair[0];
    }
    return count;
}

static int open_buttons(struct pollfd polls[])
{
    int count = 0;

    for (int i = 0; i < BUTTONS_MAX; i++) {
        char path[32];
        int fd;

        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
            polls[count++] = (struct pollfd){ .fd = fd, .events = POLLIN };
    }
    return count;
}

/* The next letter from the console, or 'q' for the power button. */
static int next_command(struct pollfd polls[], int count)
{
    struct input_event event;
    char c;

    if (poll(polls, (nfds_t)count, -1) < 0)
        return 0;
    if (polls[0].revents && read(polls[0].fd, &c, 1) == 1)
        return c;
    for (int i = 1; i < count; i++) {
        if (polls[i].revents &&
            read(polls[i].fd, &event, sizeof(event)) == sizeof(event) &&
            event.type == EV_KEY && event.code == KEY_POWER)
            return 'q';
    }
    return 0;
}

static void serve(const int fds[], int count)
{
    struct pollfd polls[1 + BUTTONS_MAX] = {
        {.fd = STDIN_FILENO, .events = POLLIN}
    };
    int poll_count = 1 + open_buttons(polls + 1);
    int command = 0;

    while (command != 'q') {
        command = next_command(polls, poll_count);
        if (command != 'q' && command != 'v')
            continue;
        for (int i = 0; i < count; i++)
            (void)send(fds[i], &(char){ (char)command }, 1, MSG_NOSIGNAL);
    }
    while (wait(NULL) > 0)
        continue;
}

/* Letters arrive as they are typed and do not show up among our lines. */
static void quiet_console(void)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &t) == 0) {
        t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &t);
    }
}

int main(void)
{
    char cmdline[2048] = "", names[64] = "vda";
    int fds[DISKS_MAX], fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    const char *wanted;

    if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
        abort();
    wanted = strstr(cmdline, "dray.disks=");
    if (wanted)
        sscanf(wanted, "dray.disks=%63[a-z,]", names);
    crc_init();
    quiet_console();
    serve(fds, start_disks(names, cmdline, fds));
    say("BYE");
    sync();
    (void)reboot(RB_POWER_OFF);
    pause();
}
