/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Joining, leaving and the list of known domains; damaged and foreign domains,
 * which must be refused by name and left as they are.
 */
#include "fixture.h"
#include <dray/format.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int join(struct fixture *f, const char *sd, const char *path)
{
    char ret_sd[UUID_SIZE] = "";
    const struct domain_place place = { .path = path };
    return f->port.ops->domain_join(f->port.ctx, sd, &place, ret_sd, FRESH(f));
}

static int leave(struct fixture *f, const char *sd)
{
    return f->port.ops->domain_leave(f->port.ctx, sd, FRESH(f));
}

static enum domain_status status_of(struct fixture *f, char *ret_problem)
{
    struct domain_info *infos = NULL;
    size_t n = 0;
    assert_int_equal(f->port.ops->domain_list(f->port.ctx, &infos, &n, NULL),
                     0);
    assert_int_equal(n, 1);
    enum domain_status status = infos[0].status;
    if (ret_problem)
        (void)str_copy(ret_problem, sizeof(infos[0].problem), infos[0].problem);
    free(infos);
    return status;
}

static void joins_and_leaves(void **state)
{
    struct fixture *f = *state;
    fixture_join(f);
    assert_int_equal(status_of(f, NULL), DOMAIN_JOINED);
    assert_int_equal(fake_leases_joined(f->leases), 1);
    assert_int_equal(join(f, SD, NULL), 0);
    assert_int_equal(join(f, SD, f->path), 0);
    assert_int_equal(fake_leases_held(f->leases), 0);
    assert_int_equal(leave(f, SD), 0);
    assert_int_equal(leave(f, SD), 0);
    assert_int_equal(status_of(f, NULL), DOMAIN_LEFT);
    assert_int_equal(fake_leases_joined(f->leases), 0);
}

static void unknown_domains_are_named(void **state)
{
    struct fixture *f = *state;
    assert_error(f, join(f, SD2, NULL), ERR_NO_DOMAIN, SD2);
    assert_error(f, join(f, SD2, f->path), ERR_NO_DOMAIN, SD2);
    assert_error(f, join(f, NULL, f->state), ERR_NO_DOMAIN, f->state);
    assert_error(f, join(f, NULL, "/nowhere/at/all"), ERR_NO_DOMAIN,
                 "No such file");
    assert_error(f, join(f, NULL, "storage"), ERR_VALUE, "absolute");
    assert_error(f, leave(f, SD2), ERR_NO_DOMAIN, SD2);
}

static void finds_by_name_or_id(void **state)
{
    struct fixture *f = *state;
    char sd[UUID_SIZE] = "";
    assert_int_equal(f->port.ops->domain_find(f->port.ctx, "fast", sd, NULL),
                     0);
    assert_string_equal(sd, SD);
    assert_int_equal(f->port.ops->domain_find(f->port.ctx, SD, sd, NULL), 0);
    assert_error(f, f->port.ops->domain_find(f->port.ctx, "slow", sd, FRESH(f)),
                 ERR_NO_DOMAIN, "slow");
    assert_error(f, f->port.ops->domain_find(f->port.ctx, SD2, sd, FRESH(f)),
                 ERR_NO_DOMAIN, SD2);
}

static void a_name_of_two_is_refused(void **state)
{
    struct fixture *f = *state;
    struct domain_create spec = fixture_spec(f);
    char sd[UUID_SIZE] = "";
    fixture_path(f, spec.path, "other");
    assert_int_equal(mkdir(spec.path, 0755), 0);
    (void)str_copy(spec.sd, sizeof(spec.sd), SD2);
    assert_int_equal(f->port.ops->domain_create(f->port.ctx, &spec, NULL), 0);
    assert_error(f, f->port.ops->domain_find(f->port.ctx, "fast", sd, FRESH(f)),
                 ERR_VALUE, "fast");
}

