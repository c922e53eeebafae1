/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What each verb hands to the ports, and what it makes of their answers.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define SD  WORLD_SRC
#define IMG WORLD_IMG
#define VOL WORLD_VOL
#define PLACE                                                                  \
    "\"storagedomainID\":\"" SD "\",\"imageID\":\"" IMG                        \
    "\",\"volumeID\":\"" VOL "\""

/* What the ports were given, and what they are to answer. */
struct recorder {
    unsigned calls;
    struct domain_create created;
    char devices[256]; /* one after the other */
    struct volume_create volume;
    struct volume_id id;
    char sd[UUID_SIZE], path[PATH_MAX], img[UUID_SIZE];
    char mount_options[DOMAIN_OPTIONS_SIZE];
    bool flag;
    enum err_code fails; /* 0: no */
    bool no_lease;
    bool used;             /* by a VM */
    const char *used_path; /* ... this one only */
    bool block;
    uint64_t mda_bytes, mda_free_bytes;
};

static struct recorder seen;

static int answer(struct err *err)
{
    seen.calls++;
    return seen.fails ? err_set_code(err, seen.fails, "%s", "it failed") : 0;
}

static void take_devices(const char *const *devices, size_t n)
{
    seen.devices[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(seen.devices);
        (void)str_format(seen.devices + used, sizeof(seen.devices) - used,
                         "%s ", devices[i]);
    }
}

static int fake_create(void *ctx, const struct domain_create *spec,
                       struct err *err)
{
    (void)ctx;
    seen.created = *spec;
    take_devices(spec->devices, spec->n_devices);
    return answer(err);
}

static int fake_grow(void *ctx, const char *sd, const char *const *devices,
                     size_t n_devices, bool force, struct err *err)
{
    (void)ctx;
    (void)str_copy(seen.sd, UUID_SIZE, sd);
    take_devices(devices, n_devices);
    seen.flag = force;
    return answer(err);
}

static int fake_audit(void *ctx, const char *sd, bool repair,
                      struct domain_audit *ret_audit, struct err *err)
{
    (void)ctx;
    (void)str_copy(seen.sd, UUID_SIZE, sd);
    seen.flag = repair;
    int r = answer(err);
    if (r < 0)
        return r;
    ret_audit->findings = calloc(2, sizeof(*ret_audit->findings));
    ret_audit->n = 2;
    ret_audit->findings[0] = (struct audit_finding){
        .kind = AUDIT_LEFTOVER,
        .vol = VOL,
        .text = "its making broke off",
        .repair = "the LV is removed",
        .repaired = repair,
    };
    ret_audit->findings[1] = (struct audit_finding){
        .kind = AUDIT_ORPHAN,
        .text = "LV swap",
    };
    return 0;
}

static int fake_join(void *ctx, const char *sd,
                     const struct domain_place *place, char ret_sd[UUID_SIZE],
                     struct err *err)
{
    (void)ctx;
    (void)str_copy(seen.sd, UUID_SIZE, sd ? sd : "");
    (void)str_copy(seen.path, PATH_MAX, place->path ? place->path : "");
    (void)str_copy(seen.mount_options, sizeof(seen.mount_options),
                   place->mount_options ? place->mount_options : "(none)");
    (void)str_copy(ret_sd, UUID_SIZE, SD);
    return answer(err);
}

static int fake_leave(void *ctx, const char *sd, struct err *err)
{
    (void)ctx;
    (void)str_copy(seen.sd, UUID_SIZE, sd);
    return answer(err);
}

static void fill_domain(struct domain_info *info)
{
    *info = (struct domain_info){ .type = DOMAIN_TYPE_POSIXFS,
                                  .name = "fast",
                                  .path = "/mnt/fast",
                                  .class_name = "Data",
                                  .role = "Regular",
                                  .pools = "a,b",
                                  .version = 5,
                                  .block_size = 512,
                                  .alignment = 1048576,
                                  .status = DOMAIN_JOINED,
                                  .host_id = 7 };
    (void)str_copy(info->sd, UUID_SIZE, SD);
}

static int fake_list(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                     struct err *err)
{
    (void)ctx;
    struct domain_info *infos = calloc(2, sizeof(*infos));
    fill_domain(&infos[0]);
    fill_domain(&infos[1]);
    infos[1].status = DOMAIN_MISSING;
    (void)str_copy(infos[1].problem, sizeof(infos[1].problem), "gone \xff");
    *ret_infos = infos;
    *ret_n = 2;
    return answer(err);
}

