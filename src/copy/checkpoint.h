/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * How far a copy has come, in a file of this host that outlives the daemon and
 * the host's power: <dir>/<key>.
 */
#ifndef DRAY_COPY_CHECKPOINT_H
#define DRAY_COPY_CHECKPOINT_H

#include "ring.h"
#include "side.h"
#include <dray/ports/copier.h>

enum {
    CHECKPOINT_RECORD = 512,
};

struct checkpoint {
    char path[PATH_MAX]; /* empty: this copy has none */
    int fd;
    uint64_t sequence;
    char record[CHECKPOINT_RECORD]; /* being written */
};

#define CHECKPOINT_INIT                                                        \
    {                                                                          \
        .fd = -1                                                               \
    }

bool checkpoint_key_is_valid(const char *key);

/* Names the file. No @dir or no key: no checkpoints. */
int checkpoint_init(struct checkpoint *checkpoint, const char *dir,
                    const char *key, struct err *err);
void checkpoint_deinit(struct checkpoint *checkpoint);

/* Whether there is a whole checkpoint of this copy of these two sides; all
 * before *ret_at is on the destination. Tries its word: the last piece of data
 * before it must be equal on both sides. */
bool checkpoint_find(struct checkpoint *checkpoint, const struct pair *pair,
                     const struct copy_spec *spec, uint64_t *ret_at);

/* A new one at 0, in the place of any other; durable before it returns. */
int checkpoint_start(struct checkpoint *checkpoint, const struct pair *pair,
                     const struct copy_spec *spec, struct err *err);

/* Prepares @op as the write that says @at; durable when it has ended. A crash
 * in the middle leaves the one before. */
void checkpoint_prepare(struct checkpoint *checkpoint, uint64_t at,
                        struct ring_op *op);

/* The same, at once. */
int checkpoint_save(struct checkpoint *checkpoint, uint64_t at,
                    struct err *err);

/* Durably away. */
int checkpoint_remove(struct checkpoint *checkpoint, struct err *err);

#endif
