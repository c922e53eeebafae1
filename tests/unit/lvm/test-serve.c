/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-lvm's loop: who goes first, what shares a hold of the lease, what is
 * said when there is none. LVM and sanlock are a record of what they were asked
 * for; the loop runs in a thread, on requests that were all sent before.
 */
#include "../../../src/lvm/input.h"
#include "../../../src/lvm/message.h"
#include "../../../src/lvm/queue.h"
#include "../../../src/lvm/serve.h"

#include <dray/base/util.h>
#include <dray/ports/lease.h>
#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

enum {
    MIB = 1024 * 1024,
    ANSWERS_MAX = 16,
};

/* What the world did, one word each: "acquire", "release", or the command. */
#define VGS                                                                    \
    "vgs --reportformat json --units b --nosuffix -o "                         \
    "vg_name,vg_uuid,vg_size,vg_free,vg_extent_size,vg_mda_size,vg_mda_free,"  \
    "vg_seqno,vg_missing_pv_count,vg_tags vg"

/* "one" has 12 MiB, the VG 4 left. */
#define REPORT                                                                 \
    "{\"report\":[{\"lv\":[{\"lv_name\":\"one\",\"lv_uuid\":\"u\","            \
    "\"lv_size\":\"12582912\",\"lv_attr\":\"-wi-a-----\",\"lv_tags\":\"\"},"   \
    "{\"lv_name\":\"full\",\"lv_uuid\":\"u\",\"lv_size\":\"12582912\","        \
    "\"lv_attr\":\"-wi-a-----\",\"lv_tags\":\"\"}],"                           \
    "\"vg\":[{\"vg_name\":\"vg\",\"vg_uuid\":\"V\",\"vg_size\":\"9\","         \
    "\"vg_free\":\"4194304\",\"vg_extent_size\":\"4194304\","                  \
    "\"vg_mda_size\":\"5\",\"vg_mda_free\":\"4\",\"vg_seqno\":\"12\","         \
    "\"vg_missing_pv_count\":\"0\",\"vg_tags\":\"\"}]}]}"

struct world {
    char record[4096];
    int busy;           /* acquires that fail before one succeeds */
    int lease_rc;       /* the acquire's error, 0: none */
    const char *broken; /* commands with this in them fail */
    const char *report; /* what lvs and vgs say */
    int release_rc;     /* the release's error */
    int fd;             /* the client's end */
};

static struct world world;

static void note(const char *what)
{
    size_t used = strlen(world.record);
    (void)snprintf(world.record + used, sizeof(world.record) - used, "%s%s",
                   used ? "; " : "", what);
}

static int run(void *ctx, const char *command, char **ret_out, struct err *err)
{
    (void)ctx;
    note(command);
    if (world.broken && strstr(command, world.broken))
        return err_set_code(err, ERR_STORAGE, "LVM: it is broken");
    if (str_starts_with(command, "lvs") || str_starts_with(command, "vgs"))
        *ret_out = strdup(world.report ? world.report : "{\"report\":[]}");
    return 0;
}

static int acquire(void *ctx, int64_t deadline_ms, struct err *err)
{
    (void)ctx;
    assert_true(deadline_ms > time_now_ms());
    note("acquire");
    if (world.lease_rc < 0)
        return err_set_code(err, ERR_ACQUIRE_LOCK, "sanlock is not running");
    return world.busy-- > 0 ? LEASE_BUSY : 0;
}

static int release(void *ctx, struct err *err)
{
    (void)ctx;
    note("release");
    return world.release_rc < 0
               ? err_set(err, world.release_rc, "it stays with us")
               : 0;
}

static const struct serve_backend backend = {
    .extent_bytes = 4 * MIB,
    .run = run,
    .acquire = acquire,
    .release = release,
};

static struct lvm_answer answers[ANSWERS_MAX];
static size_t n_answers;

static uint64_t last_id;

static bool held; /* what is sent is the holder's */

static void send_request(enum lvm_verb verb, const char *lv, uint64_t bytes,
                         int64_t deadline_ms)
{
    static const char *const tag[] = { "t" };
    const struct input out = { .fd = world.fd };
    const struct lvm_request request = {
        .id = ++last_id,
        .verb = verb,
        .deadline_ms = deadline_ms,
        .size_bytes = bytes,
        .held = held,
        .what = verb == VERB_REPORT ? LVM_VG : 0,
        .lvs = {.names = &lv,  .n = lv ? 1 : 0      },
        .add = { .names = tag, .n = verb == VERB_TAG},
    };
    _cleanup_free_ char *text = request_text(&request);
    assert_int_equal(input_write_line(&out, text), 0);
}