static void fill_block(struct domain_info *info)
{
    info->type = DOMAIN_TYPE_ISCSI;
    info->block = true;
    info->n_devices = 2;
    info->extent_bytes = 134217728;
    (void)str_copy(info->devices[0], DOMAIN_DEVICE_SIZE, "/dev/mapper/wwid");
    (void)str_copy(info->devices[1], DOMAIN_DEVICE_SIZE, "/dev/sdb");
    (void)str_copy(info->vg_uuid, sizeof(info->vg_uuid), "V-1");
}

static int fake_info(void *ctx, const char *sd, struct domain_info *ret_info,
                     struct err *err)
{
    (void)ctx;
    (void)sd;
    fill_domain(ret_info);
    if (seen.block)
        fill_block(ret_info);
    return answer(err);
}

static int fake_stats(void *ctx, const char *sd, struct domain_stats *ret,
                      struct err *err)
{
    (void)ctx;
    (void)sd;
    *ret = (struct domain_stats){ .total_bytes = 1ULL << 60,
                                  .free_bytes = 12345678901234,
                                  .mda_bytes = seen.mda_bytes,
                                  .mda_free_bytes = seen.mda_free_bytes };
    return answer(err);
}

static int give_list(struct uuid_list *ret_list, struct err *err)
{
    int r = answer(err);
    if (r < 0)
        return r;
    ret_list->uuids = calloc(1, sizeof(*ret_list->uuids));
    ret_list->n = 1;
    (void)str_copy(ret_list->uuids[0], UUID_SIZE, VOL);
    return 0;
}

static int fake_images(void *ctx, const char *sd, struct uuid_list *ret_list,
                       struct err *err)
{
    (void)ctx;
    (void)sd;
    return give_list(ret_list, err);
}

static int fake_volumes(void *ctx, const char *sd, const char *img,
                        struct uuid_list *ret_list, struct err *err)
{
    (void)ctx;
    (void)sd;
    (void)str_copy(seen.img, UUID_SIZE, img ? img : "all");
    return give_list(ret_list, err);
}

static int fake_prepare(void *ctx, const struct volume_id *id,
                        bool allow_illegal, char ret_path[PATH_MAX],
                        struct err *err)
{
    (void)ctx;
    seen.id = *id;
    seen.flag = allow_illegal;
    (void)str_copy(ret_path, PATH_MAX, "/mnt/fast/x");
    return answer(err);
}

static int fake_teardown(void *ctx, const char *sd, const char *img,
                         struct err *err)
{
    (void)ctx;
    (void)str_copy(seen.sd, UUID_SIZE, sd);
    (void)str_copy(seen.img, UUID_SIZE, img);
    return answer(err);
}

static int fake_volume_create(void *ctx, const struct volume_create *spec,
                              struct err *err)
{
    (void)ctx;
    seen.volume = *spec;
    return answer(err);
}

static int fake_volume_delete(void *ctx, const struct volume_id *id,
                              struct err *err)
{
    (void)ctx;
    seen.id = *id;
    return answer(err);
}

static int fake_volume_info(void *ctx, const struct volume_id *id,
                            struct volume_info *ret, struct err *err)
{
    (void)ctx;
    *ret = (struct volume_info){ .id = *id,
                                 .parent = UUID_BLANK,
                                 .format = VOLUME_COW,
                                 .allocation = VOLUME_SPARSE,
                                 .role = VOLUME_LEAF,
                                 .legality = VOLUME_LEGAL,
                                 .capacity = 1ULL << 40,
                                 .ctime_s = 1700000000,
                                 .generation = 3,
                                 .sequence = 2,
                                 .disk_type = "DATA",
                                 .description = "a \"disk\"",
                                 .apparent_bytes = 65536,
                                 .true_bytes = 4096,
                                 .path = "/mnt/fast/x" };
    return answer(err);
}

static int fake_volume_lease(void *ctx, const struct volume_id *id,
                             struct lease_state *ret, struct err *err)
{
    (void)ctx;
    (void)id;
    if (seen.no_lease)
        return err_set(err, -EIO, "unreadable");
    *ret = (struct lease_state){ .present = true,
                                 .owner_host = 3,
                                 .version = 9,
                                 .path = "/mnt/fast/x.lease" };
    return 0;
}

