/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Port: storage domains, images, volumes. Implemented by domain/ (and by
 * tests/fakes). Every call may block and may be made from any worker thread;
 * none on the owner loop. What changes structure happens under the domain's
 * SDM lease, inside the call. Every change may be repeated: what is already as
 * asked is success (unless noted). Errors carry VDSM's numbers (codes.h):
 * unknown domain ERR_NO_DOMAIN, image ERR_NO_IMAGE, volume ERR_NO_VOLUME.
 *
 * Sizes are bytes. UUIDs were checked (uuid_is_valid) by the caller.
 */
#ifndef DRAY_PORTS_STORAGE_H
#define DRAY_PORTS_STORAGE_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum volume_format {
    VOLUME_RAW,
    VOLUME_COW
};
enum volume_allocation {
    VOLUME_SPARSE,
    VOLUME_PREALLOCATED
};
enum volume_role {
    VOLUME_LEAF,
    VOLUME_INTERNAL,
    VOLUME_SHARED
};
enum volume_legality {
    VOLUME_LEGAL,
    VOLUME_ILLEGAL,
    VOLUME_FAKE
};

enum {
    DOMAIN_NAME_SIZE = 256,
    DOMAIN_CHAIN_MAX = 256,        /* layers of one image that we accept */
    VOLUME_DESCRIPTION_SIZE = 513, /* a V5 record is 512 bytes in all */
    VOLUME_GENERATION_MAX = 999,   /* 0 follows */
    VOLUME_DIGEST_SIZE = 65,       /* SHA-256 in hexadecimal digits */
    DOMAIN_TYPE_POSIXFS = 6,       /* VDSM's numbers of domain types */
    DOMAIN_TYPE_NFS = 1,
    DOMAIN_TYPE_FCP = 2, /* both: a volume group */
    DOMAIN_TYPE_ISCSI = 3,
    DOMAIN_TYPE_LOCALFS = 4,
    DOMAIN_DEVICES_MAX = 32, /* PVs of a block domain that we accept */
    DOMAIN_DEVICE_SIZE = 128,
    DOMAIN_REMOTE_SIZE = 256, /* SERVER:/PATH */
    DOMAIN_OPTIONS_SIZE = 512,
};

struct volume_id {
    char sd[UUID_SIZE];
    char img[UUID_SIZE];
    char vol[UUID_SIZE];
};

/* Owner of a volume's or domain's lease, as read without taking it. */
struct lease_state {
    bool present;        /* a readable lease is there */
    uint64_t owner_host; /* 0: free */
    uint64_t version;    /* sanlock's lver */
    char path[PATH_MAX];
    uint64_t offset;
};

struct volume_info {
    struct volume_id id;
    char parent[UUID_SIZE]; /* UUID_BLANK: none */
    enum volume_format format;
    enum volume_allocation allocation;
    enum volume_role role;
    enum volume_legality legality;
    /* The image that it was made in: of a template that id.img is based on its
     * own, else id.img. */
    char home[UUID_SIZE];
    uint64_t capacity; /* virtual size */
    uint64_t ctime_s;
    unsigned generation;
    uint32_t sequence;
    char disk_type[8]; /* "DATA", ... */
    char description[VOLUME_DESCRIPTION_SIZE];
    bool block;              /* on an LV: COW may need more space any time */
    uint64_t apparent_bytes; /* st_size; of the LV */
    uint64_t true_bytes;     /* allocated: st_blocks * 512; of the LV */
    char path[PATH_MAX];     /* what a VM's disk gets as its source */
};

/* base .. leaf. Zero-initialise; release with storage_chain_deinit(). */
struct storage_chain {
    size_t n;
    struct volume_info *volumes;
};

static inline void storage_chain_deinit(struct storage_chain *chain)
{
    free(chain->volumes);
    chain->volumes = NULL;
    chain->n = 0;
}

