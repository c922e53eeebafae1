/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Chains, sizes and legality: what these verbs hand to the ports, and what they
 * make of their answers.
 */
#include "harness.h"

#include <dray/base/util.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* last: needs those above */
#include <cmocka.h>

#define LEAF "55555555-5555-4555-8555-555555555551"
#define PLACE                                                                  \
    "\"storagedomainID\":\"" WORLD_SRC "\",\"imageID\":\"" WORLD_IMG "\""
#define VOLUME PLACE ",\"volumeID\":\"" WORLD_VOL "\""

static struct {
    enum err_code fails;
    struct volume_id id;
    uint64_t bytes;
    enum volume_format format;
    char base[UUID_SIZE]; /* "NULL": the whole chain */
    uint64_t bitmaps;
    bool raw;
    enum volume_legality leaf, set;
    unsigned set_n, synced_n, deleted_n;
    size_t chain_n;
    struct uuid_list synced;
    char last[UUID_SIZE]; /* of the synced chain */
    bool used;
    enum vm_state state;
} seen;

static int answer(struct err *err)
{
    return seen.fails ? err_set_code(err, seen.fails, "it failed") : 0;
}

static int extend(void *ctx, const struct volume_id *id, uint64_t bytes,
                  struct err *err)
{
    (void)ctx;
    seen.id = *id;
    seen.bytes = bytes;
    return seen.fails == ERR_GENERAL ? err_set(err, -EIO, "it failed")
                                     : answer(err);
}

static int measure(void *ctx, const struct volume_id *id,
                   enum volume_format format, const char *base,
                   struct volume_measure *ret, struct err *err)
{
    (void)ctx;
    seen.id = *id;
    seen.format = format;
    (void)str_copy(seen.base, UUID_SIZE, base ? base : "NULL");
    *ret = (struct volume_measure){ 327680, 1074135040, seen.bitmaps };
    return answer(err);
}

static int qemu_info(void *ctx, const struct volume_id *id,
                     struct volume_qemu_info *ret, struct err *err)
{
    (void)ctx;
    seen.id = *id;
    *ret = (struct volume_qemu_info){ .format = VOLUME_RAW,
                                      .virtual_size = 1 << 20 };
    if (seen.raw || answer(err) < 0)
        return answer(err);
    *ret = (struct volume_qemu_info){ .format = VOLUME_COW,
                                      .virtual_size = 1 << 30,
                                      .cluster_size = 65536,
                                      .backing_file = WORLD_VOL,
                                      .compat = "1.1",
                                      .n_bitmaps = 1,
                                      .bitmaps =
                                          calloc(1, sizeof(*ret->bitmaps)) };
    (void)str_copy(ret->bitmaps[0], sizeof(ret->bitmaps[0]), "backup");
    return 0;
}

static int volume_info(void *ctx, const struct volume_id *id,
                       struct volume_info *ret, struct err *err)
{
    (void)ctx;
    *ret = (struct volume_info){ .id = *id, .legality = seen.leaf };
    return answer(err);
}

static int set_legality(void *ctx, const struct volume_id *id,
                        enum volume_legality legality, struct err *err)
{
    (void)ctx;
    seen.id = *id;
    seen.set = legality;
    seen.set_n++;
    return answer(err);
}

static int header_chain(void *ctx, const char *sd, const char *img,
                        const char *leaf, struct uuid_list *ret,
                        struct err *err)
{
    (void)ctx;
    (void)sd;
    (void)img;
    if (answer(err) < 0)
        return err->rc;
    *ret = (struct uuid_list){ seen.chain_n, calloc(2, UUID_SIZE) };
    (void)str_copy(ret->uuids[0], UUID_SIZE, WORLD_VOL);
    (void)str_copy(ret->uuids[seen.chain_n - 1], UUID_SIZE, leaf);
    return 0;
}

