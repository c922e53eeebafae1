/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl volume: a volume is one layer of an image; its leaf is what a VM's
 * disk names as its source.
 */
#include "cli.h"
#include "json.h"
#include "resolve.h"
#include "table.h"
#include "units.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static struct json_object *ids(const char *sd, const char *img, const char *vol)
{
    return JSON_STRINGS("storagedomainID", sd, "imageID", img, "volumeID", vol);
}

struct create {
    const char *format;
    const char *image;
    const char *parent;
    const char *description;
    bool preallocated;
    uint64_t size;
    char sd[UUID_SIZE];
    char img[UUID_SIZE];
    char vol[UUID_SIZE];
};

/* A layer over a parent is qcow2: raw has no place for one. */
static int parse_create(struct cli *cli, const char *const *argv,
                        struct create *create)
{
    const struct args_option options[] = {
        {"--format",       NULL, &create->format },
        { "--image", NULL, &create->image },
        { "--parent",       NULL, &create->parent },
        { "--description",  NULL, &create->description },
        { "--preallocated",      &create->preallocated, NULL },
        { 0},
    };
    struct args args;
    struct err err = ERR_INIT;
    int rc = cli_parse(cli, argv, options, 2, 2, &args);
    if (rc)
        return rc;
    if (units_parse_size(args.words[1], &create->size, &err))
        return cli_usage(cli, &err);
    if (!create->format)
        create->format = create->parent ? "qcow2" : "raw";
    if (!str_equal(create->format, "raw") &&
        !str_equal(create->format, "qcow2"))
        (void)err_set(&err, -EINVAL, "--format %s: raw or qcow2 is wanted",
                      create->format);
    else if (create->parent && !create->image)
        (void)err_set(&err, -EINVAL, "--parent: --image is missing");
    if (err.rc)
        return cli_usage(cli, &err);
    return resolve_domain(cli, args.words[0], create->sd);
}

static struct json_object *create_params(const struct create *create)
{
    char size[24];
    (void)str_format(size, sizeof(size), "%" PRIu64, create->size);
    struct json_object *params = ids(create->sd, create->img, create->vol);
    json_add_text(params, "size", size);
    json_add_text(params, "volFormat",
                  str_equal(create->format, "raw") ? "RAW" : "COW");
    json_add_text(params, "preallocate",
                  create->preallocated ? "PREALLOCATED" : "SPARSE");
    json_add_text(params, "diskType", "DATA");
    json_add_text(params, "desc",
                  create->description ? create->description : "");
    json_add_text(params, "srcImgUUID",
                  create->parent ? create->img : UUID_BLANK);
    json_add_text(params, "srcVolUUID",
                  create->parent ? create->parent : UUID_BLANK);
    return params;
}

static int volume_create(struct cli *cli, const char *const *argv)
{
    struct create create = { 0 };
    int rc = parse_create(cli, argv, &create);
    if (rc)
        return rc;
    uuid_new(create.vol);
    uuid_new(create.img);
    if (create.image)
        (void)str_copy(create.img, sizeof(create.img), create.image);

    _cleanup_json_ struct json_object *result = NULL;
    _cleanup_json_ struct json_object *prepared = NULL;
    rc = cli_call(cli, "Volume.create", create_params(&create), &result);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Image.prepare",
                      ids(create.sd, create.img, create.vol), &prepared);
    if (rc)
        return rc;
    struct json_object *made =
        JSON_STRINGS("image", create.img, "volume", create.vol, "path",
                     json_text(prepared, "path"));
    return show_result(cli, made, show_object);
}

static int volume_info(struct cli *cli, const char *const *argv)
{
    struct args args;
    char sd[UUID_SIZE];
    struct json_object *info = NULL;
    int rc = cli_parse(cli, argv, NULL, 3, 3, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], sd);
    if (rc == CLI_OK)
        rc = cli_call(cli, "Volume.getInfo",
                      ids(sd, args.words[1], args.words[2]), &info);
    return rc ? rc : show_result(cli, info, show_object);
}

/* --- list: images, their volumes, each one's properties --- */

static const char *item(struct json_object *list, size_t i)
{
    return json_object_get_string(json_object_array_get_idx(list, i));
}

