/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bytes in JSON: base64.
 */
#ifndef DRAY_RPC_BLOB_H
#define DRAY_RPC_BLOB_H

#include <stddef.h>

struct json_object;

/* A string; NULL: no memory. */
struct json_object *rpc_blob_new(const void *data, size_t size);
/* -EINVAL: no base64, or empty; -ENOMEM. The caller frees *ret_data. */
int rpc_blob_read(const char *text, void **ret_data, size_t *ret_size);

#endif
