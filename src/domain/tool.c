/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu-img on volumes. Measure and info only look, and a VM may have the volume
 * open, so they go without locks (-U); what they see is then a little old,
 * which does for both. Commit writes, under qemu's own locks.
 */
#include "tool.h"
#include "ops.h"
#include "report.h"
#include "subject.h"
#include <dray/exec.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct domain_fd_path domain_fd_path(int fd)
{
    struct domain_fd_path path;
    (void)str_format(path.s, sizeof(path.s), "/proc/%d/fd/%d", getpid(), fd);
    return path;
}

void domain_tool_chain_close(struct domain_tool_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        util_closep(&chain->fds[i]);
    chain->n = 0;
    free(chain->name);
    chain->name = NULL;
}

static int out_of_memory(const struct domain_image *image, struct err *err)
{
    return err_set(err, -ENOMEM, "image %s: out of memory", image->img);
}

/* Around what lies below: @below is empty for the lowest. */
static char *describe(enum format_kind kind, int fd, const char *below)
{
    const struct domain_fd_path path = domain_fd_path(fd);
    const char *backing = below[0] ? below : "null";
    struct stat st;
    bool is_device = fstat(fd, &st) == 0 && S_ISBLK(st.st_mode);
    const char *driver = is_device ? "host_device" : "file";
    if (kind == FORMAT_RAW)
        return str_printf("{\"driver\":\"raw\",\"file\":{\"driver\":\"%s\","
                          "\"filename\":\"%s\"}}",
                          driver, path.s);
    return str_printf("{\"driver\":\"qcow2\",\"file\":{\"driver\":\"%s\","
                      "\"filename\":\"%s\"},\"backing\":%s}",
                      driver, path.s, backing);
}

/* From the lowest layer up. */
static char *describe_all(const struct domain_headers *headers,
                          const struct domain_tool_chain *chain)
{
    char *text = strdup("");
    for (size_t i = headers->n; text && i-- > 0;) {
        char *more =
            describe(headers->layers[i]->record.kind, chain->fds[i], text);
        free(text);
        text = more;
    }
    char *name = text ? str_printf("json:%s", text) : NULL;
    free(text);
    return name;
}

int domain_tool_chain_open(const struct domain_image *image,
                           const struct domain_headers *headers,
                           struct domain_tool_chain *ret_chain, struct err *err)
{
    struct domain_tool_chain chain = { 0 };
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < headers->n; i++) {
        rc = domain_image_data(image, headers->layers[i]->vol, O_RDONLY,
                               &chain.fds[chain.n], err);
        chain.n += rc == 0;
    }
    if (rc == 0)
        chain.name = describe_all(headers, &chain);
    if (rc == 0 && !chain.name)
        rc = out_of_memory(image, err);
    if (rc < 0) {
        domain_tool_chain_close(&chain);
        return rc;
    }
    *ret_chain = chain;
    return 0;
}

static int ask(const struct domain_subject *subject, const char *const *argv,
               struct exec_result *result, struct err *err)
{
    const struct exec_options options = {
        .deadline_ms = time_now_ms() + TOOL_WAIT_MS,
        .max_cpu_s = TOOL_CPU_S,
        .max_mem = TOOL_MEMORY,
    };
    if (exec_check(argv, &options, result, err) < 0)
        return err_wrap(err, "%s/%s", subject->image.dir.path,
                        subject->layer->vol);
    return 0;
}

/* Only a direct parent can be a base: that is what a merge of two layers
 * needs. */
static int refuse_base(const struct domain_layer *layer, const char *base,
                       struct err *err)
{
    (void)err_set_code(err, ERR_UNSUPPORTED_STORAGE,
                       "volume %s: its parent is %s, so it cannot be measured "
                       "down to %s",
                       layer->vol, layer->record.parent, base);
    return err_next(err, "name the parent, or leave baseID out");
}

static int find_layers(const struct domain_subject *subject, const char *base,
                       struct domain_headers *headers, struct err *err)
{
    const struct domain_layer *layer = subject->layer;
    size_t depth = !base ? SIZE_MAX : base[0] ? 2 : 1;
    if (depth == 2 &&
        (str_equal(base, UUID_BLANK) || !str_equal(layer->record.parent, base)))
        return refuse_base(layer, base, err);
    int rc = domain_headers_walk(&subject->image, layer, depth, headers, err);
    if (rc == 0 && depth == 2 &&
        (headers->n != 2 || !str_equal(headers->layers[1]->vol, base)))
        rc = err_set_code(err, ERR_IMAGE_CHAIN,
                          "image %s: volume %s names another parent in its "
                          "qcow2 header than in its record",
                          subject->image.img, layer->vol);
    return rc;
}