static void tells_what_it_is_and_has(void **state)
{
    struct fixture *f = *state;
    struct domain_info info;
    struct domain_stats stats;
    assert_int_equal(f->port.ops->domain_info(f->port.ctx, SD, &info, FRESH(f)),
                     0);
    assert_string_equal(info.name, "fast");
    assert_string_equal(info.class_name, "Data");
    assert_string_equal(info.role, "Regular");
    assert_string_equal(info.pools, "");
    assert_int_equal(info.type, DOMAIN_TYPE_POSIXFS);
    assert_int_equal(info.version, 5);
    assert_int_equal(info.block_size, 512);
    assert_int_equal(info.alignment, MIB);
    assert_int_equal(info.host_id, 1);
    assert_false(info.read_only);
    assert_int_equal(
        f->port.ops->domain_stats(f->port.ctx, SD, &stats, FRESH(f)), 0);
    assert_true(stats.total_bytes > stats.free_bytes);
}

static void survives_a_restart(void **state)
{
    struct fixture *f = *state;
    char problem[256];
    fixture_restart(f);
    assert_int_equal(status_of(f, problem), DOMAIN_MISSING);
    assert_true(problem[0] != '\0');
    assert_int_equal(join(f, SD, NULL), 0);
    assert_int_equal(status_of(f, problem), DOMAIN_JOINED);
    assert_string_equal(problem, "");
    assert_int_equal(leave(f, SD), 0);
    fixture_restart(f);
    assert_int_equal(status_of(f, NULL), DOMAIN_LEFT);
}

static void a_missing_domain_says_why(void **state)
{
    struct fixture *f = *state;
    char moved[PATH_MAX];
    char problem[256];
    fixture_restart(f);
    fixture_path(f, moved, "elsewhere");
    assert_int_equal(rename(f->path, moved), 0);
    assert_error(f, join(f, SD, NULL), ERR_NO_DOMAIN, "No such file");
    assert_true(strstr(f->err.next, "mounted") != NULL);
    assert_int_equal(status_of(f, problem), DOMAIN_MISSING);
    assert_non_null(strstr(problem, "No such file"));
    /* It may come back, and elsewhere. */
    assert_int_equal(join(f, SD, moved), 0);
    assert_int_equal(status_of(f, NULL), DOMAIN_JOINED);
}

static void a_joined_domain_does_not_move(void **state)
{
    struct fixture *f = *state;
    char other[PATH_MAX];
    fixture_path(f, other, "elsewhere");
    assert_int_equal(mkdir(other, 0755), 0);
    assert_error(f, join(f, SD, other), ERR_VALUE, f->path);
}

static void a_lockspace_that_is_refused_is_an_error(void **state)
{
    struct fixture *f = *state;
    fake_leases_set_join_fails(f->leases, true);
    assert_error(f, join(f, SD, NULL), ERR_ACQUIRE_HOST_ID, "taken");
    assert_int_equal(status_of(f, NULL), DOMAIN_LEFT);
}

static void a_busy_sdm_is_an_error_that_names_it(void **state)
{
    struct fixture *f = *state;
    fake_leases_set_busy(f->leases, "SDM");
    assert_error(f, join(f, SD, NULL), ERR_ACQUIRE_LOCK, "SDM");
    assert_int_equal(fake_leases_joined(f->leases), 0);
}

/* Replaces text in a file of the domain. */
static void edit(const struct fixture *f, const char *name, const char *from,
                 const char *to)
{
    _cleanup_free_ char *text = fixture_read(f, name);
    char changed[4096];
    char *at = strstr(text, from);
    assert_non_null(at);
    *at = '\0';
    (void)str_format(changed, sizeof(changed), "%s%s%s", text, to,
                     at + strlen(from));
    fixture_write(f, name, changed);
}

