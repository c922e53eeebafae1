/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Values: one function per type of key, text -> field. Each says in @err what
 * is wrong with the text; the caller adds file, line and key.
 */
#ifndef DRAY_CONFIG_VALUE_H
#define DRAY_CONFIG_VALUE_H

#include <dray/base/err.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct value_bounds {
    uint64_t min; /* numbers, in the unit of the file */
    uint64_t max; /* the same; for text: the field's size in bytes */
};

typedef int (*value_set)(const char *text, const struct value_bounds *bounds,
                         void *field, struct err *err);

/* field: char[bounds->max] */
int value_set_path(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err);
/* The same; nothing: none. */
int value_set_path_or_none(const char *text, const struct value_bounds *bounds,
                           void *field, struct err *err);
/* A numeric IPv4 or IPv6 address, or nothing. */
int value_set_address_or_none(const char *text,
                              const struct value_bounds *bounds, void *field,
                              struct err *err);
int value_set_text(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err);
int value_set_host_name(const char *text, const struct value_bounds *bounds,
                        void *field, struct err *err);
/* field: unsigned */
int value_set_unsigned(const char *text, const struct value_bounds *bounds,
                       void *field, struct err *err);
int value_set_job_leases(const char *text, const struct value_bounds *bounds,
                         void *field, struct err *err);
int value_set_log_level(const char *text, const struct value_bounds *bounds,
                        void *field, struct err *err);
/* field: uint64_t, in bytes; the text is in KiB */
int value_set_kib(const char *text, const struct value_bounds *bounds,
                  void *field, struct err *err);
/* The same in MiB. */
int value_set_mib(const char *text, const struct value_bounds *bounds,
                  void *field, struct err *err);
/* field: bool */
int value_set_bool(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err);
/* field: uid_t, gid_t; a name or a number */
int value_set_user(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err);
int value_set_group(const char *text, const struct value_bounds *bounds,
                    void *field, struct err *err);
/* The same; nothing means nobody: (gid_t)-1. */
int value_set_group_or_none(const char *text, const struct value_bounds *bounds,
                            void *field, struct err *err);

/* Adds "@name @role\n" to the text in @field, of @size bytes. */
int value_add_role(const char *name, const char *role, char *field, size_t size,
                   struct err *err);

/* Adds "@name @peer\n": ADDRESS LIBVIRT_URI [MIGRATE_URI], in one blank each.
 */
int value_add_peer(const char *name, const char *peer, char *field, size_t size,
                   struct err *err);

/* The number of the group @name: 0, -ENOENT when there is none. */
int value_find_group(const char *name, gid_t *ret_gid);

#endif
