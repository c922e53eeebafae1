/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * oVirt's V5 storage domain format and the two formats it holds inside (qcow2,
 * sanlock): bytes <-> structs. Pure: no I/O, no clock, no global state; any
 * thread. Every parser takes (data, size) of untrusted bytes, changes its
 * output only on success, and names the key or field that is wrong in @err
 * (ERR_METADATA_VALIDATION unless noted); the caller adds the file's name.
 */
#ifndef DRAY_FORMAT_H
#define DRAY_FORMAT_H

#include <dray/base/err.h>
#include <dray/base/util.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FORMAT_VERSION = 5,
    FORMAT_SHA1_HEX_SIZE = 41,
    FORMAT_DOMAIN_TEXT_MAX = 64 * 1024, /* a domain's metadata file */
    FORMAT_VOLUME_SIZE = 512,           /* a volume's record, at most */
    FORMAT_DESCRIPTION_CHARS = 210,
    FORMAT_GENERATION_MAX = 999,
    FORMAT_HOSTS_MAX = 2000,
    FORMAT_XLEASES_SIZE = 253952, /* the index: header and records */
    FORMAT_XLEASES_RECORDS = 3960,
    FORMAT_XLEASES_HEADER_SIZE = 512,
    FORMAT_XLEASE_SIZE = 64, /* one record */
    FORMAT_LVB_SIZE = 512,
    FORMAT_JOB_HOST_SIZE = 64,
    FORMAT_MAILBOX_SIZE = 16 * 1024 * 1024,
    FORMAT_QCOW2_HEAD_SIZE = 64 * 1024, /* what a header reader wants to see */
    FORMAT_LEADER_SIZE = 512,
};

/* --- text --- */

/* One line, of valid UTF-8, free of every character that ends a line for any
 * reader of the format (LF, CR, VT, FF, FS..RS, NEL, LS, PS). */
bool format_text_is_line(const char *text);

/* SHA-1 of @data as lower case hex. For the format's checksum, not security. */
void format_sha1_hex(const void *data, size_t size,
                     char ret_hex[FORMAT_SHA1_HEX_SIZE]);

/* --- geometry: sanlock's areas --- */

/* The alignment that @max_hosts need on @block_size; ERR_VALUE for others than
 * 512 and 4096 or hosts outside 1..2000. */
int format_alignment(unsigned block_size, unsigned max_hosts,
                     unsigned *ret_alignment, struct err *err);

/* Whether the pair is one that the format knows. */
bool format_geometry_is_valid(unsigned block_size, unsigned alignment);

/* --- domain metadata --- */

struct format_pair {
    char *key;
    char *value;
};

/* KEY=VALUE pairs, sorted by key, unknown ones kept, without the checksum.
 * Zero-initialise; release with format_domain_deinit(). */
struct format_domain {
    size_t n;
    struct format_pair *pairs;
};

/* What the pairs say, checked. Pointers into the pairs. */
struct format_domain_facts {
    const char *sd;
    const char *name;
    const char *type;       /* NFS, POSIXFS, ... */
    const char *class_name; /* Data, Iso, Backup */
    const char *role;       /* Master, Regular */
    const char *pools;      /* comma separated; empty: not attached */
    const char *remote_path;
    unsigned version;
    unsigned block_size;
    unsigned alignment;
};

void format_domain_deinit(struct format_domain *domain);

/* Text of a metadata file, checksum verified. A missing checksum is wrong. */
int format_domain_parse(const void *data, size_t size,
                        struct format_domain *ret_domain, struct err *err);

/* NULL when there is no such key. */
const char *format_domain_get(const struct format_domain *domain,
                              const char *key);

/* Adds or replaces; copies both. ERR_VALUE when @value is no single line. */
int format_domain_set(struct format_domain *domain, const char *key,
                      const char *value, struct err *err);

/* The checksum over all pairs. */
int format_domain_checksum(const struct format_domain *domain,
                           char ret_hex[FORMAT_SHA1_HEX_SIZE], struct err *err);

