/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Inside migrate/: what the checks of an engine's requests share.
 */
#ifndef DRAY_MIGRATE_ASK_H
#define DRAY_MIGRATE_ASK_H

#include "migration.h"

/* One request on its way to a job. */
struct asking {
    const struct migrate_ports *ports;
    const struct migrate_ask *ask;
    struct job *job; /* what was asked for is in it already */
    struct vm_info vm;
};

typedef int (*ask_fn)(struct asking *q, struct err *err);

int ask_replicate(struct asking *q, struct err *err); /* ask-replica.c */
int ask_snapshot(struct asking *q, struct err *err);  /* ask-vm.c */
int ask_merge(struct asking *q, struct err *err);     /* ask-vm.c */
int ask_clone(struct asking *q, struct err *err);     /* ask-image.c */
int ask_sync(struct asking *q, struct err *err);      /* ask-image.c */
int ask_copy(struct asking *q, struct err *err);      /* ask-image.c */
int ask_data(struct asking *q, struct err *err);      /* ask-data.c */
int ask_update(struct asking *q, struct err *err);    /* ask-data.c */

/* @cause with the number that the verb has for it; a VM that is not there and a
 * libvirtd that is away keep their own. */
int ask_refuse(struct err *err, enum err_code code, const struct err *cause);
/* The VM and its drive, which goes into the job's disk @i. */
int ask_find_drive(struct asking *q, size_t i, const char *vol,
                   struct vm_disk *ret_drive, struct err *err);
/* What is the matter with a drive for any work of ours; NULL: nothing. */
const char *ask_drive_problem(const struct vm_disk *drive);
/* Joined, ours to write, for disks. */
int ask_check_domain(const struct migrate_ports *ports, const char *sd,
                     struct err *err);
/* ERR_NO_SPACE, with the numbers. */
int ask_check_room(const struct migrate_ports *ports, const char *sd,
                   uint64_t required, struct err *err);
/* What a volume of the image @leaf or below will take there when it is copied
 * as it is. */
int ask_measure(const struct migrate_ports *ports,
                const struct volume_info *volume,
                const struct domain_info *target, bool leaf,
                uint64_t *ret_bytes, struct err *err);
/* image_chain(), at least one volume. */
int ask_chain(const struct migrate_ports *ports, const char *sd,
              const char *img, const char *leaf,
              struct storage_chain *ret_chain, struct err *err);
/* Both have the same volumes in the same order. ERR_IMAGE_CHAIN. */
int ask_compare_chains(const struct storage_chain *a,
                       const struct storage_chain *b, struct err *err);

/* Volumes @first .. @end of a chain may be written over: no VM has them.
 * ERR_VOLUME_BUSY. (users.c) */
int users_check_unused(const struct migrate_users *users,
                       const struct storage_chain *chain, size_t first,
                       size_t end, struct err *err);
/* No VM writes to them. ERR_VOLUME_BUSY. */
int users_check_still(const struct migrate_users *users,
                      const struct storage_chain *chain, size_t first,
                      size_t end, struct err *err);

#endif