static int sync_chain(void *ctx, const char *sd, const char *img,
                      const struct uuid_list *vols, struct err *err)
{
    (void)ctx;
    (void)sd;
    (void)img;
    (void)err;
    seen.synced_n++;
    seen.synced.n = vols->n;
    (void)str_copy(seen.last, UUID_SIZE, vols->uuids[vols->n - 1]);
    return 0;
}

static int volume_delete(void *ctx, const struct volume_id *id, struct err *err)
{
    (void)ctx;
    seen.id = *id;
    seen.deleted_n++;
    return answer(err);
}

static int domain_info(void *ctx, const char *sd, struct domain_info *ret,
                       struct err *err)
{
    (void)ctx;
    (void)err;
    *ret = (struct domain_info){ .path = "/mnt/fast" };
    (void)str_copy(ret->sd, UUID_SIZE, sd);
    return 0;
}

/* The VM's disk, if it has one of ours. */
static int locate(void *ctx, const char *path, struct volume_id *ret,
                  struct err *err)
{
    (void)ctx;
    (void)path;
    if (!seen.used)
        return err_set_code(err, ERR_NO_DISK, "not ours");
    *ret = (struct volume_id){ WORLD_SRC, WORLD_IMG, LEAF };
    return 0;
}

static const struct storage_ops storage_ops = {
    .domain_info = domain_info,
    .volume_extend = extend,
    .volume_measure = measure,
    .volume_qemu_info = qemu_info,
    .volume_info = volume_info,
    .volume_set_legality = set_legality,
    .volume_delete = volume_delete,
    .image_header_chain = header_chain,
    .image_sync_chain = sync_chain,
    .locate = locate,
};

static int vm_list(void *ctx, struct vm_info **ret_vms, size_t *ret_n,
                   struct err *err)
{
    (void)ctx;
    (void)err;
    *ret_vms = calloc(1, sizeof(**ret_vms));
    (*ret_vms)->state = seen.state;
    (void)str_copy((*ret_vms)->uuid, UUID_SIZE, WORLD_VM);
    (void)str_copy((*ret_vms)->name, VM_NAME_SIZE, "web1");
    *ret_n = 1;
    return 0;
}

static int vm_disks(void *ctx, const char *vm, struct vm_disk **ret_disks,
                    size_t *ret_n, struct err *err)
{
    (void)ctx;
    (void)vm;
    (void)err;
    *ret_disks = calloc(1, sizeof(**ret_disks));
    (void)str_copy((*ret_disks)->path, PATH_MAX, "/mnt/fast/x");
    *ret_n = 1;
    return 0;
}

static int path_user(void *ctx, const char *path, struct vm_info *ret_vm,
                     struct err *err)
{
    (void)ctx;
    (void)path;
    (void)err;
    memset(ret_vm, 0, sizeof(*ret_vm));
    (void)str_copy(ret_vm->name, VM_NAME_SIZE, seen.used ? "web1" : "");
    return 0;
}

static const struct hypervisor_ops hypervisor_ops = {
    .vm_list = vm_list,
    .vm_disk_names = vm_disks,
    .vm_disks = vm_disks,
    .path_user = path_user,
};