static int64_t soon(void)
{
    return time_now_ms() + 60000;
}

static int server_fd = -1;
static pthread_t server;
static int server_rc;
static struct err server_err;

static void open_world(void)
{
    int pair[2];
    world = (struct world){ .busy = 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                     0);
    world.fd = pair[0];
    server_fd = pair[1];
}

static void *run_server(void *arg)
{
    (void)arg;
    server_err = (struct err)ERR_INIT;
    server_rc = serve(server_fd, "vg", &backend, &server_err);
    (void)close(server_fd); /* a socket */
    return NULL;
}

static void start_server(void)
{
    n_answers = 0;
    assert_int_equal(pthread_create(&server, NULL, run_server, NULL), 0);
}

/* Until there are @n answers in all. */
static void read_answers(size_t n)
{
    struct input input;
    char *line = NULL;
    size_t size = 0;
    int rc = 0;
    input_init(&input, world.fd);
    while (rc == 0 && n_answers < n) {
        rc = input_fill(&input, 5000);
        while (input_line(&input, &line, &size))
            assert_int_equal(
                lvm_answer_parse(line, size, &answers[n_answers++], NULL), 0);
    }
    input_deinit(&input);
}

static void end_server(size_t n)
{
    (void)shutdown(world.fd, SHUT_WR);
    assert_int_equal(pthread_join(server, NULL), 0);
    (void)close(world.fd); /* a socket */
    assert_int_equal(n_answers, n);
}

/* Starts the loop on what was sent, waits for that many answers, ends it. */
static void serve_all(size_t n)
{
    start_server();
    read_answers(n);
    end_server(n);
}

static void free_answers(void)
{
    for (size_t i = 0; i < n_answers; i++)
        answer_deinit(&answers[i]);
}

static const struct lvm_answer *answer_of(uint64_t id)
{
    for (size_t i = 0; i < n_answers; i++) {
        if (answers[i].id == id)
            return &answers[i];
    }
    fail_msg("no answer %d", (int)id);
    return NULL;
}

static void extensions_go_first_and_share_one_hold(void **state)
{
    (void)state;
    open_world();
    send_request(VERB_REPORT, NULL, 0, soon());
    send_request(VERB_REMOVE, "old", 0, soon());
    send_request(VERB_TAG, "one", 0, soon());
    send_request(VERB_EXTEND, "one", 8 * MIB, soon());
    send_request(VERB_REFRESH, "two", 0, soon());
    send_request(VERB_EXTEND, "two", 9 * MIB, soon());
    serve_all(6);
    assert_string_equal(
        world.record,
        "acquire; lvextend --noudevsync --size 8388608b vg/one; "
        "lvextend --noudevsync --size 9437184b vg/two; "
        "lvchange --noudevsync --refresh vg/two; "
        "lvchange --addtag t vg/one; lvremove --force --yes vg/old; " VGS
        "; release");
    for (size_t i = 0; i < n_answers; i++)
        assert_int_equal(answers[i].err.rc, 0);
    free_answers();
}

static void one_extension_answers_all_it_covers(void **state)
{
    (void)state;
    open_world();
    uint64_t first = last_id + 1;
    send_request(VERB_EXTEND, "one", 8 * MIB, soon());
    send_request(VERB_EXTEND, "one", 12 * MIB - 1, soon());
    send_request(VERB_EXTEND, "one", 4 * MIB, soon());
    serve_all(3);
    assert_string_equal(world.record,
                        "acquire; lvextend --noudevsync --size 12582911b "
                        "vg/one; release");
    for (uint64_t id = first; id < first + 3; id++)
        assert_int_equal(answer_of(id)->size_bytes, 12 * MIB);
    free_answers();
}

static void requests_that_need_no_lease_go_on_while_it_is_busy(void **state)
{
    (void)state;
    open_world();
    world.busy = 2;
    send_request(VERB_EXTEND, "one", 8 * MIB, soon());
    send_request(VERB_REFRESH, "two", 0, soon());
    serve_all(2);
    assert_string_equal(world.record,
                        "acquire; lvchange --noudevsync --refresh vg/two; "
                        "acquire; acquire; "
                        "lvextend --noudevsync --size 8388608b vg/one; "
                        "release");
    free_answers();
}