enum domain_status {
    DOMAIN_LEFT,    /* known, not used by this host */
    DOMAIN_JOINING, /* sanlock is acquiring the host id */
    DOMAIN_JOINED,
    DOMAIN_MISSING, /* should be joined; see domain_info.problem; retried */
};

struct domain_info {
    char sd[UUID_SIZE];
    char name[DOMAIN_NAME_SIZE];
    char path[PATH_MAX]; /* the directory that holds SD/; block: /dev */
    char remote[DOMAIN_REMOTE_SIZE]; /* the export that we mount there; empty:
                                        none, path is somebody else's */
    char mount_options[DOMAIN_OPTIONS_SIZE]; /* as they were given */
    unsigned type;                           /* DOMAIN_TYPE_... */
    bool block;       /* a volume group, whose name is SD */
    size_t n_devices; /* its PVs, as this host calls them */
    char devices[DOMAIN_DEVICES_MAX][DOMAIN_DEVICE_SIZE];
    uint64_t extent_bytes; /* 0: not block */
    char vg_uuid[40];      /* empty: not block */
    char class_name[8];    /* Data, Iso, Backup */
    char role[8];          /* Regular, Master */
    char pools[1024];      /* comma separated pool ids; empty: not attached */
    unsigned version;      /* 5 */
    unsigned block_size;
    unsigned alignment;
    enum domain_status status;
    bool read_only;   /* attached to an oVirt pool: we only look */
    unsigned host_id; /* ours in it, 0 while not joined */
    /* Why DOMAIN_MISSING; of a joined one why its storage cannot be reached; of
     * one that was left what is left of its mount. Else empty. */
    char problem[256];
};

struct domain_stats {
    uint64_t total_bytes;
    uint64_t free_bytes; /* what an unprivileged user could still take */
    bool unwritable;     /* the file system is mounted read-only */
    /* Block: the metadata area of the VG; 0: a file domain. */
    uint64_t mda_bytes, mda_free_bytes;
};

struct domain_create {
    char sd[UUID_SIZE];
    char name[DOMAIN_NAME_SIZE];
    char path[PATH_MAX]; /* or an NFS export, SERVER:/PATH; empty: block */
    char mount_options[DOMAIN_OPTIONS_SIZE]; /* of the export */
    unsigned type;
    const char *const *devices; /* block: the VG's PVs, metadata on the first */
    size_t n_devices;
    bool force;             /* devices that hold something else lose it */
    const char *class_name; /* "Data" */
    unsigned block_size;    /* 512 */
    unsigned max_hosts;     /* 1..2000 */
};

struct volume_create {
    struct volume_id id;
    char parent_img[UUID_SIZE]; /* UUID_BLANK or same image, or a template's */
    char parent[UUID_SIZE];     /* UUID_BLANK: none */
    enum volume_format format;
    enum volume_allocation allocation;
    enum volume_legality legality;
    uint64_t capacity; /* rounded up to 4096 */
    /* Block, COW and SPARSE: the LV's first size; 0: one chunk. More than the
     * full qcow2 needs is cut to that. */
    uint64_t initial_bytes;
    uint32_t sequence;
    char disk_type[8];
    char description[VOLUME_DESCRIPTION_SIZE];
    /* Structure for a copy: the volume is made in role INTERNAL right away
     * when a child follows. Its parent's role is not touched. */
    bool clone;
    enum volume_role role; /* with clone only */
};

/* What becomes of a volume's record, in one write. */
struct volume_update {
    unsigned expected_generation; /* else ERR_GENERATION, nothing is done */
    unsigned generation;          /* the new one, 0 .. VOLUME_GENERATION_MAX */
    bool set_legality;
    enum volume_legality legality;
    bool share;              /* from LEAF without a parent to SHARED */
    const char *description; /* NULL: it stays */
};

/* A list of UUIDs; release with uuid_list_deinit(). */
struct uuid_list {
    size_t n;
    char (*uuids)[UUID_SIZE];
};

