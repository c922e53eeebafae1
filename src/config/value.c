/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Values of drayd.conf. Nothing is guessed: "10s", "0x10" or " yes please" are
 * errors, not numbers or booleans.
 */
#include "value.h"
#include <arpa/inet.h>
#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>

enum {
    BYTES_PER_KIB = 1024,
    BYTES_PER_MIB = 1024 * 1024,
    /* An entry with all the members of a large group; with more: an error
     * (ERANGE) that a number instead of the name avoids. */
    ENTRY_SIZE = 64 * 1024,
    PEER_WORDS_SIZE = 512,
    ROLE_NAME_SIZE = 254, /* the longest DNS name */
};

int value_set_text(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err)
{
    if (!text[0])
        return err_set(err, -EINVAL, "has no value");
    if (strlen(text) >= bounds->max)
        return err_set(err, -EINVAL, "is longer than %llu bytes",
                       (unsigned long long)bounds->max - 1);
    (void)str_copy(field, bounds->max, text); /* checked: it fits */
    return 0;
}

int value_set_path(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err)
{
    if (text[0] != '/')
        return err_set(err, -EINVAL, "'%s' is not an absolute path", text);
    return value_set_text(text, bounds, field, err);
}

int value_set_path_or_none(const char *text, const struct value_bounds *bounds,
                           void *field, struct err *err)
{
    if (text[0])
        return value_set_path(text, bounds, field, err);
    *(char *)field = '\0';
    return 0;
}

int value_set_address_or_none(const char *text,
                              const struct value_bounds *bounds, void *field,
                              struct err *err)
{
    struct in6_addr address;
    if (text[0] && inet_pton(AF_INET, text, &address) != 1 &&
        inet_pton(AF_INET6, text, &address) != 1)
        return err_set(err, -EINVAL, "'%s' is no IP address", text);
    (void)str_copy(field, bounds->max, text); /* an address fits */
    return 0;
}

/* What sanlock and the people who read its status can take. */
int value_set_host_name(const char *text, const struct value_bounds *bounds,
                        void *field, struct err *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789.-_";
    if (text[strspn(text, allowed)])
        return err_set(err, -EINVAL,
                       "'%s' has other characters than A-Z a-z 0-9 . - _",
                       text);
    return value_set_text(text, bounds, field, err);
}

static bool is_role(const char *role)
{
    return str_equal(role, "full") || str_equal(role, "read");
}

/* Names of certificates, in any case. */
static bool has_role(const char *roles, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = roles; *line; line += strcspn(line, "\n") + 1)
        if (strncasecmp(line, name, len) == 0 && line[len] == ' ')
            return true;
    return false;
}

int value_add_role(const char *name, const char *role, char *field, size_t size,
                   struct err *err)
{
    char checked[ROLE_NAME_SIZE];
    const struct value_bounds bounds = { .max = sizeof(checked) };
    size_t used = strlen(field);
    int rc = value_set_host_name(name, &bounds, checked, err);
    if (rc < 0)
        return rc;
    if (!is_role(role))
        return err_set(err, -EINVAL, "'%s' is neither full nor read", role);
    if (has_role(field, name))
        return err_set(err, -EINVAL, "is given twice");
    if (str_format(field + used, size - used, "%s %s\n", name, role))
        return 0;
    field[used] = '\0';
    return err_set(err, -EINVAL, "is one name too many");
}

/* Words with one blank between them; how many, 0: too long. */
static size_t squeeze(const char *text, char *ret, size_t size)
{
    size_t n = 0, used = 0;
    for (text += strspn(text, " \t"); *text; text += strspn(text, " \t")) {
        size_t len = strcspn(text, " \t");
        if (!str_format(ret + used, size - used, "%s%.*s", n ? " " : "",
                        (int)len, text))
            return 0;
        used += strlen(ret + used);
        text += len;
        n++;
    }
    return n;
}

int value_add_peer(const char *name, const char *peer, char *field, size_t size,
                   struct err *err)
{
    char checked[ROLE_NAME_SIZE], words[PEER_WORDS_SIZE] = "";
    const struct value_bounds bounds = { .max = sizeof(checked) };
    size_t used = strlen(field);
    size_t n = squeeze(peer, words, sizeof(words));
    int rc = value_set_host_name(name, &bounds, checked, err);
    if (rc < 0)
        return rc;
    if (n < 2 || n > 3)
        return err_set(err, -EINVAL,
                       "'%s' is not ADDRESS LIBVIRT_URI [MIGRATE_URI]", peer);
    if (has_role(field, name))
        return err_set(err, -EINVAL, "is given twice");
    if (str_format(field + used, size - used, "%s %s\n", name, words))
        return 0;
    field[used] = '\0';
    return err_set(err, -EINVAL, "is one name too many");
}

static int parse_number(const char *text, const struct value_bounds *bounds,
                        uint64_t *ret_value, struct err *err)
{
    uint64_t value = 0;
    if (str_to_u64(text, &value) < 0 || value < bounds->min ||
        value > bounds->max)
        return err_set(err, -EINVAL, "'%s' is not a number from %llu to %llu",
                       text, (unsigned long long)bounds->min,
                       (unsigned long long)bounds->max);
    *ret_value = value;
    return 0;
}

