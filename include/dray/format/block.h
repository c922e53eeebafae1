/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * V5 on a volume group: metadata as tags and slots, places of leases. Pure,
 * like the rest of the room (format.h).
 */
#ifndef DRAY_FORMAT_BLOCK_H
#define DRAY_FORMAT_BLOCK_H

#include <dray/format.h>

enum {
    FORMAT_SLOT_FIRST = 1, /* 0 is reserved */
    FORMAT_SLOT_LAST = 1947,
    FORMAT_SLOT_LEASE_BASE = 100, /* of slot n: lease area 100 + n */
    FORMAT_SDM_AREA = 1,
    FORMAT_TAG_SIZE = 1025,       /* LVM's limit and a NUL */
    FORMAT_BLOCK_NAME_CHARS = 50, /* of a domain's DESCRIPTION */
    FORMAT_EXTENT_SIZE = 128 * 1024 * 1024,
    FORMAT_PV_MDAS = 2, /* metadata areas: at both ends of each PV */
    FORMAT_PV_MDA_SIZE = 128 * 1024 * 1024,
    FORMAT_PV_MDA_MIN = 64 * 1024 * 1024, /* smaller: an unhealthy VG */
    FORMAT_PV_NAME_SIZE = 128,
    FORMAT_PV_UUID_SIZE = 39,
};

#define FORMAT_VG_TAG         "RHAT_storage_domain"
#define FORMAT_VG_TAG_UNREADY "RHAT_storage_domain_UNREADY"
#define FORMAT_LV_TAG_UNREADY "OVIRT_VOL_INITIALIZING"

/* 512 and 1 MiB, as VDSM makes them, or for disks with sectors of 4096 bytes
 * 8 MiB: in smaller areas a lease's LVB is over its neighbour. */
bool format_block_geometry_is_valid(unsigned block_size, unsigned alignment);

/* --- special LVs --- */

struct format_special_lv {
    const char *name;
    uint64_t size_bytes; /* at least; LVM rounds up */
    unsigned areas;      /* of leases that it should have room for; 0: none */
};

/* What is asked for. Areas of 8 MiB are many GiB: they take no more than a
 * sixteenth of the VG, but the least they may have. */
uint64_t format_special_lv_size(const struct format_special_lv *lv,
                                unsigned alignment, uint64_t vg_bytes);

/* In the order of their creation; the first must start at extent 0 of the
 * metadata PV. Ends with a NULL name. "master" is not among them: only a
 * pool's manager makes it. */
const struct format_special_lv *format_special_lvs(void);
/* "master" is one, too. */
bool format_is_special_lv(const char *name);

/* --- slots --- */

bool format_slot_is_valid(unsigned slot);
/* The last one that has its lease in an LV "leases" of this size. */
unsigned format_slot_last(uint64_t leases_bytes, unsigned alignment);
/* Of a valid slot: in the LV "metadata", in the LV "leases". */
uint64_t format_slot_offset(unsigned slot);
uint64_t format_slot_lease_offset(unsigned slot, unsigned alignment);

/* What is written at a slot's offset: the record, padded with NULs. Reading it
 * back is format_volume_parse(). */
int format_slot_build(const struct format_volume *volume,
                      char ret_slot[FORMAT_VOLUME_SIZE], struct err *err);

/* Which slots LVs name. Zero-initialise. */
struct format_slots {
    bool used[FORMAT_SLOT_LAST + 1];
};

/* False when it is no valid slot, or used already: two volumes with one slot
 * are damage. */
bool format_slots_add(struct format_slots *slots, unsigned slot);
/* The lowest free one up to @last (format_slot_last()); ERR_NO_SPACE when the
 * domain has all its volumes. */
int format_slots_choose(const struct format_slots *slots, unsigned last,
                        unsigned *ret_slot, struct err *err);

/* --- tags of a volume's LV --- */

enum format_removal {
    FORMAT_KEPT,
    FORMAT_REMOVED,      /* _remove_me_: to be removed at any time */
    FORMAT_REMOVED_ZERO, /* _remove_me_ZERO_: wiped before */
};

struct format_volume_tags {
    bool initializing; /* half-made: nothing else is known */
    unsigned slot;
    char image[UUID_SIZE];
    char parent[UUID_SIZE]; /* UUID_BLANK: none */
    enum format_removal removal;
};

/* Other tags are ignored. ERR_METADATA_VALIDATION when one of the three is
 * missing, there twice, or says what it cannot. */
int format_volume_tags_parse(const char *const *tags, size_t n,
                             struct format_volume_tags *ret_tags,
                             struct err *err);

struct format_volume_tag_texts {
    char slot[16];
    char image[64];
    char parent[64];
};
void format_volume_tags_text(const struct format_volume_tags *tags,
                             struct format_volume_tag_texts *ret_texts);

/* --- a domain's metadata as tags of its VG --- */

struct format_tags {
    size_t n;
    char **tags;
};
void format_tags_deinit(struct format_tags *tags);

/* "MDT_KEY=VALUE", encoded, with a fresh checksum, sorted by key.
 * ERR_METADATA_OVERFLOW when one is longer than LVM allows. */
int format_domain_tags(const struct format_domain *domain,
                       struct format_tags *ret_tags, struct err *err);

/* From all tags of a VG: others than MDT_ are passed over, the checksum is
 * verified. */
int format_domain_from_tags(const char *const *tags, size_t n,
                            struct format_domain *ret_domain, struct err *err);

/* What one vgchange must add and remove so that of the MDT_ tags in @old those
 * in @new are left; the others stay. */
int format_tags_change(const char *const *old_tags, size_t n,
                       const struct format_tags *new_tags,
                       struct format_tags *ret_add,
                       struct format_tags *ret_remove, struct err *err);

/* --- the PV map: values of PV0, PV1, ... --- */

struct format_pv {
    char name[FORMAT_PV_NAME_SIZE]; /* base name of the device: the WWID */
    char uuid[FORMAT_PV_UUID_SIZE];
    uint64_t extents;
    uint64_t first_extent; /* in the map */
};

bool format_pv_text(const struct format_pv *pv, char *ret_text, size_t size);
int format_pv_parse(const char *text, struct format_pv *ret_pv,
                    struct err *err);

#endif