static inline void uuid_list_deinit(struct uuid_list *list)
{
    free(list->uuids);
    list->uuids = NULL;
    list->n = 0;
}

/* As qemu-img measures it: bytes of a file that holds the volume. */
struct volume_measure {
    uint64_t required;
    uint64_t fully_allocated;
    uint64_t bitmaps; /* 0: none, or a format without */
};

/* As qemu-img sees the volume; formats come from our record. */
struct volume_qemu_info {
    enum volume_format format;
    uint64_t virtual_size;
    uint64_t cluster_size; /* 0: raw */
    char backing_file[PATH_MAX];
    char compat[8]; /* "1.1"; empty: raw */
    size_t n_bitmaps;
    char (*bitmaps)[UUID_SIZE * 4]; /* their names; the caller frees */
};

/* Bytes of a layer's file or LV. */
struct volume_piece {
    uint64_t offset;
    void *data;
    size_t size; /* reading: room in data; all three multiples of 4096 */
    /* Reading: so many were read. Where nothing is stored none are, and next is
     * where something is, or the end of all. At the end: 0, next is offset.
     * Else next follows what was read. */
    size_t n;
    uint64_t next;
};

/* Of so many bytes from offset on; holes are zeros. */
struct volume_digest {
    uint64_t offset, size;
    uint64_t n; /* there are: fewer at the end */
    char hex[VOLUME_DIGEST_SIZE];
};

/* Something outside all domains: file, block device, or URI. */
struct outside_info {
    bool exists;
    bool block;          /* a block device */
    bool network;        /* a URI */
    uint64_t capacity;   /* what a guest would see; 0: it is not there, or is no
                            qcow2 that stands alone */
    uint64_t bytes;      /* size of its contents (st_size, of the device) */
    uint64_t true_bytes; /* allocated; bytes where that is not known */
    uint64_t free_bytes; /* of the file system it is, or would be, in;
                            UINT64_MAX: not known */
};

/* Something in a domain that is not as it should be. */
enum audit_kind {
    AUDIT_LEFTOVER, /* of a creation or removal that broke off */
    AUDIT_ORPHAN,   /* LV, slot, file or lease that belongs to nothing */
    AUDIT_MISMATCH, /* tags, records and headers contradict each other */
    AUDIT_IDLE,     /* active here, and nobody has it open */
};

struct audit_finding {
    enum audit_kind kind;
    char img[UUID_SIZE]; /* empty: none, or not known */
    char vol[UUID_SIZE];
    char text[256];   /* what is wrong, of which thing */
    char repair[128]; /* what a repair does; empty: a person must decide */
    bool repaired;
};

/* Release with domain_audit_deinit(). */
struct domain_audit {
    size_t n;
    struct audit_finding *findings;
};

static inline void domain_audit_deinit(struct domain_audit *audit)
{
    free(audit->findings);
    audit->findings = NULL;
    audit->n = 0;
}

/* Where a domain is: all NULL for one that is known from before. */
struct domain_place {
    const char *path;          /* a directory, a device, or an NFS export */
    const char *mount_options; /* of the export; NULL: as before, or ours */
};