static int setup(void **state)
{
    struct harness *h = harness_new();
    h->world.ports.storage.ops = &storage_ops;
    h->world.ports.hypervisor.ops = &hypervisor_ops;
    api_set_ready(h->api, h->jobs);
    memset(&seen, 0, sizeof(seen));
    seen.chain_n = 2;
    seen.state = VM_RUNNING;
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

static void refused(struct harness *h, const char *method, const char *params,
                    int code)
{
    assert_int_equal(harness_code(h, method, params), code);
}

/* --- sizes ------------------------------------------------------------- */

static void volume_is_extended(void **state)
{
    expect(*state, "Volume.extendSize", "{" VOLUME ",\"newSize\":\"1234567\"}",
           "\"" WORLD_VOL "\"");
    assert_string_equal(seen.id.sd, WORLD_SRC);
    assert_string_equal(seen.id.img, WORLD_IMG);
    assert_string_equal(seen.id.vol, WORLD_VOL);
    assert_int_equal(seen.bytes, 1234567);
    seen.fails = ERR_VOLUME_RESIZE;
    refused(*state, "Volume.extendSize", "{" VOLUME ",\"newSize\":\"1\"}",
            ERR_VOLUME_RESIZE);
    seen.fails = ERR_GENERAL; /* what has no number of its own */
    refused(*state, "Volume.extendSize", "{" VOLUME ",\"newSize\":\"1\"}",
            ERR_VOLUME_EXTEND);
    refused(*state, "Volume.extendSize", "{" VOLUME ",\"newSize\":\"0\"}",
            ERR_PARAMS);
}

static void volume_is_measured(void **state)
{
    expect(*state, "Volume.measure", "{" VOLUME ",\"dstVolFormat\":\"COW\"}",
           "{\"required\":327680,\"fully-allocated\":1074135040}");
    assert_string_equal(seen.base, "NULL");
    assert_int_equal(seen.format, VOLUME_COW);
    seen.bitmaps = 131072;
    expect(*state, "Volume.measure",
           "{" VOLUME ",\"dstVolFormat\":\"RAW\",\"backing_chain\":false}",
           "{\"required\":327680,\"fully-allocated\":1074135040,"
           "\"bitmaps\":131072}");
    assert_string_equal(seen.base, "");
    assert_int_equal(seen.format, VOLUME_RAW);
    seen.fails = ERR_UNSUPPORTED_STORAGE;
    refused(*state, "Volume.measure",
            "{" VOLUME ",\"dstVolFormat\":\"RAW\",\"baseID\":\"" LEAF "\"}",
            ERR_UNSUPPORTED_STORAGE);
    assert_string_equal(seen.base, LEAF);
}

static void volume_is_seen_as_qemu_does(void **state)
{
    expect(*state, "Volume.getQemuImageInfo", "{" VOLUME "}",
           "{\"format\":\"qcow2\",\"virtualsize\":1073741824,"
           "\"clustersize\":65536,\"backingfile\":\"" WORLD_VOL
           "\",\"compat\":\"1.1\",\"bitmaps\":[{\"name\":\"backup\"}]}");
    seen.raw = true;
    expect(*state, "Volume.getQemuImageInfo", "{" VOLUME "}",
           "{\"format\":\"raw\",\"virtualsize\":1048576,\"bitmaps\":[]}");
    seen.fails = ERR_NO_VOLUME;
    refused(*state, "Volume.getQemuImageInfo", "{" VOLUME "}", ERR_NO_VOLUME);
}

/* The finder of these knows no step, so the API does. */
static void errors_say_what_to_do(void **state)
{
    static const enum err_code codes[] = {
        ERR_NO_DOMAIN,      ERR_NO_IMAGE,        ERR_NO_VOLUME,
        ERR_VOLUME_ILLEGAL, ERR_VOLUME_CHILDREN, ERR_IMAGE_CHAIN,
        ERR_VOLUME_RESIZE,  ERR_NO_SPACE,
    };
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
        seen.fails = codes[i];
        struct json_object *failed =
            harness_call(*state, "Volume.setLegality",
                         "{" VOLUME ",\"legality\":\"LEGAL\"}");
        assert_string_equal(harness_text(failed, "error.data.cause"),
                            err_code_name(codes[i]));
        if (!*harness_text(failed, "error.data.next"))
            fail_msg("%s: and now?", err_code_name(codes[i]));
        json_object_put(failed);
    }
}

/* --- legality ---------------------------------------------------------- */

static void legality_is_set(void **state)
{
    expect(*state, "Volume.setLegality",
           "{" VOLUME ",\"legality\":\"ILLEGAL\"}", "true");
    assert_int_equal(seen.set, VOLUME_ILLEGAL);
    assert_string_equal(seen.id.vol, WORLD_VOL);
    expect(*state, "Volume.setLegality", "{" VOLUME ",\"legality\":\"LEGAL\"}",
           "true");
    assert_int_equal(seen.set, VOLUME_LEGAL);
    refused(*state, "Volume.setLegality", "{" VOLUME ",\"legality\":\"FAKE\"}",
            ERR_PARAMS);
}