static const struct storage_ops storage_ops = {
    .domain_create = fake_create,
    .domain_join = fake_join,
    .domain_leave = fake_leave,
    .domain_list = fake_list,
    .domain_info = fake_info,
    .domain_stats = fake_stats,
    .domain_grow = fake_grow,
    .domain_audit = fake_audit,
    .domain_images = fake_images,
    .domain_volumes = fake_volumes,
    .image_prepare = fake_prepare,
    .image_teardown = fake_teardown,
    .image_delete = fake_teardown,
    .volume_create = fake_volume_create,
    .volume_delete = fake_volume_delete,
    .volume_info = fake_volume_info,
    .volume_lease = fake_volume_lease,
};

static int fake_vms(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                    struct err *err)
{
    (void)ctx;
    *ret_vms = calloc(1, sizeof(**ret_vms));
    (*ret_vms)->state = VM_RUNNING;
    (void)str_copy((*ret_vms)->uuid, UUID_SIZE, WORLD_VM);
    (void)str_copy((*ret_vms)->name, VM_NAME_SIZE, "web1");
    *ret_n = 1;
    return answer(err);
}

static int fake_path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                          struct err *err)
{
    (void)ctx;
    (void)err;
    (void)str_copy(seen.path, PATH_MAX, path);
    bool used = seen.used || str_equal(seen.used_path, path);
    (void)str_copy(ret_vm->name, VM_NAME_SIZE, used ? "web1" : "");
    (void)str_copy(ret_vm->uuid, UUID_SIZE, used ? WORLD_VM : "");
    return 0;
}

static int fake_connected(void *ctx)
{
    (void)ctx;
    return 0;
}

static const struct hypervisor_ops hypervisor_ops = {
    .vm_list = fake_vms,
    .path_user = fake_path_user,
    .connected = fake_connected,
};

static int setup(void **state)
{
    struct harness *h = harness_new();
    h->world.ports.storage.ops = &storage_ops;
    h->world.ports.hypervisor.ops = &hypervisor_ops;
    api_set_ready(h->api, h->jobs);
    seen = (struct recorder){ 0 };
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    harness_free(*state);
    return 0;
}

static void expect(struct harness *h, const char *method, const char *params,
                   const char *result)
{
    _cleanup_free_ char *text = harness_result(h, method, params);
    assert_string_equal(text, result);
}

static void host_verbs(void **state)
{
    struct harness *h = *state;
    expect(h, "Host.ping", NULL, "true");
    expect(h, "Host.ping", "[]", "true");
    expect(h, "Host.ping", "{}", "true");
    expect(h, "Host.getJobs", NULL, "{}");
    struct json_object *answer = harness_call(h, "Host.getCapabilities", NULL);
    assert_string_equal(harness_text(answer, "result.version"), "1.2.3");
    assert_string_equal(harness_text(answer, "result.hostId"), "7");
    assert_string_equal(harness_text(answer, "result.hostName"), "host7");
    assert_string_equal(
        json_object_to_json_string_ext(
            harness_at(answer, "result.supportedStorageFormats"),
            JSON_C_TO_STRING_PLAIN),
        "[\"V5\"]");
    json_object_put(answer);
}

static void domain_create_fills_in_what_vdsm_would(void **state)
{
    expect(*state, "StorageDomain.create",
           "{\"storagedomainID\":\"" SD "\",\"domainType\":6,"
           "\"typeArgs\":\"/mnt/fast\",\"name\":\"fast-1\"}",
           "true");
    assert_string_equal(seen.created.sd, SD);
    assert_string_equal(seen.created.name, "fast-1");
    assert_string_equal(seen.created.path, "/mnt/fast");
    assert_string_equal(seen.created.class_name, "Data");
    assert_int_equal(seen.created.type, DOMAIN_TYPE_POSIXFS);
    assert_int_equal(seen.created.block_size, 512);
    assert_int_equal(seen.created.max_hosts, 2000);
}

#define ON_DEVICES                                                             \
    "\"storagedomainID\":\"" SD                                                \
    "\",\"name\":\"lun\",\"devices\":[\"/dev/sda\","                           \
    "\"/dev/sdb\"]"

static void domain_create_takes_devices(void **state)
{
    expect(*state, "StorageDomain.create",
           "{" ON_DEVICES ",\"domainType\":3,\"force\":true}", "true");
    assert_string_equal(seen.devices, "/dev/sda /dev/sdb ");
    assert_string_equal(seen.created.path, "");
    assert_int_equal(seen.created.type, DOMAIN_TYPE_ISCSI);
    assert_int_equal(seen.created.block_size, 0); /* theirs */
    assert_true(seen.created.force);
    expect(*state, "StorageDomain.create",
           "{" ON_DEVICES ",\"domainType\":2,\"blockSize\":4096}", "true");
    assert_int_equal(seen.created.block_size, 4096);
    assert_false(seen.created.force);
}