struct storage_ops {
    /* --- domains --- */
    /* An export is mounted for the time of the call. */
    int (*domain_create)(void *ctx, const struct domain_create *spec,
                         struct err *err);
    /* @sd may be NULL when @place holds one domain, place->path when the
     * domain is known from before. Blocks until the host id is acquired.
     * Joined already: success. Scans for and mends what a crash left. An export
     * is mounted as long as the domain is joined. ERR_MOUNT. */
    int (*domain_join)(void *ctx, const char *sd,
                       const struct domain_place *place, char ret_sd[UUID_SIZE],
                       struct err *err);
    /* Refused (ERR_RELEASE_HOST_ID) while leases are held, or another process
     * has a volume open. Left: success. An export that could not be unmounted:
     * success, and the domain's problem says why. */
    int (*domain_leave)(void *ctx, const char *sd, struct err *err);
    /* Whether the storage of a joined file domain answers; others: 0. The
     * domain's problem says what was found, until it answers. Some seconds at
     * most. */
    int (*domain_probe)(void *ctx, const char *sd, struct err *err);
    /* Known domains; the caller frees *ret_infos. Never touches storage. */
    int (*domain_list)(void *ctx, struct domain_info **ret_infos, size_t *ret_n,
                       struct err *err);
    /* @name_or_sd -> UUID. Never touches storage. ERR_NO_DOMAIN; ERR_VALUE when
     * two domains have the name. */
    int (*domain_find)(void *ctx, const char *name_or_sd,
                       char ret_sd[UUID_SIZE], struct err *err);
    /* Reads the metadata anew. */
    int (*domain_info)(void *ctx, const char *sd, struct domain_info *ret_info,
                       struct err *err);
    int (*domain_stats)(void *ctx, const char *sd,
                        struct domain_stats *ret_stats, struct err *err);
    /* A block domain gets more PVs; those it has already are fine. */
    int (*domain_grow)(void *ctx, const char *sd, const char *const *devices,
                       size_t n_devices, bool force, struct err *err);
    /* Several changes of a file domain follow, until the other of these two:
     * its SDM lease, once taken for one, may stay with this host for the next
     * one, for a quarter of a second. Calls nest. Never fail. */
    void (*domain_keep)(void *ctx, const char *sd);
    void (*domain_keep_no_more)(void *ctx, const char *sd);
    /* Between these two: a change follows in a moment. What it has to wait for
     * begins now, in the background. */
    void (*domain_soon)(void *ctx, const char *sd);
    /* Looks at everything; with @repair mends, under the SDM lease, what can be
     * mended without a doubt. */
    int (*domain_audit)(void *ctx, const char *sd, bool repair,
                        struct domain_audit *ret_audit, struct err *err);
    int (*domain_images)(void *ctx, const char *sd, struct uuid_list *ret_list,
                         struct err *err);
    /* @img NULL: of all images. */
    int (*domain_volumes)(void *ctx, const char *sd, const char *img,
                          struct uuid_list *ret_list, struct err *err);

    /* --- images --- */
    /* The whole chain of @leaf (NULL: the image's leaf), checked: complete, no
     * loop, one leaf, qcow2 headers naming the recorded parents
     * (ERR_IMAGE_CHAIN). */
    int (*image_chain)(void *ctx, const char *sd, const char *img,
                       const char *leaf, struct storage_chain *ret_chain,
                       struct err *err);
    /* Makes run_dir/storage/SD/IMG and checks legality (ERR_VOLUME_ILLEGAL);
     * block: activates the LVs of the chain, and refreshes those that were
     * active. *ret_path: the leaf's path, for a VM. */
    int (*image_prepare)(void *ctx, const struct volume_id *id,
                         bool allow_illegal, char ret_path[PATH_MAX],
                         struct err *err);
    /* Block: deactivates; ERR_VOLUME_BUSY when somebody has an LV open. */
    int (*image_teardown)(void *ctx, const char *sd, const char *img,
                          struct err *err);
    /* ERR_NO_IMAGE when there is none (recovery treats that as done);
     * ERR_VOLUME_SHARED when a template is in use; ERR_VOLUME_BUSY when a
     * qemu process has one of its volumes open. */
    int (*image_delete)(void *ctx, const char *sd, const char *img,
                        struct err *err);

