/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A joined block domain for tests, on fake-vg.c.
 */
#ifndef DRAY_TEST_DOMAIN_VG_H
#define DRAY_TEST_DOMAIN_VG_H

#include "fixture.h"

#define EXTENT (128ULL * MIB)

#define CALL(f, op, ...)                                                       \
    ((f)->port.ops->op((f)->port.ctx, __VA_ARGS__, FRESH(f)))

#define ASSERT_DONE(f, rc)                                                     \
    do {                                                                       \
        if ((rc) < 0)                                                          \
            fail_msg("%s", (f)->err.message);                                  \
    } while (0)

/* cmocka setup; fixture_free() is the teardown. */
int vg_fixture_new(void **state);
/* The room starts anew, as after a crash: everything is found as it was. */
void vg_fixture_restart(struct fixture *f);

/* Below the VG's directory (fake-vg.c). */
void vg_path(const struct fixture *f, char ret_path[PATH_MAX],
             const char *format, ...) __attribute__((format(printf, 3, 4)));
void vg_write(const struct fixture *f, const char *name, const char *text);
/* "" when there is none; the caller frees. */
char *vg_read(const struct fixture *f, const char *name);
bool vg_has(const struct fixture *f, const char *name);
bool vg_is_active(const struct fixture *f, const char *vol);
/* All volumes, as a reboot. */
void vg_deactivate(const struct fixture *f);
/* Changes the tags of an LV, as another host. */
void vg_tag(const struct fixture *f, const char *vol, const char *tags);

/* PREALLOCATED where it is RAW. */
struct volume_create vg_volume(const char *img, const char *vol,
                               const char *parent, enum volume_format format);

/* In image IMG: one volume; BASE, which is raw, MID and LEAF. */
void vg_make(struct fixture *f, const char *vol, const char *parent,
             enum volume_format format);
void vg_make_chain(struct fixture *f);

void vg_assert_tags(const struct fixture *f, const char *vol, const char *tags);
void vg_read_lv(const struct fixture *f, const char *lv, uint64_t offset,
                void *ret_data, size_t size);
bool vg_is_zero(const struct fixture *f, const char *lv, uint64_t offset,
                size_t size);
uint64_t vg_lv_bytes(const struct fixture *f, const char *lv);
/* Of a volume of IMG. */
enum volume_role vg_role(struct fixture *f, const char *vol);

/* The scan of a join. */
int vg_scan(struct fixture *f);

#endif