int domain_volume_measure(void *ctx, const struct volume_id *id,
                          enum volume_format format, const char *base,
                          struct volume_measure *ret_measure, struct err *err)
{
    const struct domains *domains = ctx;
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    _cleanup_tool_chain_ struct domain_tool_chain chain = { 0 };
    struct exec_result result = { 0 };
    struct domain_headers headers = { 0 };
    int rc = domain_subject_open(ctx, id->sd, id->img, id->vol, &subject, err);
    if (rc == 0)
        rc = find_layers(&subject, base, &headers, err);
    if (rc != 0)
        return rc;
    rc = domain_tool_chain_open(&subject.image, &headers, &chain, err);
    if (rc < 0)
        return rc;
    const char *to = format == VOLUME_COW ? "qcow2" : "raw";
    const char *argv[] = { domains->qemu_img, "measure",  "-U", "-O", to,
                           "--output=json",   chain.name, NULL };
    rc = ask(&subject, argv, &result, err);
    if (rc == 0)
        rc = domain_report_measure(result.out, ret_measure, err);
    exec_result_deinit(&result);
    return rc;
}

static int check_committable(const struct domain_subject *subject,
                             struct err *err)
{
    const struct domain_layer *layer = subject->layer;
    if (layer->record.kind == FORMAT_COW &&
        !str_equal(layer->record.parent, UUID_BLANK))
        return 0;
    return err_set_code(err, ERR_IMAGE_CHAIN,
                        "volume %s: has no parent to be committed to",
                        layer->vol);
}

/* The whole chain is named: where a layer below has larger clusters, the rest
 * of one comes from further down. */
static int commit(const struct domains *domains,
                  const struct domain_subject *subject,
                  const struct domain_tool_chain *chain, struct err *err)
{
    const struct exec_options options = {
        .deadline_ms = time_now_ms() + COMMIT_WAIT_MS,
    };
    const char *argv[] = {
        domains->qemu_img, "commit", "-q", "-d", "-t", "none", chain->name, NULL
    };
    struct exec_result result = { 0 };
    int rc = exec_check(argv, &options, &result, err);
    exec_result_deinit(&result);
    if (rc < 0 && err && strstr(err->message, "lock"))
        err->code = ERR_VOLUME_BUSY;
    return rc < 0 ? err_wrap(err, "%s/%s", subject->image.dir.path,
                             subject->layer->vol)
                  : 0;
}

int domain_volume_commit(void *ctx, const struct volume_id *top,
                         struct err *err)
{
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    _cleanup_tool_chain_ struct domain_tool_chain chain = { 0 };
    struct domain_headers headers = { 0 };
    int rc =
        domain_subject_open(ctx, top->sd, top->img, top->vol, &subject, err);
    if (rc == 0)
        rc = check_committable(&subject, err);
    if (rc == 0)
        rc = find_layers(&subject, NULL, &headers, err);
    if (rc == 0)
        rc = domain_tool_chain_open(&subject.image, &headers, &chain, err);
    return rc < 0 ? rc : commit(ctx, &subject, &chain, err);
}

static int fill_info(const struct domain_layer *layer,
                     const struct format_qcow2 *header, const char *text,
                     struct volume_qemu_info *ret_info, struct err *err)
{
    struct volume_qemu_info info = {
        .format = (enum volume_format)layer->record.kind,
    };
    struct domain_report report;
    int rc = domain_report_info(text, &report, err);
    if (rc < 0)
        return rc;
    info.virtual_size = report.virtual_size;
    info.cluster_size = report.cluster_size;
    info.n_bitmaps = report.n_bitmaps;
    info.bitmaps = report.bitmaps;
    (void)str_copy(info.compat, sizeof(info.compat), report.compat);
    (void)str_format(info.backing_file, sizeof(info.backing_file), "%s%s%s%s",
                     header->backing_image[0] ? "../" : "",
                     header->backing_image, header->backing_image[0] ? "/" : "",
                     header->backing);
    *ret_info = info;
    return 0;
}

int domain_volume_qemu_info(void *ctx, const struct volume_id *id,
                            struct volume_qemu_info *ret_info, struct err *err)
{
    const struct domains *domains = ctx;
    _cleanup_subject_ struct domain_subject subject = DOMAIN_SUBJECT_INIT;
    _cleanup_tool_chain_ struct domain_tool_chain chain = { 0 };
    struct domain_headers alone = { .n = 1 };
    struct format_qcow2 header = { 0 };
    struct exec_result result = { 0 };
    int rc = domain_subject_open(ctx, id->sd, id->img, id->vol, &subject, err);
    alone.layers[0] = subject.layer;
    if (rc == 0 && subject.layer->record.kind == FORMAT_COW)
        rc = domain_image_header(&subject.image, id->vol, &header, err);
    if (rc == 0)
        rc = domain_tool_chain_open(&subject.image, &alone, &chain, err);
    if (rc < 0)
        return rc;
    const char *argv[] = { domains->qemu_img, "info",     "-U",
                           "--output=json",   chain.name, NULL };
    rc = ask(&subject, argv, &result, err);
    if (rc == 0)
        rc = fill_info(subject.layer, &header, result.out, ret_info, err);
    exec_result_deinit(&result);
    return rc;
}