    /* --- volumes --- */
    /* ERR_VOLUME_EXISTS when the volume is there already, complete. */
    int (*volume_create)(void *ctx, const struct volume_create *spec,
                         struct err *err);
    int (*volume_delete)(void *ctx, const struct volume_id *id,
                         struct err *err);
    int (*volume_info)(void *ctx, const struct volume_id *id,
                       struct volume_info *ret_info, struct err *err);
    int (*volume_lease)(void *ctx, const struct volume_id *id,
                        struct lease_state *ret_lease, struct err *err);
    int (*volume_set_legality)(void *ctx, const struct volume_id *id,
                               enum volume_legality legality, struct err *err);
    /* Compares and sets, under the domain's lease. A volume that is no leaf, or
     * has a parent, cannot be shared: ERR_VOLUME_UPDATE. */
    int (*volume_update)(void *ctx, const struct volume_id *id,
                         const struct volume_update *update, struct err *err);
    /* Empties the data of a volume made for a copy: a fresh file of the same
     * format, size and backing. Refused (ERR_VOLUME_BUSY) when open in qemu,
     * and unless the volume is ILLEGAL. */
    int (*volume_reset)(void *ctx, const struct volume_id *id, struct err *err);
    /* Takes the space that a raw PREALLOCATED volume promises and a copy made
     * sparse; its data stays, and a VM may be writing it. Any other volume: 0.
     * -EOPNOTSUPP where the file system cannot, ERR_NO_SPACE. */
    int (*volume_preallocate)(void *ctx, const struct volume_id *id,
                              struct err *err);

    /* --- volumes on LVs; a file has what it needs: 0, nothing is done --- */
    /* The LV becomes at least @bytes long, in whole extents, here and in the
     * kernel when it is active: never less than it is, so it may be repeated.
     * Before all other changes of the VG. *ret_bytes: its size now.
     * ERR_NO_SPACE: the VG has not so much left. @deadline_ms: absolute. */
    int (*volume_grow)(void *ctx, const struct volume_id *id, uint64_t bytes,
                       int64_t deadline_ms, uint64_t *ret_bytes,
                       struct err *err);
    /* A COW volume's LV shrinks to what its qcow2 uses and @spare_bytes.
     * ERR_VOLUME_BUSY when a process has it open for writing. */
    int (*volume_shrink)(void *ctx, const struct volume_id *id,
                         uint64_t spare_bytes, uint64_t *ret_bytes,
                         struct err *err);
    /* Whether its storage answers: reads a block past the page cache. Takes
     * @patience_ms at most, then -ETIMEDOUT. Files, too. */
    int (*volume_probe)(void *ctx, const struct volume_id *id, int patience_ms,
                        struct err *err);
    /* All that waits for the LV fails at once, and whatever comes later, until
     * it is torn down: the way to free a qemu from a dead destination. A file:
     * -EOPNOTSUPP. */
    int (*volume_sever)(void *ctx, const struct volume_id *id, struct err *err);

    /* Makes it at least @bytes (rounded up to 4096) large: VDSM's extendSize.
     * COW: 0, nothing to do. Shared ERR_VOLUME_NOT_WRITABLE; smaller than it
     * is: ERR_VOLUME_RESIZE. */
    int (*volume_extend)(void *ctx, const struct volume_id *id, uint64_t bytes,
                         struct err *err);
    /* @base NULL: the whole chain; "" : this layer alone; else down to that
     * direct parent (another: ERR_UNSUPPORTED_STORAGE). */
    int (*volume_measure)(void *ctx, const struct volume_id *id,
                          enum volume_format format, const char *base,
                          struct volume_measure *ret_measure, struct err *err);
    int (*volume_qemu_info)(void *ctx, const struct volume_id *id,
                            struct volume_qemu_info *ret_info, struct err *err);
    /* The image's records become what the chain really is: @vols, base first.
     * A leaf of the records that is not in it becomes ILLEGAL; over missing
     * internal volumes their child gets the volume below as its parent; the new
     * leaf gets role LEAF, is LEGAL, and has the old leaf's capacity if that is
     * larger. Nothing is deleted. ERR_IMAGE_CHAIN when @vols is no part of the
     * image, in order. */
    int (*image_sync_chain)(void *ctx, const char *sd, const char *img,
                            const struct uuid_list *vols, struct err *err);
    /* Commits the data of @top into its parent, for a VM that does not run;
     * the records stay. May be repeated. ERR_VOLUME_BUSY: somebody has it open.
     */
    int (*volume_commit)(void *ctx, const struct volume_id *top,
                         struct err *err);
    /* The qcow2 headers' chain of @leaf, base first (no VM may run on it).
     * ERR_IMAGE_CHAIN when a header names what the image does not have. */
    int (*image_header_chain)(void *ctx, const char *sd, const char *img,
                              const char *leaf, struct uuid_list *ret_vols,
                              struct err *err);
    /* volume_create() of a list, base first, under one SDM lease. Those that
     * exist and are what is asked for (format, capacity, legality, parent) are
     * fine; another in the way: ERR_VOLUME_EXISTS. */
    int (*volumes_create)(void *ctx, const struct volume_create *specs,
                          size_t n, struct err *err);

