/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Mount options. Only those pass that are known to keep what a domain rests on:
 * that a write which was acknowledged is on the server, that hosts see each
 * other's changes, and that qemu's locks hold on all hosts.
 *
 * Ours, where nothing is said:
 *   vers=4      the newest 4.x that both know: 4.2 copies on the server, and
 *               says where holes are. Never 3 by itself: locks are another
 *               protocol there.
 *   hard        a guest waits for a server that is gone, as for a disk that is
 *               slow. "soft" would fail its writes, of which some may still
 *               arrive later. That nobody else waits is our business.
 *   timeo,      10 s until the next try, so that a server that is back is
 *   retrans     noticed soon
 *   lookupcache=positive   what another host has just made is seen
 */
#include "export.h"
#include <ctype.h>
#include <dray/format.h>
#include <string.h>

/* "": none; "#": a number; "@": a label, as SELinux's; else one of these. */
struct option {
    const char *name;
    const char *values;
};

static const struct option allowed[] = {
    {"hard",            ""                     },
    { "soft",           ""                     },
    { "softerr",        ""                     },
    { "softreval",      ""                     },
    { "nosoftreval",    ""                     },
    { "timeo",          "#"                    },
    { "retrans",        "#"                    },
    { "vers",           "3|4|4.0|4.1|4.2"      },
    { "nfsvers",        "3|4|4.0|4.1|4.2"      },
    { "proto",          "tcp|tcp6|rdma|rdma6"  },
    { "port",           "#"                    },
    { "mountport",      "#"                    },
    { "mountproto",     "tcp|tcp6"             },
    { "rsize",          "#"                    },
    { "wsize",          "#"                    },
    { "nconnect",       "#"                    },
    { "max_connect",    "#"                    },
    { "trunkdiscovery", ""                     },
    { "sec",            "sys|krb5|krb5i|krb5p" },
    { "xprtsec",        "none|tls|mtls"        },
    { "resvport",       ""                     },
    { "noresvport",     ""                     },
    { "acregmin",       "#"                    },
    { "acregmax",       "#"                    },
    { "acdirmin",       "#"                    },
    { "acdirmax",       "#"                    },
    { "actimeo",        "#"                    },
    { "ac",             ""                     },
    { "noac",           ""                     },
    { "sync",           ""                     },
    { "lookupcache",    "positive|pos|none|all"},
    { "sharecache",     ""                     },
    { "nosharecache",   ""                     },
    { "rdirplus",       ""                     },
    { "nordirplus",     ""                     },
    { "noatime",        ""                     },
    { "nodiratime",     ""                     },
    { "relatime",       ""                     },
    { "rw",             ""                     },
    { "nodev",          ""                     },
    { "nosuid",         ""                     },
    { "noexec",         ""                     },
    { "_netdev",        ""                     },
    { "context",        "@"                    },
};

static const struct option harmful[] = {
    {"nolock",      "qemu's locks would hold on this host only"       },
    { "local_lock", "qemu's locks would hold on this host only"       },
    { "ro",         "nothing could be written, not even leases"       },
    { "nocto",      "changes of other hosts would not be seen in time"},
    { "bg",         "drayd would not know when it is mounted"         },
    { "retry",      "drayd itself tries again"                        },
    { "udp",        "a lost packet may damage data"                   },
};

/* What stands for us unless one of the words is among the options. */
static const struct {
    const char *ours;
    const char *unless[3];
} presets[] = {
    {"vers=4",                { "vers", "nfsvers" }        },
    { "hard",                 { "hard", "soft", "softerr" }},
    { "timeo=100",            { "timeo" }                  },
    { "retrans=3",            { "retrans" }                },
    { "lookupcache=positive", { "lookupcache" }            },
};

static const struct option *find(const struct option *list, size_t n,
                                 const char *word, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(list[i].name) == len &&
            strncmp(list[i].name, word, len) == 0)
            return &list[i];
    }
    return NULL;
}