int value_set_unsigned(const char *text, const struct value_bounds *bounds,
                       void *field, struct err *err)
{
    uint64_t value = 0;
    int rc = parse_number(text, bounds, &value, err);
    if (rc == 0)
        *(unsigned *)field = (unsigned)value;
    return rc;
}

static int set_bytes(const char *text, const struct value_bounds *bounds,
                     uint64_t unit, uint64_t *field, struct err *err)
{
    uint64_t value = 0;
    int rc = parse_number(text, bounds, &value, err);
    if (rc == 0)
        *field = value * unit;
    return rc;
}

int value_set_kib(const char *text, const struct value_bounds *bounds,
                  void *field, struct err *err)
{
    return set_bytes(text, bounds, BYTES_PER_KIB, field, err);
}

int value_set_mib(const char *text, const struct value_bounds *bounds,
                  void *field, struct err *err)
{
    return set_bytes(text, bounds, BYTES_PER_MIB, field, err);
}

int value_set_log_level(const char *text, const struct value_bounds *bounds,
                        void *field, struct err *err)
{
    static const struct {
        const char *name;
        enum log_level level;
    } levels[] = {
        {"error",    LOG_LEVEL_ERROR  },
        { "warning", LOG_LEVEL_WARNING},
        { "info",    LOG_LEVEL_INFO   },
        { "debug",   LOG_LEVEL_DEBUG  },
    };
    (void)bounds;
    for (size_t i = 0; i < ARRAY_SIZE(levels); i++) {
        if (str_equal(levels[i].name, text)) {
            *(unsigned *)field = levels[i].level;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "'%s' is none of error, warning, info, debug",
                   text);
}

int value_set_job_leases(const char *text, const struct value_bounds *bounds,
                         void *field, struct err *err)
{
    static const char *const names[] = { "shared", "always", "never" };
    (void)bounds;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (str_equal(names[i], text)) {
            *(unsigned *)field = (unsigned)i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "'%s' is none of shared, always, never", text);
}

int value_set_bool(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err)
{
    static const struct {
        const char *name;
        bool value;
    } words[] = {
        {"yes",    true },
        { "no",    false},
        { "true",  true },
        { "false", false},
        { "on",    true },
        { "off",   false},
    };
    (void)bounds;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (str_equal(words[i].name, text)) {
            *(bool *)field = words[i].value;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "'%s' is neither yes nor no", text);
}

static int find_user(const char *name, uid_t *ret_uid)
{
    char buffer[ENTRY_SIZE];
    struct passwd entry;
    struct passwd *found = NULL;
    int rc = getpwnam_r(name, &entry, buffer, sizeof(buffer), &found);
    if (!found)
        return rc ? -rc : -ENOENT;
    *ret_uid = found->pw_uid;
    return 0;
}

int value_find_group(const char *name, gid_t *ret_gid)
{
    char buffer[ENTRY_SIZE];
    struct group entry;
    struct group *found = NULL;
    int rc = getgrnam_r(name, &entry, buffer, sizeof(buffer), &found);
    if (!found)
        return rc ? -rc : -ENOENT;
    *ret_gid = found->gr_gid;
    return 0;
}

/* (uid_t)-1 and (gid_t)-1 mean "leave as it is" to chown(): nobody's. */
static bool is_id(const char *text, uint32_t *ret_id)
{
    uint64_t value = 0;
    if (str_to_u64(text, &value) < 0 || value >= UINT32_MAX)
        return false;
    *ret_id = (uint32_t)value;
    return true;
}

static int unknown(int rc, const char *what, const char *text, struct err *err)
{
    if (rc == -ENOENT)
        return err_set(err, -EINVAL, "there is no %s '%s' on this host", what,
                       text);
    errno = -rc;
    return err_set(err, rc, "look up the %s '%s': %m", what, text);
}

int value_set_user(const char *text, const struct value_bounds *bounds,
                   void *field, struct err *err)
{
    uint32_t id = 0;
    (void)bounds;
    if (!text[0])
        return err_set(err, -EINVAL, "has no value");
    int rc = is_id(text, &id) ? 0 : find_user(text, &id);
    if (rc < 0)
        return unknown(rc, "user", text, err);
    *(uid_t *)field = id;
    return 0;
}

int value_set_group(const char *text, const struct value_bounds *bounds,
                    void *field, struct err *err)
{
    uint32_t id = 0;
    (void)bounds;
    if (!text[0])
        return err_set(err, -EINVAL, "has no value");
    int rc = is_id(text, &id) ? 0 : value_find_group(text, &id);
    if (rc < 0)
        return unknown(rc, "group", text, err);
    *(gid_t *)field = id;
    return 0;
}

int value_set_group_or_none(const char *text, const struct value_bounds *bounds,
                            void *field, struct err *err)
{
    if (text[0])
        return value_set_group(text, bounds, field, err);
    *(gid_t *)field = (gid_t)-1;
    return 0;
}