    /* --- bytes of a layer, as its file or LV has them: another host gets them
     * --- */

    int (*volume_read)(void *ctx, const struct volume_id *id,
                       struct volume_piece *piece, struct err *err);
    /* piece->size bytes into a file that is to become a copy, so it is ILLEGAL
     * (else ERR_VOLUME_BUSY); on an LV: -EOPNOTSUPP. At offset 0 it is emptied
     * before. */
    int (*volume_write)(void *ctx, const struct volume_id *id,
                        const struct volume_piece *piece, struct err *err);
    /* The copy has @size bytes, and is durable. As above. */
    int (*volume_end)(void *ctx, const struct volume_id *id, uint64_t size,
                      struct err *err);
    int (*volume_digest)(void *ctx, const struct volume_id *id,
                         struct volume_digest *digest, struct err *err);

    /* --- outside of domains --- */
    /* @place: absolute path or URI. Not there: 0, with exists false. */
    int (*outside_info)(void *ctx, const char *place, enum volume_format format,
                        struct outside_info *ret, struct err *err);
    /* Makes a file (which must not be there, or be empty), or formats a block
     * device with qcow2; does nothing for a raw device or a raw URI. Another
     * file in the way: ERR_VOLUME_EXISTS; qcow2 at a URI: ERR_UNSUPPORTED. */
    int (*outside_create)(void *ctx, const char *place,
                          enum volume_format format, uint64_t capacity,
                          struct err *err);
    /* Makes an empty qcow2 over @backing, a place, as outside_create() makes a
     * file; one that it made before is made anew, unless a process has it
     * open: ERR_VOLUME_BUSY. */
    int (*outside_overlay)(void *ctx, const char *place, const char *backing,
                           enum volume_format backing_format, uint64_t capacity,
                           struct err *err);
    /* As volume_commit(), of such an overlay. Not there: ERR_NO_VOLUME. */
    int (*outside_commit)(void *ctx, const char *place, struct err *err);
    /* What outside_create() made is the caller's for good: a later
     * outside_remove() leaves it alone. */
    int (*outside_keep)(void *ctx, const char *place, struct err *err);
    /* Unlinks a file that outside_create() made for us and nobody kept;
     * anything else: 0. No VM may have it. */
    int (*outside_remove)(void *ctx, const char *place, struct err *err);

    /* Which joined domain's volume a path is (any spelling: links resolved).
     * ERR_NO_DISK when it is none of ours. */
    int (*locate)(void *ctx, const char *path, struct volume_id *ret_id,
                  struct err *err);
};

struct storage_port {
    void *ctx;
    const struct storage_ops *ops;
};

const char *volume_format_name(enum volume_format format); /* RAW, COW */
const char *volume_allocation_name(enum volume_allocation allocation);
const char *volume_role_name(enum volume_role role);
const char *volume_legality_name(enum volume_legality legality);
const char *domain_status_name(enum domain_status status); /* joined, ... */

#endif
