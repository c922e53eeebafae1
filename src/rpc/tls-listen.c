/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The socket of the TLS listener. Its address may belong to a network that
 * comes up after us.
 */
#include <arpa/inet.h>
#include <dray/base/util.h>
#include <dray/rpc/tls.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
    LISTEN_BACKLOG = 512
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static int parse(const char *text, unsigned port, union address *ret_address,
                 struct err *err)
{
    *ret_address = (union address){
        .v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}
    };
    if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1)
        return 0;
    *ret_address = (union address){
        .v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)}
    };
    if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1)
        return 0;
    return err_set(err, -EINVAL, "'%s' is no IP address", text);
}

int rpc_tls_listen(const char *address, unsigned port, int *ret_fd,
                   struct err *err)
{
    union address where;
    const int on = 1;
    int r = parse(address, port, &where, err);
    if (r < 0)
        return r;
    _cleanup_close_ int fd = socket(
        where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(err, -errno, "TLS: socket: %m");
    /* A restart finds the old connections in TIME_WAIT. Neither option can
     * fail; without them bind() says what is wrong. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on));
    if (bind(fd, &where.any, sizeof(where)) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0) {
        (void)err_set(err, -errno, "TLS: listen on %s port %u: %m", address,
                      port);
        return err_next(err, "set another [tls] listen or port");
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}
