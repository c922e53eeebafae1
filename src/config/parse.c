/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd.conf's grammar: inih finds sections, keys and values, a table says what
 * each key is. A mistake in the file must not turn into a default that nobody
 * asked for: whatever is not understood is an error that names its line.
 *
 * inih is told nothing about us at its compile time: it gives no line numbers,
 * cuts long lines, and takes a line that begins with a blank for more of the
 * value before it. The reader below counts lines and refuses long ones; a key
 * that comes twice, which is how the third shows, is refused as well.
 */
#include "config-parse.h"
#include "value.h"
#include <assert.h>
#include <dray/base/util.h>
#include <errno.h>
#include <ini.h>
#include <string.h>

struct key {
    const char *section;
    const char *name;
    value_set set;
    size_t offset; /* of the field in struct config */
    struct value_bounds bounds;
};

#define FIELD(member)     offsetof(struct config, member)
#define FIELD_MAX(member) sizeof(((struct config *)NULL)->member)

enum {
    SOCKET_PATH_SIZE = 108, /* struct sockaddr_un */
    MAX_WORKERS = 256,
    MAX_HOST_ID = 2000,
    MAX_IO_TIMEOUT_S = 120,
    MIN_LVM_TIMEOUT_S = 5,
    MAX_LVM_TIMEOUT_S = 600,
    MIN_BUFFER_KIB = 64, /* one granule of a mirror */
    MAX_BUFFER_KIB = 256 * 1024,
    MAX_CONVERGE_S = 7 * 24 * 3600,
    MAX_CHUNK_MIB = 1024 * 1024,
    MAX_UTILIZATION_PERCENT = 99,
    MAX_FACTOR = 100,
    MIN_POLL_MS = 100,
    MAX_POLL_MS = 60 * 1000,
};

/* One row per key: where it stands, what it is, where it goes, its bounds.
 * The formatter would make of it lines of 120 columns. */
/* clang-format off */
static const struct key keys[] = {
    { "daemon", "socket", value_set_path,
      FIELD(socket_path), { 0, SOCKET_PATH_SIZE } },
    { "daemon", "state_dir", value_set_path,
      FIELD(state_dir), { 0, FIELD_MAX(state_dir) } },
    { "daemon", "run_dir", value_set_path,
      FIELD(run_dir), { 0, FIELD_MAX(run_dir) } },
    { "daemon", "workers", value_set_unsigned,
      FIELD(workers), { 1, MAX_WORKERS } },
    { "daemon", "log_level", value_set_log_level,
      FIELD(log_level), { 0, 0 } },
    { "access", "full_group", value_set_group_or_none,
      FIELD(full_gid), { 0, 0 } },
    { "access", "read_group", value_set_group_or_none,
      FIELD(read_gid), { 0, 0 } },
    { "tls", "listen", value_set_address_or_none,
      FIELD(tls_listen), { 0, FIELD_MAX(tls_listen) } },
    { "tls", "port", value_set_unsigned,
      FIELD(tls_port), { 1, UINT16_MAX } },
    { "tls", "ca", value_set_path,
      FIELD(tls_ca), { 0, FIELD_MAX(tls_ca) } },
    { "tls", "cert", value_set_path,
      FIELD(tls_cert), { 0, FIELD_MAX(tls_cert) } },
    { "tls", "key", value_set_path,
      FIELD(tls_key), { 0, FIELD_MAX(tls_key) } },
    { "tls", "crl", value_set_path_or_none,
      FIELD(tls_crl), { 0, FIELD_MAX(tls_crl) } },
    { "host", "id", value_set_unsigned,
      FIELD(host_id), { 1, MAX_HOST_ID } },
    { "host", "name", value_set_host_name,
      FIELD(host_name), { 0, FIELD_MAX(host_name) } },
    { "storage", "owner", value_set_user,
      FIELD(owner_uid), { 0, 0 } },
    { "storage", "group", value_set_group,
      FIELD(owner_gid), { 0, 0 } },
    { "storage", "lvm_timeout", value_set_unsigned,
      FIELD(lvm_timeout_s), { MIN_LVM_TIMEOUT_S, MAX_LVM_TIMEOUT_S } },
    { "lease", "io_timeout", value_set_unsigned,
      FIELD(io_timeout_s), { 1, MAX_IO_TIMEOUT_S } },
    { "lease", "require_watchdog", value_set_bool,
      FIELD(require_watchdog), { 0, 0 } },
    { "libvirt", "uri", value_set_text,
      FIELD(libvirt_uri), { 0, FIELD_MAX(libvirt_uri) } },
    { "migrate", "buffer_kib", value_set_kib,
      FIELD(buffer_bytes), { MIN_BUFFER_KIB, MAX_BUFFER_KIB } },
    { "migrate", "converge_limit", value_set_unsigned,
      FIELD(converge_limit_s), { 0, MAX_CONVERGE_S } },
    { "migrate", "migration_wait", value_set_unsigned,
      FIELD(migration_wait_s), { 0, MAX_CONVERGE_S } },
    { "migrate", "job_leases", value_set_job_leases,
      FIELD(job_leases), { 0, 0 } },
    { "monitor", "chunk_mib", value_set_mib,
      FIELD(chunk_bytes), { 1, MAX_CHUNK_MIB } },
    { "monitor", "utilization_percent", value_set_unsigned,
      FIELD(utilization_percent), { 1, MAX_UTILIZATION_PERCENT } },
    { "monitor", "replicate_factor", value_set_unsigned,
      FIELD(replicate_factor), { 1, MAX_FACTOR } },
    { "monitor", "safety_factor", value_set_unsigned,
      FIELD(safety_factor), { 1, MAX_FACTOR } },
    { "monitor", "poll_ms", value_set_unsigned,
      FIELD(poll_ms), { MIN_POLL_MS, MAX_POLL_MS } },
    { "tools", "qemu_img", value_set_path,
      FIELD(qemu_img), { 0, FIELD_MAX(qemu_img) } },
    { "tools", "iscsiadm", value_set_path,
      FIELD(iscsiadm), { 0, FIELD_MAX(iscsiadm) } },
    { "tools", "sanlock", value_set_path,
      FIELD(sanlock), { 0, FIELD_MAX(sanlock) } },
    { "tools", "dray_lvm", value_set_path,
      FIELD(dray_lvm), { 0, FIELD_MAX(dray_lvm) } },
    { "tools", "dray_job", value_set_path,
      FIELD(dray_job), { 0, FIELD_MAX(dray_job) } },
};
/* clang-format on */