static void without_a_lease_nothing_is_changed(void **state)
{
    (void)state;
    open_world();
    world.lease_rc = -1;
    uint64_t first = last_id + 1;
    send_request(VERB_EXTEND, "one", 8 * MIB, soon());
    send_request(VERB_TAG, "one", 0, soon());
    send_request(VERB_REFRESH, "one", 0, soon());
    serve_all(3);
    assert_int_equal(answer_of(first)->err.code, ERR_ACQUIRE_LOCK);
    assert_string_equal(answer_of(first + 1)->err.message,
                        "VG vg: sanlock is not running");
    assert_int_equal(answer_of(first + 2)->err.rc, 0);
    assert_string_equal(world.record,
                        "acquire; lvchange --noudevsync --refresh vg/one");
    free_answers();
}

static void a_late_request_is_not_begun(void **state)
{
    (void)state;
    open_world();
    uint64_t first = last_id + 1;
    send_request(VERB_REMOVE, "one", 0, time_now_ms() - 1);
    send_request(VERB_REFRESH, "one", 0, soon());
    serve_all(2);
    assert_int_equal(answer_of(first)->err.code, ERR_TIMEOUT);
    assert_string_equal(world.record, "lvchange --noudevsync --refresh vg/one");
    free_answers();
}

static void a_busy_lease_ends_with_the_deadline(void **state)
{
    (void)state;
    open_world();
    world.busy = 1000000;
    send_request(VERB_EXTEND, "one", 8 * MIB, time_now_ms() + 50);
    serve_all(1);
    assert_int_equal(answers[0].err.code, ERR_TIMEOUT);
    assert_non_null(strstr(answers[0].err.message, "lease"));
    assert_null(strstr(world.record, "lvextend"));
    free_answers();
}

static void a_failure_that_is_none_is_a_success(void **state)
{
    (void)state;
    open_world();
    world.broken = "lvextend";
    world.report = REPORT;
    uint64_t first = last_id + 1;
    send_request(VERB_EXTEND, "one", 8 * MIB, soon());
    send_request(VERB_EXTEND, "full", 64 * MIB, soon());
    send_request(VERB_EXTEND, "gone", 8 * MIB, soon());
    serve_all(3);
    assert_int_equal(answer_of(first)->err.rc, 0); /* it has 12 MiB */
    assert_int_equal(answer_of(first)->size_bytes, 12 * MIB);
    assert_non_null(
        strstr(world.record, "lvchange --noudevsync --refresh vg/one"));
    assert_int_equal(answer_of(first + 1)->err.code, ERR_NO_SPACE);
    assert_non_null(strstr(answer_of(first + 1)->err.message, "4194304"));
    assert_int_equal(answer_of(first + 2)->err.code, ERR_STORAGE);
    assert_string_equal(answer_of(first + 2)->err.message, "LVM: it is broken");
    free_answers();
}

static void a_report_is_lvms_own(void **state)
{
    (void)state;
    open_world();
    world.report = REPORT;
    send_request(VERB_REPORT, NULL, 0, soon());
    serve_all(1);
    assert_int_equal(json_object_array_length(answers[0].reports), 1);
    free_answers();
    open_world();
    world.report = "lvs: something in plain words";
    send_request(VERB_REPORT, NULL, 0, soon());
    serve_all(1);
    assert_int_equal(answers[0].err.rc, -EBADMSG);
    free_answers();
}

static void a_lease_that_cannot_be_given_back_ends_the_process(void **state)
{
    (void)state;
    open_world();
    world.release_rc = -EIO;
    send_request(VERB_EXTEND, "one", 8 * MIB, soon());
    serve_all(1);
    assert_int_equal(server_rc, -EIO);
    assert_string_equal(server_err.message, "it stays with us");
    free_answers();
}

static void a_line_that_is_no_request_ends_the_process(void **state)
{
    (void)state;
    open_world();
    const struct input out = { .fd = world.fd };
    assert_int_equal(input_write_line(&out, "{\"id\":1}"), 0);
    serve_all(0);
    assert_int_equal(server_rc, -EBADMSG);
}

