/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See blob.h. GnuTLS does the work; what it allocates is not ours to free().
 */
#include <dray/rpc/blob.h>

#include <errno.h>
#include <gnutls/gnutls.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

/* GnuTLS does not write to what it is given, but does not say so. */
static gnutls_datum_t borrow(const void *data, size_t size)
{
    gnutls_datum_t datum = { .size = (unsigned)size };

    memcpy(&datum.data, &data, sizeof(data));
    return datum;
}

struct json_object *rpc_blob_new(const void *data, size_t size)
{
    const gnutls_datum_t raw = borrow(data, size);
    gnutls_datum_t text = { .data = NULL };
    struct json_object *string = NULL;

    if (gnutls_base64_encode2(&raw, &text) < 0)
        return NULL;
    string =
        json_object_new_string_len((const char *)text.data, (int)text.size);
    gnutls_free(text.data);
    return string;
}

int rpc_blob_read(const char *text, void **ret_data, size_t *ret_size)
{
    const gnutls_datum_t in = borrow(text, strlen(text));
    gnutls_datum_t raw = { .data = NULL };
    void *data;

    if (gnutls_base64_decode2(&in, &raw) < 0)
        return -EINVAL;
    data = raw.size ? malloc(raw.size) : NULL;
    if (data)
        memcpy(data, raw.data, raw.size);
    *ret_data = data;
    *ret_size = raw.size;
    gnutls_free(raw.data);
    if (data)
        return 0;
    return *ret_size ? -ENOMEM : -EINVAL;
}
