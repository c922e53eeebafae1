/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls the storage port, for the lab's tests, which tell it what to do on
 * stdin, one line each, one after the other:
 *
 *   domain SD DEVICE...                      join SD [DEVICE]   leave SD
 *   create IMG VOL raw|cow CAPACITY [parent=VOL] [of=IMG] [first=BYTES] [clone]
 *   delete IMG VOL      remove IMG           info IMG VOL    chain IMG
 *   prepare IMG VOL     teardown IMG         locate PATH     measure IMG VOL
 *   grow|shrink|extend IMG VOL BYTES         sync IMG VOL...
 *   reset|sever|lease|commit|legal|illegal IMG VOL           probe IMG VOL MS
 *   sh COMMAND...
 *
 * Each answers with one line: its verb, milliseconds, "ok ..." or
 * "error CODE TEXT".
 *
 * usage: block-drive DRAY_LVM DIR HOST_ID SD
 */
#include <dray/base/util.h>
#include <dray/domain.h>
#include <dray/exec.h>
#include <dray/lease.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum {
    WORDS_MAX = 64,
    DEADLINE_MS = 60 * 1000,
};

struct drive {
    struct storage_port port;
    const char *sd;
    const char *words[WORDS_MAX];
    size_t n;
    struct err err;
    char text[64 * 1024];
};

#define CALL(op, ...)                                                          \
    drive->port.ops->op(drive->port.ctx, __VA_ARGS__, &drive->err)

#define PUT(...)                                                               \
    ((void)snprintf(drive->text + strlen(drive->text),                         \
                    sizeof(drive->text) - strlen(drive->text), __VA_ARGS__))

static const char *word(const struct drive *drive, size_t i)
{
    return i < drive->n ? drive->words[i] : "";
}

static uint64_t number(const struct drive *drive, size_t i)
{
    uint64_t value = 0;
    (void)str_to_u64(word(drive, i), &value);
    return value;
}

/* The value of KEY=VALUE, NULL. */
static const char *option(const struct drive *drive, const char *key)
{
    for (size_t i = 1; i < drive->n; i++) {
        if (str_starts_with(drive->words[i], key))
            return drive->words[i] + strlen(key);
    }
    return NULL;
}

static struct volume_id id_of(const struct drive *drive)
{
    struct volume_id id = { 0 };
    (void)str_copy(id.sd, sizeof(id.sd), drive->sd);
    (void)str_copy(id.img, sizeof(id.img), word(drive, 1));
    (void)str_copy(id.vol, sizeof(id.vol), word(drive, 2));
    return id;
}

static void do_domain(struct drive *drive)
{
    struct domain_create spec = {
        .name = "lab",
        .type = DOMAIN_TYPE_FCP,
        .devices = &drive->words[2],
        .n_devices = drive->n - 2,
        .class_name = "Data",
        .block_size = 512,
        .max_hosts = 250,
        .force = true,
    };
    (void)str_copy(spec.sd, sizeof(spec.sd), word(drive, 1));
    (void)CALL(domain_create, &spec);
}

static void do_join(struct drive *drive)
{
    char sd[UUID_SIZE] = "";
    const struct domain_place place = {
        .path = drive->n > 2 ? drive->words[2] : NULL,
    };
    (void)CALL(domain_join, word(drive, 1), &place, sd);
}

static void do_create(struct drive *drive)
{
    const char *parent = option(drive, "parent=");
    const char *of = option(drive, "of=");
    const char *first = option(drive, "first=");
    bool cow = str_equal(word(drive, 3), "cow");
    struct volume_create spec = {
        .id = id_of(drive),
        .parent_img = UUID_BLANK,
        .parent = UUID_BLANK,
        .format = cow ? VOLUME_COW : VOLUME_RAW,
        .allocation = cow ? VOLUME_SPARSE : VOLUME_PREALLOCATED,
        .capacity = number(drive, 4),
        .disk_type = "DATA",
        .clone = option(drive, "clone") != NULL,
    };
    if (first)
        (void)str_to_u64(first, &spec.initial_bytes);
    if (parent) {
        (void)str_copy(spec.parent, sizeof(spec.parent), parent);
        (void)str_copy(spec.parent_img, sizeof(spec.parent_img),
                       of ? of : spec.id.img);
    }
    (void)CALL(volume_create, &spec);
}