/* Sets a key with the checksum that belongs to it. */
static void set_key(const struct fixture *f, const char *key, const char *value)
{
    static const char name[] = "storage/" SD "/dom_md/metadata";
    _cleanup_free_ char *text = fixture_read(f, name);
    _cleanup_free_ char *changed = NULL;
    struct format_domain domain = { 0 };
    size_t size = 0;
    assert_int_equal(format_domain_parse(text, strlen(text), &domain, NULL), 0);
    assert_int_equal(format_domain_set(&domain, key, value, NULL), 0);
    assert_int_equal(format_domain_text(&domain, &changed, &size, NULL), 0);
    fixture_write(f, name, changed);
    format_domain_deinit(&domain);
}

static void foreign_metadata_is_refused_by_key(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *key;
        const char *value;
        const char *good;
        enum err_code code;
        const char *word;
    } cases[] = {
        {"VERSION",     "4",       "5",       ERR_METADATA_VALIDATION, "VERSION"},
        { "SDUUID",     SD2,       SD,        ERR_METADATA_VALIDATION, "SDUUID" },
        { "CLASS",      "Iso",     "Data",    ERR_DOMAIN_CLASS,        "ISO"    },
        { "TYPE",       "LOCALFS", "POSIXFS", ERR_DOMAIN_TYPE,         "LOCALFS"},
        { "TYPE",       "FCP",     "POSIXFS", ERR_DOMAIN_TYPE,         "FCP"    },
        { "BLOCK_SIZE", "4096",    "512",     ERR_METADATA_VALIDATION, ""       },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        set_key(f, cases[i].key, cases[i].value);
        _cleanup_free_ char *before = fixture_list(f);
        assert_error(f, join(f, SD, f->path), cases[i].code, cases[i].word);
        _cleanup_free_ char *after = fixture_list(f);
        assert_string_equal(before, after);
        set_key(f, cases[i].key, cases[i].good);
    }
    assert_int_equal(join(f, SD, f->path), 0);
}

static void a_wrong_checksum_is_refused_by_file(void **state)
{
    struct fixture *f = *state;
    edit(f, "storage/" SD "/dom_md/metadata", "DESCRIPTION=fast",
         "DESCRIPTION=fist");
    assert_error(f, join(f, SD, f->path), ERR_METADATA_VALIDATION,
                 "dom_md/metadata");
    assert_non_null(strstr(f->err.message, "_SHA_CKSUM"));
}

static void damage(const struct fixture *f, const char *name, off_t offset)
{
    char path[PATH_MAX];
    fixture_path(f, path, "storage/" SD "/dom_md/%s", name);
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

static void damaged_leases_are_refused_by_file(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name;
        off_t offset;
    } places[] = {
        {"ids",     0        },
        { "ids",    60       },
        { "leases", MIB      },
        { "leases", MIB + 104},
    };
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        damage(f, places[i].name, places[i].offset);
        assert_error(f, join(f, SD, f->path), ERR_METADATA_VALIDATION,
                     places[i].name);
        damage(f, places[i].name, places[i].offset);
    }
    assert_int_equal(join(f, SD, f->path), 0);
}

/* Its leases are refused until it is rebuilt, and for that the domain has to be
 * joined. */
static void a_damaged_index_of_leases_keeps_nobody_out(void **state)
{
    struct fixture *f = *state;
    damage(f, "xleases", MIB);
    assert_int_equal(join(f, SD, f->path), 0);
}

static void the_leases_of_another_domain_are_refused(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    fixture_path(f, path, "storage/" SD "/dom_md/xleases");
    _cleanup_close_ int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pwrite(fd, SD2, UUID_SIZE - 1, MIB + 10), UUID_SIZE - 1);
    assert_error(f, join(f, SD, f->path), ERR_METADATA_VALIDATION, SD2);
}

static void missing_files_are_named(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = { "dom_md/ids",     "dom_md/leases",
                                         "dom_md/xleases", "dom_md/inbox",
                                         "dom_md/outbox",  "images" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char path[PATH_MAX];
        char away[PATH_MAX];
        fixture_path(f, path, "storage/" SD "/%s", names[i]);
        fixture_path(f, away, "away");
        assert_int_equal(rename(path, away), 0);
        assert_true(join(f, SD, f->path) < 0);
        assert_non_null(strstr(f->err.message, names[i]));
        assert_int_equal(rename(away, path), 0);
    }
    assert_int_equal(join(f, SD, f->path), 0);
}

