/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Who is at the other end: the kernel's record of the process that called
 * connect(). A process that passes its socket on lends its right with it. The
 * process id in that record may be reused and decides nothing.
 */
#include "conn.h"

#include <dray/base/util.h>
#include <errno.h>
#include <sys/socket.h>

static bool in_groups(const gid_t *groups, size_t n, gid_t gid)
{
    for (size_t i = 0; i < n; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

/* The supplementary groups; none when the kernel does not tell. */
static gid_t *read_groups(int fd, size_t *ret_n)
{
    socklen_t size = 0;

    *ret_n = 0;
    /* Asks for the size first: ERANGE says how much is needed. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 ||
        errno != ERANGE)
        return NULL;
    gid_t *groups = malloc(size);
    if (!groups)
        return NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
        *ret_n = size / sizeof(gid_t);
    return groups;
}

enum rpc_role peer_role(int fd, const struct rpc_access *access, char *ret_peer,
                        size_t peer_size)
{
    const gid_t nobody = (gid_t)-1;
    struct ucred peer = { .uid = (uid_t)-1, .gid = nobody };
    socklen_t size = sizeof(peer);
    size_t n = 0;

    (void)str_copy(ret_peer, peer_size, "an unknown user");
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return RPC_ROLE_NONE;
    (void)str_format(ret_peer, peer_size, "user %u (process %d)", peer.uid,
                     peer.pid);
    /* Who runs as we do could do all we can without asking us. */
    if (peer.uid == 0 || peer.uid == geteuid())
        return RPC_ROLE_FULL;
    _cleanup_free_ gid_t *groups = read_groups(fd, &n);
    if (access->full_gid != nobody && (peer.gid == access->full_gid ||
                                       in_groups(groups, n, access->full_gid)))
        return RPC_ROLE_FULL;
    if (access->read_gid != nobody && (peer.gid == access->read_gid ||
                                       in_groups(groups, n, access->read_gid)))
        return RPC_ROLE_READ;
    return RPC_ROLE_NONE;
}