static void do_info(struct drive *drive)
{
    const struct volume_id id = id_of(drive);
    struct volume_info info;
    if (CALL(volume_info, &id, &info) == 0)
        PUT("%" PRIu64 " %" PRIu64 " %s %s %s %s", info.capacity,
            info.apparent_bytes, volume_role_name(info.role),
            volume_legality_name(info.legality), info.parent, info.path);
}

static void do_chain(struct drive *drive)
{
    struct storage_chain chain = { 0 };
    if (CALL(image_chain, drive->sd, word(drive, 1), NULL, &chain) == 0) {
        for (size_t i = 0; i < chain.n; i++)
            PUT("%s ", chain.volumes[i].id.vol);
    }
    storage_chain_deinit(&chain);
}

static void do_sync(struct drive *drive)
{
    char vols[WORDS_MAX][UUID_SIZE];
    struct uuid_list list = { .uuids = vols };
    for (size_t i = 2; i < drive->n; i++)
        (void)str_copy(vols[list.n++], UUID_SIZE, drive->words[i]);
    (void)CALL(image_sync_chain, drive->sd, word(drive, 1), &list);
}

static void do_prepare(struct drive *drive)
{
    const struct volume_id id = id_of(drive);
    char path[PATH_MAX] = "";
    (void)CALL(image_prepare, &id, true, path);
    PUT("%s", path);
}

static void do_locate(struct drive *drive)
{
    struct volume_id id = { 0 };
    if (CALL(locate, word(drive, 1), &id) == 0)
        PUT("%s %s %s", id.sd, id.img, id.vol);
}

static void do_size(struct drive *drive)
{
    const struct volume_id id = id_of(drive);
    uint64_t bytes = number(drive, 3);
    if (word(drive, 0)[0] == 'g')
        (void)CALL(volume_grow, &id, bytes, time_now_ms() + DEADLINE_MS,
                   &bytes);
    else if (word(drive, 0)[0] == 's')
        (void)CALL(volume_shrink, &id, bytes, &bytes);
    else
        (void)CALL(volume_extend, &id, bytes);
    PUT("%" PRIu64, bytes);
}

static void do_measure(struct drive *drive)
{
    const struct volume_id id = id_of(drive);
    struct volume_measure measure = { 0 };
    if (CALL(volume_measure, &id, VOLUME_COW, NULL, &measure) == 0)
        PUT("%" PRIu64, measure.required);
}

static void do_lease(struct drive *drive)
{
    const struct volume_id id = id_of(drive);
    struct lease_state lease = { 0 };
    if (CALL(volume_lease, &id, &lease) == 0)
        PUT("%d %s %" PRIu64, lease.present, lease.path, lease.offset);
}

static void do_volume(struct drive *drive)
{
    const struct volume_id id = id_of(drive);
    const char *verb = word(drive, 0);
    if (str_equal(verb, "delete"))
        (void)CALL(volume_delete, &id);
    else if (str_equal(verb, "reset"))
        (void)CALL(volume_reset, &id);
    else if (str_equal(verb, "sever"))
        (void)CALL(volume_sever, &id);
    else if (str_equal(verb, "commit"))
        (void)CALL(volume_commit, &id);
    else if (str_equal(verb, "probe"))
        (void)CALL(volume_probe, &id, (int)number(drive, 3));
    else if (str_equal(verb, "legal"))
        (void)CALL(volume_set_legality, &id, VOLUME_LEGAL);
    else if (str_equal(verb, "illegal"))
        (void)CALL(volume_set_legality, &id, VOLUME_ILLEGAL);
    else
        (void)err_set(&drive->err, -EINVAL, "no such verb");
}