static void links_and_pipes_are_not_opened(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];
    char away[PATH_MAX];
    fixture_path(f, path, "storage/" SD "/dom_md/metadata");
    fixture_path(f, away, "away");
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink(away, path), 0);
    assert_error(f, join(f, SD, f->path), ERR_VOLUME_ACCESS, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_error(f, join(f, SD, f->path), ERR_VOLUME_ACCESS, "regular");
}

static void a_pools_domain_is_for_looking_only(void **state)
{
    struct fixture *f = *state;
    struct domain_info info;
    set_key(f, "POOL_UUID", SD2);
    fixture_join(f);
    assert_int_equal(f->port.ops->domain_info(f->port.ctx, SD, &info, FRESH(f)),
                     0);
    assert_true(info.read_only);
    assert_string_equal(info.pools, SD2);
    const struct volume_create spec =
        fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    assert_error(f, f->port.ops->volume_create(f->port.ctx, &spec, FRESH(f)),
                 ERR_DOMAIN_ACTION, "pool");
}

/* --- who has volumes open --- */

struct guest {
    pid_t pid;
    int in; /* it ends when this is closed */
};

static void wait_for_guest(int out)
{
    char byte = 0;
    assert_int_equal(read(out, &byte, 1), 1);
    assert_int_equal(close(out), 0);
}

/* A process that is called like a VM's qemu and has the file open. */
static struct guest start_guest(const struct fixture *f, const char *name)
{
    char path[PATH_MAX];
    int in[2];
    int out[2];
    fixture_path(f, path, "%s", name);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(in[0], STDIN_FILENO) == STDIN_FILENO &&
            dup2(out[1], STDOUT_FILENO) == STDOUT_FILENO &&
            open(path, O_RDONLY) >= 0) /* NOLINT: shall be inherited */
            (void)execl("/bin/sh", "sh", "-c", "echo; read _", "-name",
                        "guest=web,,1,debug-threads=on", NULL);
        _exit(1);
    }
    assert_int_equal(close(in[0]), 0);
    assert_int_equal(close(out[1]), 0);
    wait_for_guest(out[0]);
    return (struct guest){ .pid = pid, .in = in[1] };
}

static void end_guest(const struct guest *guest)
{
    assert_int_equal(close(guest->in), 0);
    assert_int_equal(waitpid(guest->pid, NULL, 0), guest->pid);
}

static void who_has_a_volume_open_is_named_and_stays(void **state)
{
    struct fixture *f = *state;
    fixture_make_chain(f);
    const struct guest guest =
        start_guest(f, "storage/" SD "/images/" IMG "/" BASE);
    assert_error(f, leave(f, SD), ERR_RELEASE_HOST_ID, "VM web,1 has ");
    assert_non_null(strstr(f->err.message, BASE));
    assert_non_null(strstr(f->err.next, "virsh shutdown web,1"));
    assert_int_equal(status_of(f, NULL), DOMAIN_JOINED);
    end_guest(&guest);
    assert_int_equal(leave(f, SD), 0);
    assert_int_equal(status_of(f, NULL), DOMAIN_LEFT);
}

/* sanlock has the domain's leases open, and a list is nobody's disk. */
static void other_files_may_be_open(void **state)
{
    struct fixture *f = *state;
    const struct guest guest = start_guest(f, "storage/" SD "/dom_md/ids");
    assert_int_equal(leave(f, SD), 0);
    end_guest(&guest);
}

static void changes_need_a_joined_domain(void **state)
{
    struct fixture *f = *state;
    const struct volume_create spec =
        fixture_volume(IMG, BASE, NULL, VOLUME_RAW);
    assert_error(f, f->port.ops->volume_create(f->port.ctx, &spec, FRESH(f)),
                 ERR_DOMAIN_ACTION, "not joined");
    assert_non_null(strstr(f->err.next, "domain join"));
    assert_int_equal(fake_leases_held(f->leases), 0);
}