/* The file's text with a fresh checksum; the caller frees *ret_text. */
int format_domain_text(const struct format_domain *domain, char **ret_text,
                       size_t *ret_size, struct err *err);

/* Every key of the format there and within its values. */
int format_domain_check(const struct format_domain *domain,
                        struct format_domain_facts *ret_facts, struct err *err);

/* --- volume metadata --- */

/* Same order as the enums of ports/storage.h, which this room may not know. */
enum format_kind {
    FORMAT_RAW,
    FORMAT_COW
};
enum format_allocation {
    FORMAT_SPARSE,
    FORMAT_PREALLOCATED
};
enum format_role {
    FORMAT_LEAF,
    FORMAT_INTERNAL,
    FORMAT_SHARED
};
enum format_legality {
    FORMAT_LEGAL,
    FORMAT_ILLEGAL,
    FORMAT_FAKE
};

struct format_volume {
    uint64_t capacity; /* bytes */
    uint64_t ctime_s;
    char description[FORMAT_VOLUME_SIZE + 1];
    char disk_type[8];
    char domain[UUID_SIZE];
    char image[UUID_SIZE];
    char parent[UUID_SIZE]; /* UUID_BLANK: none */
    enum format_kind kind;
    enum format_allocation allocation;
    enum format_role role;
    enum format_legality legality;
    unsigned generation;
    uint32_t sequence;
};

/* At most FORMAT_VOLUME_SIZE bytes; padding with NULs is fine. */
int format_volume_parse(const void *data, size_t size,
                        struct format_volume *ret_volume, struct err *err);

/* The record without padding; the description is cut to 210 characters.
 * ERR_METADATA_OVERFLOW when it is longer than a record may be, ERR_VALUE when
 * the description is no single line. */
int format_volume_text(const struct format_volume *volume,
                       char ret_text[FORMAT_VOLUME_SIZE + 1], size_t *ret_size,
                       struct err *err);

/* DATA, OVFS, ...: the disk types a record may have. */
bool format_disk_type_is_valid(const char *disk_type);

const char *format_kind_name(enum format_kind kind); /* RAW, COW */
const char *format_allocation_name(enum format_allocation allocation);
const char *format_role_name(enum format_role role);
const char *format_legality_name(enum format_legality legality);

/* --- xleases: the index of external leases --- */

struct format_xleases {
    char lockspace[UUID_SIZE];
    uint64_t mtime_s;
    bool updating; /* a change was cut off: not usable */
};

enum format_xlease_state {
    FORMAT_XLEASE_FREE,
    FORMAT_XLEASE_USED,
    FORMAT_XLEASE_UPDATING, /* half made by an old VDSM: no lease yet */
    FORMAT_XLEASE_DAMAGED,
};

/* One record. */
struct format_xlease {
    enum format_xlease_state state;
    char id[UUID_SIZE]; /* USED and UPDATING */
};

/* A freshly formatted index with all records free. */
void format_xleases_build(const struct format_xleases *header,
                          char ret_index[FORMAT_XLEASES_SIZE]);

int format_xleases_parse(const void *data, size_t size,
                         struct format_xleases *ret_header, struct err *err);

/* The header only. @index: the whole index, as below. */
void format_xleases_set_header(void *index,
                               const struct format_xleases *header);

/* Record @n. A record is damaged unless each of its bytes is as VDSM and we
 * write it; @alignment is that of the domain. */
struct format_xlease format_xlease_get(const void *index, size_t n,
                                       unsigned alignment);
/* @id NULL: free. */
void format_xlease_set(void *index, size_t n, unsigned alignment,
                       const char *id);

enum {
    FORMAT_XLEASE_NONE = 1
};

/* Where the lease of record @n is, in bytes from the start of the file. */
uint64_t format_xlease_offset(size_t n, unsigned alignment);
/* Where record @n is, in bytes from the start of the index. */
size_t format_xlease_position(size_t n);

/* The record of lease @id: 0 or FORMAT_XLEASE_NONE. An index that
 * is being changed, has the lease twice, or has a damaged record that might be
 * it, is refused. @data: the whole index. */