enum {
    N_KEYS = ARRAY_SIZE(keys)
};

struct parser {
    const char *name; /* of the file */
    const char *next; /* text not read yet */
    const char *end;
    int line;
    bool seen[N_KEYS];
    struct config *config;
    struct err *err;
};

static int complain(struct parser *parser, const char *what, const char *value)
{
    return err_set(parser->err, -EINVAL, "%s:%d: %s%s", parser->name,
                   parser->line, what, value);
}

/* The sections whose keys are names of hosts. */
static const char roles_section[] = "tls-roles";
static const char peers_section[] = "peers";

static bool is_named(const char *section, const char *name, size_t len)
{
    return len == strlen(section) && memcmp(name, section, len) == 0;
}

static bool is_section(const char *name, size_t len)
{
    if (is_named(roles_section, name, len) ||
        is_named(peers_section, name, len))
        return true;
    for (size_t i = 0; i < N_KEYS; i++) {
        if (strlen(keys[i].section) == len &&
            memcmp(keys[i].section, name, len) == 0)
            return true;
    }
    return false;
}

/* inih does not tell of a section without keys, and goes on in the old section
 * after a line it cannot read. */
static void check_section(struct parser *parser, const char *line)
{
    const char *start = line + strspn(line, " \t");
    if (*start != '[')
        return;
    start++;
    size_t len = strcspn(start, "]");
    if (start[len] != ']' || !is_section(start, len))
        (void)complain(parser, "unknown section: ", line); /* kept in err */
}

/* fgets() on our text; the end of the text also after an error. */
static char *read_line(char *buffer, int size, void *stream)
{
    struct parser *parser = stream;
    size_t left = (size_t)(parser->end - parser->next);
    if (left == 0 || parser->err->rc)
        return NULL;
    const char *newline = memchr(parser->next, '\n', left);
    size_t len = newline ? (size_t)(newline - parser->next) + 1 : left;
    parser->line++;
    if (len >= (size_t)size) {
        (void)complain(parser, "line too long", ""); /* kept in err */
        return NULL;
    }
    memcpy(buffer, parser->next, len);
    buffer[len] = '\0';
    parser->next += len;
    check_section(parser, buffer);
    return parser->err->rc ? NULL : buffer;
}

static const struct key *find_key(const char *section, const char *name)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        if (str_equal(keys[i].section, section) &&
            str_equal(keys[i].name, name))
            return &keys[i];
    }
    return NULL;
}

static int set_key(struct parser *parser, const char *section, const char *name,
                   const char *value)
{
    struct config *config = parser->config;
    if (str_equal(section, roles_section))
        return value_add_role(name, value, config->tls_roles,
                              sizeof(config->tls_roles), parser->err);
    if (str_equal(section, peers_section))
        return value_add_peer(name, value, config->peers, sizeof(config->peers),
                              parser->err);
    const struct key *key = find_key(section, name);
    if (!key)
        return err_set(parser->err, -EINVAL, "is not a key of this section");
    bool *seen = &parser->seen[key - keys];
    if (*seen)
        return err_set(parser->err, -EINVAL,
                       "is given twice, or this line begins with a blank");
    *seen = true;
    void *field = (char *)config + key->offset;
    return key->set(value, &key->bounds, field, parser->err);
}

/* 1: go on, 0: an error, as inih wants it. */
static int on_value(void *user, const char *section, const char *name,
                    const char *value)
{
    struct parser *parser = user;
    if (parser->err->rc)
        return 0;
    if (set_key(parser, section, name, value ? value : "") == 0)
        return 1;
    (void)err_wrap(parser->err, "%s:%d: [%s] %s", parser->name, parser->line,
                   section, name);
    return 0;
}

int config_parse(const char *text, size_t len, const char *name,
                 struct config *config, struct err *err)
{
    struct err own = ERR_INIT; /* read_line() looks at it; err may be NULL */
    struct parser parser = {
        .name = name,
        .next = text,
        .end = text + len,
        .config = config,
        .err = &own,
    };
    int rc = 0;
    if (str_is_utf8(text, len))
        rc = ini_parse_stream(read_line, &parser, on_value, &parser);
    else
        (void)err_set(&own, -EINVAL, "%s: is not a text in UTF-8", name);
    if (rc != 0 && !own.rc) {
        parser.line = rc > 0 ? rc : parser.line;
        (void)complain(&parser, "neither [section] nor key = value", "");
    }
    if (!own.rc)
        return 0;
    (void)err_next(&own, "correct it; each key is described in the "
                         "drayd.conf that comes with drayd");
    if (err && !err->rc)
        *err = own;
    return own.rc;
}
