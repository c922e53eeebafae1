/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Makes the socket file. It is bound under another name, gets its owner, and is
 * then renamed into place, so that nobody ever meets it with wrong rights or
 * without a listener, and a dead predecessor is replaced in one step.
 */
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <dray/rpc/server.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum {
    LISTEN_BACKLOG = 512
};

static int fill_address(struct sockaddr_un *address, const char *path,
                        struct err *err)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (str_copy(address->sun_path, sizeof(address->sun_path), path))
        return 0;
    return err_set(err, -ENAMETOOLONG,
                   "%s: longer than a socket's path may be (%zu bytes)", path,
                   sizeof(address->sun_path) - 1);
}

/* A drayd that was killed while it started a program: the program may hold the
 * listening socket until it is executed, and nobody ever answers there. */
static bool is_abandoned(int fd)
{
    struct ucred listener = { 0 };
    socklen_t size = sizeof(listener);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &listener, &size) == 0 &&
           listener.pid > 0 && kill(listener.pid, 0) < 0 && errno == ESRCH;
}

/* 0: the path is free, or holds a socket that nobody listens on. */
static int check_free(const char *path, struct err *err)
{
    struct sockaddr_un address;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %m", path);
    if (!S_ISSOCK(st.st_mode)) {
        (void)err_set(err, -EEXIST, "%s: is there and is no socket", path);
        return err_next(err, "move it away, or set [daemon] socket");
    }
    int r = fill_address(&address, path, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %m");
    r = connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (r < 0 ? errno == ECONNREFUSED || errno == ENOENT : is_abandoned(fd))
        return 0;
    (void)err_set(err, -EADDRINUSE, "%s: another drayd listens there", path);
    return err_next(err, "stop it first, or set another [daemon] socket");
}

static int make_parent(const char *path, struct err *err)
{
    char dir[PATH_MAX];
    if (!str_copy(dir, sizeof(dir), path))
        return err_set(err, -ENAMETOOLONG, "%s: too long", path);
    char *slash = strrchr(dir, '/');
    if (!slash || slash == dir)
        return 0;
    *slash = '\0';
    return file_make_dir(dir, 0755, err);
}

/* The mode of a socket file is that of its descriptor less the umask, which
 * the chmod then sets right; the name is not public yet. */
static int bind_hidden(int fd, const char *hidden, gid_t gid, struct err *err)
{
    struct sockaddr_un address;
    int r = fill_address(&address, hidden, err);
    if (r < 0)
        return r;
    r = file_remove(hidden, err);
    if (r < 0)
        return r;
    if (fchmod(fd, 0660) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return err_set(err, -errno, "bind %s: %m", hidden);
    if (gid != (gid_t)-1 && lchown(hidden, (uid_t)-1, gid) < 0)
        return err_set(err, -errno, "chown %s: %m", hidden);
    if (chmod(hidden, 0660) < 0)
        return err_set(err, -errno, "chmod %s: %m", hidden);
    if (listen(fd, LISTEN_BACKLOG) < 0)
        return err_set(err, -errno, "listen on %s: %m", hidden);
    return 0;
}

int rpc_listen(const char *path, gid_t gid, int *ret_fd, struct err *err)
{
    int r = make_parent(path, err);
    if (r < 0)
        return r;
    r = check_free(path, err);
    if (r < 0)
        return r;
    _cleanup_free_ char *hidden = str_printf("%s.new", path);
    if (!hidden)
        return err_set(err, -ENOMEM, "no memory for a path");
    _cleanup_close_ int fd =
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "socket: %m");
    r = bind_hidden(fd, hidden, gid, err);
    if (r == 0 && rename(hidden, path) < 0)
        r = err_set(err, -errno, "rename %s to %s: %m", hidden, path);
    if (r < 0) {
        (void)unlink(hidden); /* the first error counts */
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