static void domain_create_takes_a_directory_or_devices(void **state)
{
    static const struct {
        const char *params;
        enum err_code code;
    } rows[] = {
        {"{" ON_DEVICES ",\"domainType\":6}",                                   ERR_DOMAIN_TYPE},
        { "{" ON_DEVICES ",\"domainType\":2,\"typeArgs\":\"/x\"}",              ERR_PARAMS     },
        { "{\"storagedomainID\":\"" SD
          "\",\"name\":\"lun\",\"domainType\":2,\"typeArgs\":\"/x\"}", ERR_DOMAIN_TYPE},
        { "{\"storagedomainID\":\"" SD "\",\"name\":\"lun\",\"domainType\":6}",
         ERR_PARAMS                                                                            },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(
            harness_code(*state, "StorageDomain.create", rows[i].params),
            rows[i].code);
    assert_int_equal(seen.calls, 0);
}

#define ON_EXPORT                                                              \
    "\"storagedomainID\":\"" SD "\",\"name\":\"nfs\",\"typeArgs\":\"srv:/x\""

static void domain_create_takes_an_export(void **state)
{
    expect(*state, "StorageDomain.create", "{" ON_EXPORT ",\"domainType\":1}",
           "true");
    assert_string_equal(seen.created.path, "srv:/x");
    assert_string_equal(seen.created.mount_options, "");
    assert_int_equal(seen.created.type, DOMAIN_TYPE_NFS);
    expect(*state, "StorageDomain.create",
           "{" ON_EXPORT ",\"domainType\":1,\"mountOptions\":\"soft\"}",
           "true");
    assert_string_equal(seen.created.mount_options, "soft");
    expect(*state, "StorageDomain.join",
           "{\"typeArgs\":\"[::1]:/x\",\"mountOptions\":\"soft\"}",
           "\"" SD "\"");
    assert_string_equal(seen.path, "[::1]:/x");
    assert_string_equal(seen.mount_options, "soft");
    expect(*state, "StorageDomain.join", "{\"typeArgs\":\"srv:/x\"}",
           "\"" SD "\"");
    assert_string_equal(seen.mount_options, "(none)");
}

static void mount_options_are_of_exports_only(void **state)
{
    static const char *const rows[][2] = {
        {"StorageDomain.create",
         "{\"storagedomainID\":\"" SD "\",\"name\":\"x\",\"domainType\":1,"
          "\"typeArgs\":\"/x\",\"mountOptions\":\"soft\"}"            },
        { "StorageDomain.create",
         "{" ON_DEVICES ",\"domainType\":2,\"mountOptions\":\"soft\"}"},
        { "StorageDomain.join",
         "{\"typeArgs\":\"/x\",\"mountOptions\":\"soft\"}"            },
        { "StorageDomain.join",
         "{\"storagedomainID\":\"" SD "\",\"mountOptions\":\"soft\"}" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        assert_int_equal(harness_code(*state, rows[i][0], rows[i][1]),
                         ERR_PARAMS);
    assert_int_equal(seen.calls, 0);
}

static void domain_extend_hands_over_its_devices(void **state)
{
    expect(*state, "StorageDomain.extend",
           "{\"storagedomainID\":\"" SD "\",\"devlist\":[\"/dev/sdc\"]}",
           "true");
    assert_string_equal(seen.sd, SD);
    assert_string_equal(seen.devices, "/dev/sdc ");
    assert_false(seen.flag);
    expect(*state, "StorageDomain.extend",
           "[\"" SD "\",null,[\"/dev/sdc\",\"/dev/sdd\"],true]", "true");
    assert_string_equal(seen.devices, "/dev/sdc /dev/sdd ");
    assert_true(seen.flag);
}

static void domain_audit_only_looks_unless_asked(void **state)
{
    expect(*state, "StorageDomain.audit", "{\"storagedomainID\":\"" SD "\"}",
           "{\"findings\":[{\"kind\":\"leftover\",\"volumeID\":\"" VOL
           "\",\"text\":\"its making broke off\",\"repair\":\"the LV is "
           "removed\",\"repaired\":false},{\"kind\":\"orphan\",\"text\":\"LV "
           "swap\",\"repaired\":false}]}");
    assert_false(seen.flag);
    struct json_object *answer =
        harness_call(*state, "StorageDomain.audit",
                     "{\"storagedomainID\":\"" SD "\",\"repair\":true}");
    assert_true(seen.flag);
    assert_true(json_object_get_boolean(json_object_object_get(
        json_object_array_get_idx(harness_at(answer, "result.findings"), 0),
        "repaired")));
    json_object_put(answer);
}

static void domain_join_finds_by_name(void **state)
{
    expect(*state, "StorageDomain.join", "{\"name\":\"lun\"}", "\"" SD "\"");
    assert_string_equal(seen.sd, "lun");
    assert_string_equal(seen.path, "");
    assert_int_equal(harness_code(*state, "StorageDomain.join",
                                  "{\"name\":\"lun\",\"typeArgs\":\"/x\"}"),
                     ERR_PARAMS);
}

static void a_block_domain_is_shown_as_vdsm_does(void **state)
{
    seen.block = true;
    struct json_object *answer = harness_call(
        *state, "StorageDomain.getInfo", "{\"storagedomainID\":\"" SD "\"}");
    harness_check(answer, "result.type", "ISCSI");
    harness_check(answer, "result.vguuid", "V-1");
    harness_check(answer, "result.state", "OK");
    harness_check(answer, "result.metadataDevice", "wwid");
    harness_check(answer, "result.vgMetadataDevice", "wwid");
    harness_check(answer, "result.extentSize", "134217728");
    assert_string_equal(json_object_get_string(json_object_array_get_idx(
                            harness_at(answer, "result.devices"), 1)),
                        "/dev/sdb");
    json_object_put(answer);
}

static void a_vg_needs_room_for_its_metadata(void **state)
{
    static const struct {
        uint64_t bytes, free_bytes;
        const char *valid, *threshold;
    } rows[] = {
        {0,          0,        "true",  "true" },
        { 134217728, 67108864, "true",  "true" },
        { 134217728, 13421772, "true",  "false"},
        { 1048576,   524288,   "false", "true" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        seen.mda_bytes = rows[i].bytes;
        seen.mda_free_bytes = rows[i].free_bytes;
        struct json_object *answer =
            harness_call(*state, "StorageDomain.getStats",
                         "{\"storagedomainID\":\"" SD "\"}");
        assert_int_equal(
            json_object_get_int64(harness_at(answer, "result.mdasize")),
            rows[i].bytes);
        harness_check(answer, "result.mdavalid", rows[i].valid);
        harness_check(answer, "result.mdathreshold", rows[i].threshold);
        json_object_put(answer);
    }
}

static void parameters_may_come_as_an_array(void **state)
{
    expect(*state, "StorageDomain.create",
           "[\"" SD "\",1,\"/mnt/fast\",\"fast\",1,null,4096,250]", "true");
    assert_int_equal(seen.created.type, DOMAIN_TYPE_NFS);
    assert_int_equal(seen.created.block_size, 4096);
    assert_int_equal(seen.created.max_hosts, 250);
}

static void domain_create_refuses_what_it_cannot_make(void **state)
{
    static const struct {
        const char *params;
        int code;
    } cases[] = {
        {"[\"" SD "\",2,\"/mnt/fast\",\"fast\"]",           ERR_DOMAIN_TYPE },
        { "[\"" SD "\",7,\"/mnt/fast\",\"fast\"]",          ERR_DOMAIN_TYPE },
        { "[\"" SD "\",6,\"/mnt/fast\",\"fast\",2]",        ERR_DOMAIN_CLASS},
        { "[\"" SD "\",6,\"/mnt/fast\",\"fast\",1,5,1024]", ERR_PARAMS      },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
        assert_int_equal(
            harness_code(*state, "StorageDomain.create", cases[i].params),
            cases[i].code);
    assert_int_equal(seen.calls, 0);
}

static void join_takes_id_or_path_or_both(void **state)
{
    struct harness *h = *state;
    expect(h, "StorageDomain.join", "{\"typeArgs\":\"/mnt/fast\"}",
           "\"" SD "\"");
    assert_string_equal(seen.sd, "");
    assert_string_equal(seen.path, "/mnt/fast");
    expect(h, "StorageDomain.join", "{\"storagedomainID\":\"" SD "\"}",
           "\"" SD "\"");
    assert_string_equal(seen.sd, SD);
    assert_string_equal(seen.path, "");
    assert_int_equal(harness_code(h, "StorageDomain.join", "{}"), ERR_PARAMS);
    assert_int_equal(seen.calls, 2);
}

static void domains_are_shaped_as_vdsm_does(void **state)
{
    struct harness *h = *state;
    expect(h, "StorageDomain.getInfo", "[\"" SD "\"]",
           "{\"uuid\":\"" SD "\",\"type\":\"POSIXFS\",\"class\":\"Data\","
           "\"name\":\"fast\",\"role\":\"Regular\",\"pool\":[\"a\",\"b\"],"
           "\"version\":\"5\",\"block_size\":512,\"alignment\":1048576,"
           "\"path\":\"/mnt/fast\",\"status\":\"joined\",\"readOnly\":false,"
           "\"hostId\":7}");
    expect(h, "StorageDomain.getStats", "[\"" SD "\"]",
           "{\"disktotal\":\"1152921504606846976\","
           "\"diskfree\":\"12345678901234\",\"mdasize\":0,\"mdafree\":0,"
           "\"mdavalid\":true,\"mdathreshold\":true}");
    expect(h, "StorageDomain.getImages", "[\"" SD "\"]", "[\"" VOL "\"]");
    expect(h, "StorageDomain.getVolumes", "{\"storagedomainID\":\"" SD "\"}",
           "[\"" VOL "\"]");
    assert_string_equal(seen.img, "all");
    expect(h, "StorageDomain.getVolumes",
           "{\"storagedomainID\":\"" SD "\",\"imageID\":\"" IMG
           "\",\"storagepoolID\":\"" UUID_BLANK "\"}",
           "[\"" VOL "\"]");
    assert_string_equal(seen.img, IMG);
    expect(h, "StorageDomain.leave", "[\"" SD "\"]", "true");
}

static void what_is_no_utf8_does_not_spoil_an_answer(void **state)
{
    struct json_object *answer =
        harness_call(*state, "StorageDomain.list", NULL);
    struct json_object *list = harness_at(answer, "result");
    assert_int_equal(json_object_array_length(list), 2);
    assert_string_equal(
        harness_text(json_object_array_get_idx(list, 1), "problem"), "gone ?");
    assert_string_equal(
        harness_text(json_object_array_get_idx(list, 1), "status"), "missing");
    assert_null(harness_at(json_object_array_get_idx(list, 0), "problem"));
    json_object_put(answer);
}

static void image_verbs(void **state)
{
    struct harness *h = *state;
    expect(h, "Image.prepare", "{" PLACE "}", "{\"path\":\"/mnt/fast/x\"}");
    assert_string_equal(seen.id.sd, SD);
    assert_string_equal(seen.id.img, IMG);
    assert_string_equal(seen.id.vol, VOL);
    assert_false(seen.flag);
    expect(h, "Image.prepare", "{" PLACE ",\"allowIllegal\":true}",
           "{\"path\":\"/mnt/fast/x\"}");
    assert_true(seen.flag);
    expect(h, "Image.teardown", "{" PLACE "}", "true");
    assert_string_equal(seen.sd, SD);
    assert_string_equal(seen.img, IMG);
    expect(h, "Image.delete",
           "{\"storagedomainID\":\"" SD "\",\"imageID\":\"" IMG "\"}", "true");
    assert_string_equal(seen.path, "/mnt/fast/" SD "/images/" IMG);
}

static void deleting_refuses_what_it_cannot_or_must_not(void **state)
{
    struct harness *h = *state;
    assert_int_equal(
        harness_code(h, "Volume.delete", "{" PLACE ",\"postZero\":true}"),
        ERR_UNSUPPORTED_STORAGE);
    assert_int_equal(
        harness_code(h, "Volume.delete", "{" PLACE ",\"discard\":true}"),
        ERR_UNSUPPORTED_STORAGE);
    seen.used = true;
    struct json_object *answer =
        harness_call(h, "Volume.delete", "{" PLACE "}");
    assert_string_equal(harness_text(answer, "error.code"), "203");
    assert_non_null(strstr(harness_text(answer, "error.message"), "web1"));
    assert_true(*harness_text(answer, "error.data.next"));
    assert_string_equal(seen.id.vol, "");
    json_object_put(answer);
    assert_int_equal(harness_code(h, "Image.delete",
                                  "{\"storagedomainID\":\"" SD
                                  "\",\"imageID\":\"" IMG "\"}"),
                     ERR_VOLUME_BUSY);
    assert_string_equal(seen.img, "");
    seen.used = false;
    expect(h, "Volume.delete", "{" PLACE ",\"force\":true}", "true");
    assert_string_equal(seen.path, "/mnt/fast/" SD "/images/" IMG "/" VOL);
    assert_string_equal(seen.id.sd, SD);
    assert_string_equal(seen.id.img, IMG);
    assert_string_equal(seen.id.vol, VOL);
}

/* However a VM names it. */
static void deleting_refuses_an_lv_that_a_vm_names(void **state)
{
    static const char image[] =
        "{\"storagedomainID\":\"" SD "\",\"imageID\":\"" IMG "\"}";
    struct harness *h = *state;
    struct volume_info info;
    const struct volume_id id = { SD, IMG, VOL };
    (void)fake_volume_info(NULL, &id, &info, NULL);
    const char *const names[] = { info.path, "/dev/" SD "/" VOL };
    seen.block = true;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        seen.used_path = names[i];
        assert_int_equal(harness_code(h, "Volume.delete", "{" PLACE "}"),
                         ERR_VOLUME_BUSY);
        assert_string_equal(seen.id.vol, "");
    }
    seen.used_path = NULL;
    assert_int_equal(harness_code(h, "Image.delete", image), 0);
    expect(h, "Volume.delete", "{" PLACE "}", "true");
}

static void volume_create_hands_on_all_it_got(void **state)
{
    struct harness *h = *state;
    expect(h, "Volume.create",
           "{" PLACE ",\"storagepoolID\":\"" UUID_BLANK
           "\",\"size\":\"1073741824\",\"volFormat\":\"COW\","
           "\"preallocate\":\"SPARSE\",\"diskType\":\"ISOF\","
           "\"desc\":\"caf\xc3\xa9\",\"srcImgUUID\":\"" IMG
           "\",\"srcVolUUID\":\"" WORLD_VM
           "\",\"initialSize\":\"4096\",\"legal\":false,\"sequence\":5}",
           "\"" VOL "\"");
    assert_true(seen.volume.capacity == 1073741824);
    assert_int_equal(seen.volume.format, VOLUME_COW);
    assert_int_equal(seen.volume.allocation, VOLUME_SPARSE);
    assert_int_equal(seen.volume.legality, VOLUME_ILLEGAL);
    assert_int_equal(seen.volume.sequence, 5);
    assert_string_equal(seen.volume.disk_type, "ISOF");
    assert_string_equal(seen.volume.description, "caf\xc3\xa9");
    assert_string_equal(seen.volume.parent, WORLD_VM);
    assert_string_equal(seen.volume.parent_img, IMG);
    assert_string_equal(seen.volume.id.vol, VOL);
    assert_false(seen.volume.clone);

    expect(h, "Volume.create",
           "{" PLACE ",\"size\":4096,\"volFormat\":\"RAW\","
           "\"preallocate\":\"PREALLOCATED\"}",
           "\"" VOL "\"");
    assert_int_equal(seen.volume.format, VOLUME_RAW);
    assert_int_equal(seen.volume.allocation, VOLUME_PREALLOCATED);
    assert_int_equal(seen.volume.legality, VOLUME_LEGAL);
    assert_string_equal(seen.volume.disk_type, "DATA");
    assert_string_equal(seen.volume.description, "");
    assert_string_equal(seen.volume.parent, UUID_BLANK);
}

static void volume_create_refuses_what_vdsm_refuses(void **state)
{
    static const struct {
        const char *more;
        int code;
    } cases[] = {
        {"\"volFormat\":\"RAW\",\"initialSize\":\"4096\"",         ERR_VALUE},
        { "\"volFormat\":\"RAW\",\"srcVolUUID\":\"" WORLD_VM "\"",
         ERR_VOLUME_FORMAT                                                  },
        { "\"volFormat\":\"COW\",\"addBitmaps\":true",
         ERR_UNSUPPORTED_STORAGE                                            },
        { "\"volFormat\":\"COW\",\"bitmap\":\"" WORLD_VM "\"",
         ERR_UNSUPPORTED_STORAGE                                            },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        _cleanup_free_ char *params = str_printf(
            "{" PLACE ",\"size\":4096,\"preallocate\":\"SPARSE\",%s}",
            cases[i].more);
        assert_int_equal(harness_code(*state, "Volume.create", params),
                         cases[i].code);
    }
    assert_int_equal(seen.calls, 0);
}

static void volumes_are_shaped_as_vdsm_does(void **state)
{
    struct harness *h = *state;
    expect(h, "Volume.getInfo", "{" PLACE "}",
           "{\"uuid\":\"" VOL "\",\"type\":\"SPARSE\",\"format\":\"COW\","
           "\"disktype\":\"DATA\",\"voltype\":\"LEAF\",\"legality\":\"LEGAL\","
           "\"status\":\"OK\",\"parent\":\"" UUID_BLANK "\",\"pool\":\"\","
           "\"domain\":\"" SD "\",\"image\":\"" IMG "\",\"children\":[],"
           "\"path\":\"/mnt/fast/x\",\"capacity\":\"1099511627776\","
           "\"description\":\"a \\\"disk\\\"\",\"ctime\":\"1700000000\","
           "\"mtime\":\"0\",\"generation\":3,\"sequence\":2,"
           "\"apparentsize\":\"65536\",\"truesize\":\"4096\","
           "\"lease\":{\"owners\":[3],\"path\":\"/mnt/fast/x.lease\","
           "\"offset\":0,\"version\":9}}");
    expect(h, "Volume.getSize", "{" PLACE "}",
           "{\"truesize\":\"4096\",\"apparentsize\":\"65536\"}");
    seen.no_lease = true;
    struct json_object *answer =
        harness_call(h, "Volume.getInfo", "{" PLACE "}");
    assert_null(harness_at(answer, "result.lease"));
    assert_string_equal(harness_text(answer, "result.status"), "OK");
    json_object_put(answer);
}

static void vms_are_listed(void **state)
{
    expect(*state, "VM.list", NULL,
           "[{\"vmId\":\"" WORLD_VM "\",\"vmName\":\"web1\","
           "\"status\":\"running\",\"persistent\":false}]");
}

/* Each verb that asks a port gives the port's error as it is. */
static void errors_of_ports_reach_the_client(void **state)
{
    static const char *const calls[][2] = {
        {"StorageDomain.create",      "[\"" SD "\",6,\"/mnt/fast\",\"fast\"]"     },
        { "StorageDomain.join",       "{\"typeArgs\":\"/mnt/fast\"}"              },
        { "StorageDomain.leave",      "[\"" SD "\"]"                              },
        { "StorageDomain.list",       "[]"                                        },
        { "StorageDomain.getInfo",    "[\"" SD "\"]"                              },
        { "StorageDomain.getStats",   "[\"" SD "\"]"                              },
        { "StorageDomain.getImages",  "[\"" SD "\"]"                              },
        { "StorageDomain.getVolumes", "[\"" SD "\"]"                              },
        { "Image.prepare",            "{" PLACE "}"                               },
        { "Image.teardown",           "{" PLACE "}"                               },
        { "Image.delete",
         "{\"storagedomainID\":\"" SD "\",\"imageID\":\"" IMG "\"}"               },
        { "Volume.create",            "{" PLACE ",\"size\":1,\"volFormat\":\"RAW\","
                           "\"preallocate\":\"SPARSE\"}"},
        { "Volume.delete",            "{" PLACE "}"                               },
        { "Volume.getInfo",           "{" PLACE "}"                               },
        { "Volume.getSize",           "{" PLACE "}"                               },
        { "VM.list",                  "[]"                                        },
    };
    seen.fails = ERR_NO_DOMAIN;
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
        struct json_object *answer =
            harness_call(*state, calls[i][0], calls[i][1]);
        assert_string_equal(harness_text(answer, "error.code"), "358");
        assert_string_equal(harness_text(answer, "error.data.cause"),
                            "StorageDomainDoesNotExist");
        assert_string_equal(harness_text(answer, "error.data.phase"),
                            calls[i][0]);
        assert_non_null(
            strstr(harness_text(answer, "error.message"), "it failed"));
        json_object_put(answer);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(host_verbs),
        TEST(domain_create_fills_in_what_vdsm_would),
        TEST(domain_create_takes_devices),
        TEST(domain_create_takes_a_directory_or_devices),
        TEST(domain_create_takes_an_export),
        TEST(mount_options_are_of_exports_only),
        TEST(domain_extend_hands_over_its_devices),
        TEST(domain_audit_only_looks_unless_asked),
        TEST(domain_join_finds_by_name),
        TEST(a_block_domain_is_shown_as_vdsm_does),
        TEST(a_vg_needs_room_for_its_metadata),
        TEST(parameters_may_come_as_an_array),
        TEST(domain_create_refuses_what_it_cannot_make),
        TEST(join_takes_id_or_path_or_both),
        TEST(domains_are_shaped_as_vdsm_does),
        TEST(what_is_no_utf8_does_not_spoil_an_answer),
        TEST(image_verbs),
        TEST(deleting_refuses_what_it_cannot_or_must_not),
        TEST(deleting_refuses_an_lv_that_a_vm_names),
        TEST(volume_create_hands_on_all_it_got),
        TEST(volume_create_refuses_what_vdsm_refuses),
        TEST(volumes_are_shaped_as_vdsm_does),
        TEST(vms_are_listed),
        TEST(errors_of_ports_reach_the_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
