/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether the storage of a domain answers: its metadata is read, past the page
 * cache. Nobody waits for it for longer than some seconds; one that hangs costs
 * one thread until it answers.
 */
#include "known.h"
#include "layout.h"
#include "ops.h"
#include <dray/base/reach.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum {
    BLOCK = 4096
};

#define ANSWERS "answers"

static const char *read_block(const char *path)
{
    _cleanup_close_ int fd =
        open(path, O_RDONLY | O_DIRECT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    _cleanup_free_ void *block = NULL;
    if (fd < 0)
        return "open";
    if (posix_memalign(&block, BLOCK, BLOCK) != 0) {
        errno = ENOMEM;
        return "read";
    }
    return pread(fd, block, BLOCK, 0) < 0 ? "read" : NULL;
}

static void look(const char *path, char ret_text[REACH_TEXT_SIZE])
{
    const char *failed = read_block(path);
    if (failed)
        (void)str_format(ret_text, REACH_TEXT_SIZE, "%s %s: %m", failed, path);
    else
        (void)str_copy(ret_text, REACH_TEXT_SIZE, ANSWERS);
}

/* It may only be slow: asked again after some seconds. */
static int ask(struct domains *domains, const char *path,
               char ret_text[REACH_TEXT_SIZE])
{
    int rc = reach_read(domains->reach, path, look, ret_text);
    if (rc == REACH_HANGS && reach_settle(domains->reach))
        rc = reach_read(domains->reach, path, look, ret_text);
    return rc;
}

static int check(struct domains *domains, const struct domain_info *info,
                 struct err *err)
{
    char path[PATH_MAX], text[REACH_TEXT_SIZE];
    domain_special_path(info, "metadata", path);
    int rc = ask(domains, path, text);
    if (rc == REACH_HANGS)
        return err_set_code(err, ERR_STORAGE, "%s does not answer",
                            info->remote[0] ? info->remote : info->path);
    if (rc == 0 && str_equal(text, ANSWERS))
        return 0;
    errno = rc < 0 ? -rc : ENOENT;
    return text[0] ? err_set_code(err, ERR_STORAGE, "%s", text)
                   : err_set_code(err, ERR_STORAGE, "%s: %m", path);
}

int domain_probe(void *ctx, const char *sd, struct err *err)
{
    struct domains *domains = ctx;
    struct domain_info info;
    struct err own = ERR_INIT;
    int rc = domain_known_get(domains, sd, &info, err);
    if (rc < 0 || info.block || info.status != DOMAIN_JOINED)
        return rc;
    rc = check(domains, &info, &own);
    domain_known_problem(domains, sd, DOMAIN_JOINED,
                         rc < 0 ? own.message : NULL);
    if (rc < 0 && err && err->rc == 0)
        *err = own;
    return rc;
}