/* A running VM's disk must be there after a crash. */
static void what_a_vm_writes_to_stays_legal(void **state)
{
    seen.used = true;
    refused(*state, "Volume.setLegality",
            "{" VOLUME ",\"legality\":\"ILLEGAL\"}", ERR_VOLUME_BUSY);
    assert_int_equal(seen.set_n, 0);
    expect(*state, "Volume.setLegality", "{" VOLUME ",\"legality\":\"LEGAL\"}",
           "true");
    seen.state = VM_SHUTOFF;
    expect(*state, "Volume.setLegality",
           "{" VOLUME ",\"legality\":\"ILLEGAL\"}", "true");
}

/* --- chains ------------------------------------------------------------ */

#define RECONCILE "{" PLACE ",\"leafVolID\":\"" LEAF "\"}"

static void records_follow_the_headers(void **state)
{
    expect(*state, "Image.reconcileVolumeChain", RECONCILE,
           "[\"" WORLD_VOL "\",\"" LEAF "\"]");
    assert_int_equal(seen.synced.n, 2);
    assert_string_equal(seen.last, LEAF);
    seen.leaf = VOLUME_ILLEGAL;
    expect(*state, "Image.reconcileVolumeChain", RECONCILE,
           "[\"" WORLD_VOL "\"]");
    assert_int_equal(seen.synced.n, 1);
    assert_string_equal(seen.last, WORLD_VOL);
}

static void chain_without_volumes_is_none(void **state)
{
    seen.leaf = VOLUME_ILLEGAL;
    seen.chain_n = 1;
    refused(*state, "Image.reconcileVolumeChain", RECONCILE, ERR_IMAGE_CHAIN);
    assert_int_equal(seen.synced_n, 0);
}

static void headers_of_a_running_vm_are_not_believed(void **state)
{
    seen.used = true;
    refused(*state, "Image.reconcileVolumeChain", RECONCILE, ERR_VOLUME_BUSY);
    assert_int_equal(seen.synced_n, 0);
    seen.state = VM_SHUTOFF;
    expect(*state, "Image.reconcileVolumeChain", RECONCILE,
           "[\"" WORLD_VOL "\",\"" LEAF "\"]");
    seen.fails = ERR_IMAGE_CHAIN;
    refused(*state, "Image.reconcileVolumeChain", RECONCILE, ERR_IMAGE_CHAIN);
}

#define DELETE(more)                                                           \
    "{" PLACE ",\"volumeList\":[\"" WORLD_VOL "\",\"" LEAF "\"]" more "}"

static void volumes_are_deleted_one_by_one(void **state)
{
    expect(*state, "Image.deleteVolumes", DELETE(""), "true");
    assert_int_equal(seen.deleted_n, 2);
    assert_string_equal(seen.id.vol, LEAF);
    seen.fails = ERR_VOLUME_CHILDREN;
    refused(*state, "Image.deleteVolumes", DELETE(""), ERR_VOLUME_CHILDREN);
    assert_int_equal(seen.deleted_n, 3); /* it ended there */
    refused(*state, "Image.deleteVolumes", DELETE(",\"postZero\":true"),
            ERR_UNSUPPORTED_STORAGE);
    seen.used = true;
    refused(*state, "Image.deleteVolumes", DELETE(""), ERR_VOLUME_BUSY);
    assert_int_equal(seen.deleted_n, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(volume_is_extended),
        TEST(volume_is_measured),
        TEST(volume_is_seen_as_qemu_does),
        TEST(errors_say_what_to_do),
        TEST(legality_is_set),
        TEST(what_a_vm_writes_to_stays_legal),
        TEST(records_follow_the_headers),
        TEST(chain_without_volumes_is_none),
        TEST(headers_of_a_running_vm_are_not_believed),
        TEST(volumes_are_deleted_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