static void a_damaged_list_stops_the_start(void **state)
{
    struct fixture *f = *state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"domains\": 1}",
        "{\"domains\": [1]}",
        "{\"domains\": [{\"sd\": \"../x\", \"name\": \"a\", \"path\": \"/\","
        " \"type\": 6, \"joined\": true}]}",
        "{\"domains\": [{\"sd\": \"" SD "\", \"name\": \"a\", \"path\": \"x\","
        " \"type\": 6, \"joined\": true}]}",
        "{\"domains\": [{\"sd\": \"" SD "\", \"name\": \"a\", \"path\": \"/\","
        " \"type\": 6}]}",
    };
    const struct domains_options options = { .state_dir = f->state,
                                             .run_dir = f->run,
                                             .qemu_img = "/bin/false" };
    const struct lease_port leases = fake_leases_port(f->leases);
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        struct domains *domains = NULL;
        fixture_write(f, "state/domains.json", texts[i]);
        assert_error(f, domains_new(&options, &leases, &domains, FRESH(f)),
                     ERR_METADATA_INVALID, "domains.json");
        assert_null(domains);
    }
}

static void *join_and_list(void *arg)
{
    struct fixture *f = arg;
    const struct domain_place known = { .path = NULL };
    for (size_t i = 0; i < 20; i++) {
        char sd[UUID_SIZE];
        struct domain_info *infos = NULL;
        size_t n = 0;
        assert_int_equal(
            f->port.ops->domain_join(f->port.ctx, SD, &known, sd, NULL), 0);
        assert_int_equal(
            f->port.ops->domain_list(f->port.ctx, &infos, &n, NULL), 0);
        assert_int_equal(n, 1);
        free(infos);
    }
    return NULL;
}

static void many_threads_may_ask_at_once(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, join_and_list, f),
                         0);
    for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(status_of(f, NULL), DOMAIN_JOINED);
    assert_int_equal(fake_leases_held(f->leases), 0);
}

#define TEST(name, setup)                                                      \
    cmocka_unit_test_setup_teardown(name, setup, fixture_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(joins_and_leaves, fixture_with_domain),
        TEST(unknown_domains_are_named, fixture_with_domain),
        TEST(finds_by_name_or_id, fixture_with_domain),
        TEST(a_name_of_two_is_refused, fixture_with_domain),
        TEST(tells_what_it_is_and_has, fixture_with_joined),
        TEST(survives_a_restart, fixture_with_joined),
        TEST(a_missing_domain_says_why, fixture_with_joined),
        TEST(a_joined_domain_does_not_move, fixture_with_joined),
        TEST(a_lockspace_that_is_refused_is_an_error, fixture_with_domain),
        TEST(a_busy_sdm_is_an_error_that_names_it, fixture_with_domain),
        TEST(foreign_metadata_is_refused_by_key, fixture_with_domain),
        TEST(a_wrong_checksum_is_refused_by_file, fixture_with_domain),
        TEST(damaged_leases_are_refused_by_file, fixture_with_domain),
        TEST(a_damaged_index_of_leases_keeps_nobody_out, fixture_with_domain),
        TEST(the_leases_of_another_domain_are_refused, fixture_with_domain),
        TEST(missing_files_are_named, fixture_with_domain),
        TEST(links_and_pipes_are_not_opened, fixture_with_domain),
        TEST(a_pools_domain_is_for_looking_only, fixture_with_domain),
        TEST(who_has_a_volume_open_is_named_and_stays, fixture_with_joined),
        TEST(other_files_may_be_open, fixture_with_joined),
        TEST(changes_need_a_joined_domain, fixture_with_domain),
        TEST(a_damaged_list_stops_the_start, fixture_new),
        TEST(many_threads_may_ask_at_once, fixture_with_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