static void extensions_of_one_lv_become_one(void **state)
{
    (void)state;
    struct queue queue = { .n = 0 };
    struct lvm_request request;
    static const struct {
        enum lvm_verb verb;
        const char *lv;
        uint64_t bytes;
    } sent[] = {
        {VERB_REPORT,  NULL,  0},
        { VERB_TAG,    "one", 0},
        { VERB_EXTEND, "one", 8},
        { VERB_EXTEND, "two", 5},
        { VERB_EXTEND, "one", 9},
        { VERB_EXTEND, "one", 7},
    };
    for (size_t i = 0; i < ARRAY_SIZE(sent); i++) {
        const char **name = calloc(1, sizeof(*name));
        *name = sent[i].lv;
        request = (struct lvm_request){
            .id = i,
            .verb = sent[i].verb,
            .size_bytes = sent[i].bytes,
            .deadline_ms = 100 + (int64_t)i,
            .lvs = {.names = name, .n = 1},
        };
        assert_int_equal(queue_push(&queue, &request), 0);
        assert_null(request.lvs.names);
    }
    assert_true(queue_take(&queue, QUEUE_ALL, &request));
    assert_int_equal(request.id, 4); /* the largest of the first one's LV */
    request_deinit(&request);
    assert_true(queue_take_covered(&queue, "one", 9, &request));
    assert_int_equal(request.id, 2);
    request_deinit(&request);
    assert_false(queue_take_covered(&queue, "one", 6, &request));
    assert_true(queue_take_covered(&queue, "one", 9, &request));
    assert_int_equal(request.id, 5);
    request_deinit(&request);
    assert_false(queue_take_covered(&queue, "one", 9, &request));
    assert_true(
        queue_take(&queue, QUEUE_NONE, &request)); /* without the lease */
    assert_int_equal(request.id, 0);
    request_deinit(&request);
    assert_false(queue_take(&queue, QUEUE_NONE, &request));
    assert_false(queue_take_late(&queue, 100, &request));
    assert_true(queue_take_late(&queue, 101, &request));
    assert_int_equal(request.id, 1);
    request_deinit(&request);
    assert_int_equal(queue.n, 1);
    queue_deinit(&queue);
}

/* What the others want meanwhile comes after it, but for extensions and what
 * needs no lease. */
static void a_hold_keeps_the_lease_between_requests(void **state)
{
    (void)state;
    open_world();
    start_server();
    send_request(VERB_HOLD, NULL, 0, soon());
    read_answers(1);
    send_request(VERB_REMOVE, "other", 0, soon());
    send_request(VERB_EXTEND, "two", 9 * MIB, soon());
    read_answers(2);
    send_request(VERB_REFRESH, "two", 0, soon());
    read_answers(3);
    held = true;
    send_request(VERB_TAG, "one", 0, soon());
    read_answers(4);
    send_request(VERB_REMOVE, "one", 0, soon());
    read_answers(5);
    held = false;
    send_request(VERB_LET_GO, NULL, 0, 0);
    read_answers(6);
    end_server(6);
    assert_string_equal(
        world.record,
        "acquire; lvextend --noudevsync --size 9437184b vg/two; "
        "lvchange --noudevsync --refresh vg/two; lvchange --addtag t vg/one; "
        "lvremove --force --yes vg/one; lvremove --force --yes vg/other; "
        "release");
    free_answers();
}

static void a_hold_ends_with_its_client(void **state)
{
    (void)state;
    open_world();
    send_request(VERB_HOLD, NULL, 0, soon());
    serve_all(1);
    assert_string_equal(world.record, "acquire; release");
    assert_int_equal(server_rc, 0);
    free_answers();
}

static void the_holder_goes_before_all_but_extensions(void **state)
{
    (void)state;
    open_world();
    send_request(VERB_REFRESH, "other", 0, soon());
    held = true;
    send_request(VERB_REPORT, NULL, 0, soon());
    held = false;
    send_request(VERB_EXTEND, "two", 9 * MIB, soon());
    serve_all(3);
    assert_string_equal(world.record,
                        "acquire; lvextend --noudevsync --size 9437184b "
                        "vg/two; " VGS
                        "; lvchange --noudevsync --refresh vg/other; release");
    free_answers();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extensions_go_first_and_share_one_hold),
        cmocka_unit_test(one_extension_answers_all_it_covers),
        cmocka_unit_test(requests_that_need_no_lease_go_on_while_it_is_busy),
        cmocka_unit_test(without_a_lease_nothing_is_changed),
        cmocka_unit_test(a_late_request_is_not_begun),
        cmocka_unit_test(a_busy_lease_ends_with_the_deadline),
        cmocka_unit_test(a_failure_that_is_none_is_a_success),
        cmocka_unit_test(a_report_is_lvms_own),
        cmocka_unit_test(a_lease_that_cannot_be_given_back_ends_the_process),
        cmocka_unit_test(a_line_that_is_no_request_ends_the_process),
        cmocka_unit_test(a_hold_keeps_the_lease_between_requests),
        cmocka_unit_test(a_hold_ends_with_its_client),
        cmocka_unit_test(the_holder_goes_before_all_but_extensions),
        cmocka_unit_test(extensions_of_one_lv_become_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