static bool is_number(const char *text, size_t len)
{
    enum {
        DIGITS_MAX = 9
    };
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    return len > 0 && len <= DIGITS_MAX;
}

static bool is_label(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isascii(text[i]) ||
            (!isalnum((unsigned char)text[i]) && !strchr(":_.-", text[i])))
            return false;
    }
    return len > 0;
}

static bool is_one_of(const char *values, const char *text, size_t len)
{
    while (*values) {
        size_t n = strcspn(values, "|");
        if (n == len && strncmp(values, text, len) == 0)
            return true;
        values += n + (values[n] == '|');
    }
    return false;
}

/* @equals: what follows the name, "=VALUE" or nothing. */
static bool is_value(const struct option *option, const char *equals,
                     size_t len)
{
    if (!option->values[0])
        return len == 0;
    if (len < 2)
        return false;
    if (option->values[0] == '#')
        return is_number(equals + 1, len - 1);
    if (option->values[0] == '@')
        return is_label(equals + 1, len - 1);
    return is_one_of(option->values, equals + 1, len - 1);
}

static int refuse(const char *word, size_t len, const char *why,
                  struct err *err)
{
    (void)err_set_code(err, ERR_VALUE, "mount option \"%.*s\": %s",
                       (int)(len < 64 ? len : 64), word, why);
    return err_next(err, "nfs(5) describes them; leave out what is not needed");
}

static int check_word(const char *word, size_t len, struct err *err)
{
    const char *equals = memchr(word, '=', len);
    size_t name = equals ? (size_t)(equals - word) : len;
    const struct option *bad = find(harmful, ARRAY_SIZE(harmful), word, name);
    if (bad)
        return refuse(word, len, bad->values, err);
    const struct option *option =
        find(allowed, ARRAY_SIZE(allowed), word, name);
    if (!option)
        return refuse(word, len, "is none that drayd passes on", err);
    if (!is_value(option, word + name, len - name))
        return refuse(word, len, "its value is not what it takes", err);
    return 0;
}

int nfs_options_check(const char *options, struct err *err)
{
    if (strlen(options) >= DOMAIN_OPTIONS_SIZE)
        return err_set_code(err, ERR_VALUE, "mount options: more than %d bytes",
                            DOMAIN_OPTIONS_SIZE - 1);
    if (!format_text_is_line(options))
        return err_set_code(err, ERR_VALUE,
                            "mount options: not one line of text");
    int rc = 0;
    for (const char *word = options; rc == 0 && *word;) {
        size_t len = strcspn(word, ",");
        rc = check_word(word, len, err);
        word += len + (word[len] == ',');
    }
    return rc;
}

static bool has(const char *options, const char *name)
{
    size_t len = strlen(name);
    for (const char *word = options; *word;) {
        size_t n = strcspn(word, ",");
        if (strncmp(word, name, len) == 0 && (n == len || word[len] == '='))
            return true;
        word += n + (word[n] == ',');
    }
    return false;
}

void nfs_options_complete(const char *options, char ret[NFS_OPTIONS_SIZE])
{
    /* mount.nfs would try for two minutes; drayd does so for ever. */
    (void)str_copy(ret, NFS_OPTIONS_SIZE, "nodev,nosuid,noexec,retry=0");
    for (size_t i = 0; i < ARRAY_SIZE(presets); i++) {
        bool said = false;
        for (size_t k = 0; k < 3 && presets[i].unless[k]; k++)
            said = said || has(options, presets[i].unless[k]);
        size_t used = strlen(ret);
        if (!said)
            (void)str_format(ret + used, NFS_OPTIONS_SIZE - used, ",%s",
                             presets[i].ours);
    }
    size_t used = strlen(ret);
    (void)str_format(ret + used, NFS_OPTIONS_SIZE - used, "%s%s",
                     options[0] ? "," : "", options);
}
