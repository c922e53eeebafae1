/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The verb table itself, rpc.discover, roles, and the time before recovery.
 */
#include "../../../src/api/params.h"
#include "../../../src/rpc/conn.h"
#include "harness.h"

#include <dray/base/util.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
/* last: needs those above */
#include <cmocka.h>

static int setup(void **state)
{
    *state = harness_new();
    return 0;
}

static int teardown(void **state)
{
    harness_free(*state);
    return 0;
}

static void every_verb_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < verb_table_n; i++) {
        const struct verb *verb = &verb_table[i];
        assert_ptr_equal(verb_find(verb->name), verb); /* no name twice */
        assert_true(verb->role == RPC_ROLE_READ || verb->role == RPC_ROLE_FULL);
        assert_non_null(verb->summary);
        assert_non_null(verb->result_type);
        assert_non_null(verb->result);
        assert_true(verb->before || verb->work || verb->after);
        assert_in_range(verb->n_params, 0, 24);
    }
    assert_null(verb_find("Host"));
    assert_null(verb_find(""));
    assert_null(verb_find("host.ping"));
}

/* Whoever adds a verb must think about who may call it: here, too. */
static void who_may_only_look_may_change_nothing(void **state)
{
    static const char *const looking[] = {
        "Host.ping",
        "Host.getCapabilities",
        "Host.getJobs",
        "Host.getStats",
        "StorageDomain.list",
        "StorageDomain.getInfo",
        "StorageDomain.getStats",
        "StorageDomain.getImages",
        "StorageDomain.getVolumes",
        "Image.getVolumes",
        "Volume.getInfo",
        "Volume.getSize",
        "VM.list",
        "Volume.getQemuImageInfo",
        "Volume.measure",
        "Lease.info",
        "Lease.status",
        "Lease.list",
        "VM.getDisks",
        "VM.getDiskWatermarks",
        "VM.refreshDisk",
        "VM.refresh_disk",
        "Disk.plan",
        "VM.planMigrate",
        "Job.list",
        "Job.info",
        "Job.wait",
        "ManagedVolume.volumes_info",
        "Events.subscribe",
        "rpc.discover",
    };
    size_t n = 0;
    (void)state;
    for (size_t i = 0; i < verb_table_n; i++)
        n += verb_table[i].role == RPC_ROLE_READ;
    assert_int_equal(n, ARRAY_SIZE(looking));
    for (size_t i = 0; i < ARRAY_SIZE(looking); i++)
        assert_int_equal(verb_find(looking[i])->role, RPC_ROLE_READ);
}

/* The answer's code to @method over a connection that has this role. */
static int code_as(struct harness *h, enum rpc_role role, const char *method)
{
    int fds[2];
    _cleanup_free_ char *request =
        str_printf("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":"
                   "{\"unknown\":1}}",
                   method);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
        0);
    assert_int_equal(conn_new(h->server, &h->server->acceptor,
                              transport_socket(fds[0], "test"), role),
                     0);
    harness_send(h, fds[1], request);
    struct json_object *answer = harness_next(h, fds[1], 5000);
    assert_non_null(answer);
    int code = json_object_get_int(harness_at(answer, "error.code"));
    json_object_put(answer);
    close(fds[1]);
    return code;
}

/* Who may call goes on to the check of the parameters, who may not does not
 * get there. */
static void each_role_calls_what_it_may(void **state)
{
    struct harness *h = *state;
    api_set_ready(h->api, h->jobs);
    for (size_t i = 0; i < verb_table_n; i++) {
        const struct verb *verb = &verb_table[i];
        assert_int_equal(code_as(h, RPC_ROLE_NONE, verb->name), ERR_ACCESS);
        assert_int_equal(code_as(h, RPC_ROLE_READ, verb->name),
                         verb->role == RPC_ROLE_FULL ? ERR_ACCESS : ERR_PARAMS);
        assert_int_equal(code_as(h, RPC_ROLE_FULL, verb->name), ERR_PARAMS);
    }
}

static void check_spec(const struct param_spec *spec)
{
    struct param_value value = { 0 };
    bool object = spec->type == PARAM_OBJECT || spec->type == PARAM_OBJECTS;

    assert_non_null(spec->name);
    assert_non_null(spec->text);
    assert_true(spec->type != PARAM_WORD || spec->words);
    assert_true((spec->type != PARAM_UINT && spec->type != PARAM_SIZE &&
                 spec->type != PARAM_TEXT && spec->type != PARAM_OBJECTS) ||
                spec->max > spec->min || spec->preset);
    assert_true(spec->optional || !spec->preset);
    assert_int_equal(check_preset(spec, &value), 0);
    assert_true(!value.present || spec->type != PARAM_UINT ||
                (value.number >= spec->min && value.number <= spec->max));
    free(value.text);
    assert_int_equal(object, spec->members != NULL);
    assert_true(!object || !spec->preset);
    assert_in_range(spec->n_members, object ? 1 : 0, 24);
    for (size_t i = 0; i < spec->n_members; i++) {
        const struct param_spec *member = &spec->members[i];
        for (size_t j = 0; j < member->n_members; j++)
            assert_null(member->members[j].members);
        check_spec(member);
    }
}