int format_xleases_find(const void *data, size_t size, const char *id,
                        unsigned alignment, size_t *ret_n, struct err *err);

/* The first of the first @limit records that a new lease @id can have: one that
 * was left half made for it, or a free one. ERR_NO_SPACE. */
int format_xleases_room(const void *index, size_t limit, unsigned alignment,
                        const char *id, size_t *ret_n, struct err *err);

/* --- job record: what the LVB of a job's lease holds --- */

enum format_job_status {
    FORMAT_JOB_PENDING,
    FORMAT_JOB_SUCCEEDED,
    FORMAT_JOB_FAILED,
    FORMAT_JOB_FENCED,
};

struct format_job {
    char job_id[UUID_SIZE];
    enum format_job_status status;
    unsigned generation;             /* 0..FORMAT_GENERATION_MAX */
    char host[FORMAT_JOB_HOST_SIZE]; /* hardware id of who wrote it last */
    uint64_t created_s, modified_s;
};

enum {
    FORMAT_JOB_NONE = 1 /* never written: all NULs */
};

/* JSON that VDSM's readers understand, with a checksum of our own, and NULs. */
int format_job_build(const struct format_job *job,
                     char ret_lvb[FORMAT_LVB_SIZE], struct err *err);

/* 0 or FORMAT_JOB_NONE; ERR_LVB: damaged, cut off, or with something behind
 * it. Takes VDSM's own records, which have no checksum, too. */
int format_job_parse(const void *data, size_t size, struct format_job *ret_job,
                     struct err *err);

const char *format_job_status_name(enum format_job_status status);
/* -EINVAL: no such status. */
int format_job_status_parse(const char *name,
                            enum format_job_status *ret_status);

/* The generation that follows. */
unsigned format_generation_next(unsigned generation);

/* --- qcow2 --- */

struct format_qcow2 {
    unsigned version; /* 2 or 3 */
    unsigned cluster_bits;
    uint64_t virtual_size;
    bool dirty;
    char backing[UUID_SIZE]; /* parent volume; empty: none */
    char
        backing_image[UUID_SIZE]; /* of "../IMG/VOL" in old disks; else empty */
    char backing_format[16];      /* raw, qcow2; empty: not recorded */
};

/* @data: the first FORMAT_QCOW2_HEAD_SIZE bytes, or the whole file when that
 * is shorter. Refuses (ERR_IMAGE_CHAIN) what could lead a tool out of
 * the image or hurt it: data files, unknown or corrupt marks, encryption,
 * backing names other than a volume's, tables beyond qemu's own limits. */
int format_qcow2_parse(const void *data, size_t size,
                       struct format_qcow2 *ret_qcow2, struct err *err);

struct format_qcow2_empty {
    uint64_t capacity;          /* a multiple of 512 */
    const char *backing;        /* as it is written down; NULL: none */
    const char *backing_format; /* raw, qcow2 */
};

/* A whole image without data, of *ret_size bytes; the caller frees it.
 * ERR_VALUE: too large for qcow2. */
int format_qcow2_build(const struct format_qcow2_empty *empty, char **ret_image,
                       size_t *ret_size, struct err *err);

/* --- sanlock --- */

enum format_leader_kind {
    FORMAT_LEADER_LOCKSPACE,
    FORMAT_LEADER_RESOURCE,
    FORMAT_LEADER_CLEARED, /* a resource that was removed */
};

struct format_leader {
    enum format_leader_kind kind;
    unsigned sector_size;
    unsigned alignment;
    uint64_t max_hosts;
    uint64_t owner_id; /* 0: never owned */
    uint64_t owner_generation;
    uint64_t version;   /* lver */
    uint64_t timestamp; /* 0: free */
    char lockspace[49];
    char resource[49]; /* in a lockspace: the owner's host name */
    unsigned io_timeout_s;
};

/* The first sector of a lockspace or resource, checksum verified. */
int format_leader_parse(const void *data, size_t size,
                        struct format_leader *ret_leader, struct err *err);

#endif