static void do_image(struct drive *drive)
{
    if (word(drive, 0)[0] == 't')
        (void)CALL(image_teardown, drive->sd, word(drive, 1));
    else
        (void)CALL(image_delete, drive->sd, word(drive, 1));
}

static void do_sh(struct drive *drive)
{
    const char *argv[] = { "/bin/sh", "-c", NULL, NULL };
    struct exec_result result = { 0 };
    for (size_t i = 1; i < drive->n; i++)
        PUT("%s ", drive->words[i]);
    argv[2] = drive->text;
    (void)exec_check(argv, &(struct exec_options){ 0 }, &result, &drive->err);
    exec_result_deinit(&result);
}

static void do_leave(struct drive *drive)
{
    (void)CALL(domain_leave, word(drive, 1));
}

static void run_line(struct drive *drive)
{
    static const struct {
        const char *verb;
        void (*run)(struct drive *);
    } verbs[] = {
        {"domain",    do_domain },
        { "join",     do_join   },
        { "leave",    do_leave  },
        { "sh",       do_sh     },
        { "create",   do_create },
        { "info",     do_info   },
        { "chain",    do_chain  },
        { "sync",     do_sync   },
        { "prepare",  do_prepare},
        { "locate",   do_locate },
        { "grow",     do_size   },
        { "shrink",   do_size   },
        { "extend",   do_size   },
        { "measure",  do_measure},
        { "lease",    do_lease  },
        { "teardown", do_image  },
        { "remove",   do_image  },
    };
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (str_equal(word(drive, 0), verbs[i].verb)) {
            verbs[i].run(drive);
            return;
        }
    }
    do_volume(drive);
}

static void run_lines(struct drive *drive)
{
    char line[8192];
    while (fgets(line, sizeof(line), stdin)) {
        char *rest = NULL;
        drive->n = 0;
        drive->text[0] = '\0';
        err_clear(&drive->err);
        for (char *w = strtok_r(line, " \n", &rest); w && drive->n < WORDS_MAX;
             w = strtok_r(NULL, " \n", &rest))
            drive->words[drive->n++] = w;
        if (drive->n == 0)
            continue;
        int64_t started_ms = time_now_ms();
        run_line(drive);
        int64_t ms = time_now_ms() - started_ms;
        if (drive->err.rc < 0)
            printf("%s %" PRId64 " error %d %s\n", drive->words[0], ms,
                   (int)drive->err.code, drive->err.message);
        else
            printf("%s %" PRId64 " ok %s\n", drive->words[0], ms, drive->text);
        (void)fflush(stdout);
    }
}

static int open_room(char **argv, struct leases **ret_leases,
                     struct domains **ret_domains, struct err *err)
{
    uint64_t host_id = 0;
    const struct leases_options lease_options = {
        .sanlock = "/usr/sbin/sanlock",
        .io_timeout_s = 2,
        .host_name = argv[3],
    };
    (void)str_to_u64(argv[3], &host_id);
    const struct domains_options options = {
        .state_dir = argv[2],
        .run_dir = argv[2],
        .qemu_img = "/usr/bin/qemu-img",
        .dray_lvm = argv[1],
        .host_id = (unsigned)host_id,
    };
    int rc = leases_new(&lease_options, ret_leases, err);
    if (rc < 0)
        return rc;
    const struct lease_port leases = leases_port(*ret_leases);
    return domains_new(&options, &leases, ret_domains, err);
}

int main(int argc, char **argv)
{
    static struct drive drive;
    struct leases *leases = NULL;
    struct domains *domains = NULL;
    if (argc != 5)
        return 2;
    drive.sd = argv[4];
    drive.err = (struct err)ERR_INIT;
    if (open_room(argv, &leases, &domains, &drive.err) < 0) {
        (void)fprintf(stderr, "%s\n", drive.err.message);
        return 1;
    }
    drive.port = domains_port(domains);
    run_lines(&drive);
    domains_free(domains);
    leases_free(leases);
    return 0;
}