static int add_volumes(struct cli *cli, const char *sd, const char *img,
                       struct json_object *list)
{
    _cleanup_json_ struct json_object *volumes = NULL;
    int rc =
        cli_call(cli, "StorageDomain.getVolumes", ids(sd, img, NULL), &volumes);
    for (size_t i = 0; !rc && i < json_object_array_length(volumes); i++) {
        struct json_object *info = NULL;
        rc = cli_call(cli, "Volume.getInfo", ids(sd, img, item(volumes, i)),
                      &info);
        if (rc == CLI_OK)
            (void)json_object_array_add(list, info);
    }
    return rc;
}

static int add_images(struct cli *cli, const char *sd, struct json_object *list)
{
    _cleanup_json_ struct json_object *images = NULL;
    int rc =
        cli_call(cli, "StorageDomain.getImages", ids(sd, NULL, NULL), &images);
    for (size_t i = 0; !rc && i < json_object_array_length(images); i++)
        rc = add_volumes(cli, sd, item(images, i), list);
    return rc;
}

static void show_volumes(struct json_object *list)
{
    static const char *const headings[] = {
        "IMAGE", "VOLUME",     "FORMAT", "TYPE",        "ROLE",
        ">SIZE", ">ALLOCATED", "PARENT", "DESCRIPTION", NULL
    };
    struct table *table = table_new(headings);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        char size[UNITS_TEXT_SIZE];
        char used[UNITS_TEXT_SIZE];
        struct json_object *info = json_object_array_get_idx(list, i);
        const char *parent = json_text(info, "parent");
        TABLE_ROW(table, json_text(info, "image"), json_text(info, "uuid"),
                  json_text(info, "format"), json_text(info, "type"),
                  json_text(info, "voltype"),
                  units_size(json_u64(info, "capacity"), size),
                  units_size(json_u64(info, "truesize"), used),
                  str_equal(parent, UUID_BLANK) ? "" : parent,
                  json_text(info, "description"));
    }
    table_finish(table);
}

static int volume_list(struct cli *cli, const char *const *argv)
{
    struct args args;
    char sd[UUID_SIZE];
    int rc = cli_parse(cli, argv, NULL, 1, 2, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], sd);
    if (rc)
        return rc;
    _cleanup_json_ struct json_object *list = json_object_new_array();
    rc = args.words[1] ? add_volumes(cli, sd, args.words[1], list)
                       : add_images(cli, sd, list);
    return rc ? rc : show_result(cli, json_object_get(list), show_volumes);
}

static int volume_delete(struct cli *cli, const char *const *argv)
{
    struct args args;
    char sd[UUID_SIZE];
    int rc = cli_parse(cli, argv, NULL, 2, 3, &args);
    if (rc == CLI_OK)
        rc = resolve_domain(cli, args.words[0], sd);
    if (rc)
        return rc;
    const char *volume = args.words[2];
    struct json_object *params = ids(sd, args.words[1], volume);
    json_add_flag(params, "postZero", false);
    json_add_flag(params, "force", false);
    _cleanup_json_ struct json_object *result = NULL;
    rc = cli_call(cli, volume ? "Volume.delete" : "Image.delete", params,
                  &result);
    if (rc)
        return rc;
    if (cli->json)
        show_json(result);
    else if (volume)
        (void)printf("deleted volume %s\n", volume);
    else
        (void)printf("deleted image %s with all its volumes\n", args.words[1]);
    return CLI_OK;
}

const struct command volume_commands[] = {
    {"volume",                                  "create",
     "DOMAIN SIZE [--format raw|qcow2] [--preallocated] [--image IMAGE] "
      "[--parent VOLUME] [--description TEXT]", "Makes a volume of SIZE (K, M, G, T: powers of 1024) and prints its "
      "image, its\nUUID, and the path for the VM's disk.\n"
      "  --format        raw (default), or qcow2 (default with --parent)\n"
      "  --preallocated  takes all of its space now\n"
      "  --image         in this image instead of a new one\n"
      "  --parent        a layer over this volume of the image", volume_create },
    { "volume", "list", "DOMAIN [IMAGE]",
     "Lists a domain's volumes, or an image's.", volume_list },
    { "volume",                            "info", "DOMAIN IMAGE VOLUME", "Prints a volume's properties.",
     volume_info },
    { "volume",                                 "delete", "DOMAIN IMAGE [VOLUME]",
     "Deletes a volume. Without VOLUME: the image with all its volumes. "
      "Refused\nwhile a VM uses it.", volume_delete },
    { 0                        },
};