static void every_parameter_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < verb_table_n; i++)
        for (size_t k = 0; k < verb_table[i].n_params; k++)
            check_spec(&verb_table[i].params[k]);
}

static bool lists(struct json_object *array, const char *name)
{
    for (size_t i = 0; i < json_object_array_length(array); i++)
        if (str_equal(
                json_object_get_string(json_object_array_get_idx(array, i)),
                name))
            return true;
    return false;
}

/* The schema tells @spec's members. */
static void check_members(struct json_object *schema,
                          const struct param_spec *spec)
{
    struct json_object *members = harness_at(schema, "properties");

    assert_string_equal(harness_text(schema, "type"), "object");
    assert_string_equal(harness_text(schema, "additionalProperties"),
                        spec->open ? "true" : "false");
    assert_int_equal(json_object_object_length(members), spec->n_members);
    for (size_t i = 0; i < spec->n_members; i++) {
        const struct param_spec *member = &spec->members[i];
        struct json_object *what = harness_at(members, member->name);
        assert_true(*harness_text(what, "type"));
        assert_string_equal(harness_text(what, "description"), member->text);
        assert_int_equal(lists(harness_at(schema, "required"), member->name),
                         !member->optional);
    }
}

static void discover_tells_the_whole_table(void **state)
{
    struct json_object *answer = harness_call(*state, "rpc.discover", NULL);
    struct json_object *methods = harness_at(answer, "result.methods");

    assert_string_equal(harness_text(answer, "result.info.title"), "drayd");
    assert_string_equal(harness_text(answer, "result.info.version"), "1.2.3");
    assert_int_equal(strncmp(harness_text(answer, "result.openrpc"), "1.", 2),
                     0);
    assert_int_equal(json_object_array_length(methods), verb_table_n);
    for (size_t i = 0; i < verb_table_n; i++) {
        struct json_object *method = json_object_array_get_idx(methods, i);
        const struct verb *verb = &verb_table[i];
        struct json_object *params = harness_at(method, "params");
        assert_string_equal(harness_text(method, "name"), verb->name);
        assert_string_equal(harness_text(method, "x-role"),
                            verb->role == RPC_ROLE_FULL ? "full" : "read");
        assert_int_equal(json_object_array_length(params), verb->n_params);
        for (size_t k = 0; k < verb->n_params; k++) {
            struct json_object *param = json_object_array_get_idx(params, k);
            assert_string_equal(harness_text(param, "name"),
                                verb->params[k].name);
            assert_string_equal(harness_text(param, "required"),
                                verb->params[k].optional ? "false" : "true");
            assert_true(*harness_text(param, "schema.type"));
            assert_string_equal(harness_text(param, "schema.nullable"),
                                verb->params[k].nullable ? "true" : "");
            if (verb->params[k].type == PARAM_OBJECT)
                check_members(harness_at(param, "schema"), &verb->params[k]);
            if (verb->params[k].type == PARAM_OBJECTS)
                check_members(harness_at(param, "schema.items"),
                              &verb->params[k]);
        }
    }
    json_object_put(answer);
}

#define LINE(id, method)                                                       \
    "{\"jsonrpc\":\"2.0\",\"id\":" id ",\"method\":\"" method "\"}\n"

/* What cannot be right is said at once, all else when it can be. */
static void before_recovery_all_but_two_verbs_wait(void **state)
{
    struct harness *h = *state;
    assert_int_equal(harness_code(h, "Host.ping", NULL), 0);
    assert_int_equal(harness_code(h, "rpc.discover", NULL), 0);
    assert_int_equal(harness_code(h, "No.such", NULL), ERR_METHOD);
    assert_int_equal(harness_code(h, "Job.info", NULL), ERR_PARAMS);
    harness_send(h, h->fd, LINE("1", "Job.list") LINE("2", "VM.list"));
    assert_null(harness_next(h, h->fd, 200));
    api_set_ready(h->api, h->jobs);
    for (int i = 0; i < 2; i++) {
        struct json_object *answer = harness_next(h, h->fd, 10000);
        assert_non_null(harness_at(answer, "result"));
        json_object_put(answer);
    }
}

/* Who went meanwhile gets nothing, and is in nobody's way. */
static void a_client_may_go_while_it_waits_for_recovery(void **state)
{
    struct harness *h = *state;
    int fd = harness_connect(h);
    harness_send(h, fd, LINE("1", "Events.subscribe") LINE("2", "Job.list"));
    harness_run_for(h, 50);
    close(fd);
    harness_run_for(h, 50);
    api_set_ready(h->api, h->jobs);
    const struct job job = world_job(&h->world);
    api_job_changed(h->api, &job, true);
    harness_run_for(h, 50);
    assert_int_equal(harness_code(h, "Job.list", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_is_complete),
        cmocka_unit_test(who_may_only_look_may_change_nothing),
        cmocka_unit_test(every_parameter_is_complete),
        cmocka_unit_test(discover_tells_the_whole_table),
        cmocka_unit_test(before_recovery_all_but_two_verbs_wait),
        cmocka_unit_test(a_client_may_go_while_it_waits_for_recovery),
        cmocka_unit_test(each_role_calls_what_it_may),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
