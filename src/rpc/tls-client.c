/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayctl's end of a TLS connection: finds the host, shows our certificate,
 * and insists on the host's name in its own. All of it is bounded in time;
 * afterwards a call may take as long as it takes, and only a dead connection
 * ends the waiting.
 */
#include "client.h"
#include "tls.h"

#include <dray/base/list.h>
#include <dray/base/util.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <limits.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

enum {
    CONNECT_S = 10, /* per address of the host, then for the handshake */
};

struct place {
    char name[TLS_NAME_SIZE];
    char port[8];
};

static int no_place(const char *host, struct err *err)
{
    (void)err_set(err, -EINVAL, "'%s' is no NAME[:PORT]", host);
    return err_next(err, "an IPv6 address with a port: [ADDRESS]:PORT");
}

/* An IPv6 address without a port needs no brackets. */
static int parse_place(const char *host, struct place *place, struct err *err)
{
    const char *colon = strchr(host, ':');
    size_t len = colon ? (size_t)(colon - host) : strlen(host);
    uint64_t port = RPC_TLS_PORT;
    if (host[0] == '[') {
        len = strcspn(++host, "]");
        colon = host + len + (host[len] == ']');
        if (host[len] != ']' || (*colon && *colon != ':'))
            return no_place(host - 1, err);
        colon = *colon ? colon : NULL;
    } else if (colon && strchr(colon + 1, ':')) {
        len = strlen(host);
        colon = NULL;
    }
    if (len == 0 || len >= sizeof(place->name) ||
        (colon &&
         (str_to_u64(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX)))
        return no_place(host, err);
    memcpy(place->name, host, len);
    place->name[len] = '\0';
    (void)str_format(place->port, sizeof(place->port), "%u", (unsigned)port);
    return 0;
}

/* Both ways; for connect(), too. 0: no limit. */
static void limit_waiting(int fd, int seconds)
{
    const struct timeval limit = { .tv_sec = seconds };
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static int connect_one(const struct addrinfo *address)
{
    _cleanup_close_ int fd =
        socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    limit_waiting(fd, CONNECT_S);
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        return errno == EINPROGRESS ? -ETIMEDOUT : -errno;
    return TAKE_FD(fd);
}

static int unreachable(const struct place *place, int r, const char *why,
                       struct err *err)
{
    (void)err_set(err, r, "cannot reach drayd at %s port %s: %s", place->name,
                  place->port, why);
    return err_next(err, "is it running there, with [tls] listen in its "
                         "drayd.conf?");
}

static int connect_any(const struct place *place, struct err *err)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    int fd = -EHOSTUNREACH;
    int bad = getaddrinfo(place->name, place->port, &hints, &found);
    if (bad != 0) {
        (void)err_set(err, -EHOSTUNREACH, "%s: %s", place->name,
                      gai_strerror(bad));
        return err_next(err, "give a name that this host can look up");
    }
    for (const struct addrinfo *one = found; one && fd < 0; one = one->ai_next)
        fd = connect_one(one);
    freeaddrinfo(found);
    return fd < 0 ? unreachable(place, fd, strerrordesc_np(-fd), err) : fd;
}

static int judge(struct tls *tls, void *arg)
{
    const struct place *place = arg;
    gnutls_x509_crt_t crt = NULL;
    int r = tls_peer_verify(tls->session, tls->identity, place->name, &crt,
                            &tls->alert, &tls->refusal);
    gnutls_x509_crt_deinit(crt);
    return r;
}

static int load(const char *dir, struct tls_identity **ret_identity,
                struct err *err)
{
    char ca[PATH_MAX];
    char cert[PATH_MAX];
    char key[PATH_MAX];
    char crl[PATH_MAX];
    if (!str_format(ca, sizeof(ca), "%s/ca.pem", dir) ||
        !str_format(cert, sizeof(cert), "%s/cert.pem", dir) ||
        !str_format(key, sizeof(key), "%s/key.pem", dir) ||
        !str_format(crl, sizeof(crl), "%s/crl.pem", dir))
        return err_set(err, -ENAMETOOLONG, "%s: too long", dir);
    const struct rpc_tls_files files = {
        .ca = ca,
        .cert = cert,
        .key = key,
        .crl = access(crl, F_OK) == 0 ? crl : NULL,
    };
    int r = tls_identity_load(&files, ret_identity, err);
    if (r < 0)
        return err_next(err, "make certificates: drayd-make-certs --help; or "
                             "name their directory: --pki DIR");
    return 0;
}

static int shake_hands(struct tls *tls, const struct place *place,
                       struct err *err)
{
    int r = 0;
    /* GnuTLS calls an address a name, too, and sends it nowhere. */
    (void)gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, place->name,
                                 strlen(place->name));
    do {
        r = tls_handshake(tls, err);
    } while (r == -EAGAIN && tls->session &&
             gnutls_record_get_direction(tls->session));
    if (r == -EAGAIN)
        return unreachable(place, -ETIMEDOUT, "it does not answer in TLS", err);
    if (r < 0) {
        (void)err_wrap(err, "drayd at %s port %s", place->name, place->port);
        return err_next(err, "%s",
                        r == -EACCES
                            ? "the certificates of both sides have to fit: "
                              "certtool -i --infile cert.pem shows one"
                            : "is that the [tls] port of its drayd.conf?");
    }
    limit_waiting(tls->transport.fd, 0);
    (void)str_format(tls->transport.peer, TRANSPORT_PEER_SIZE,
                     "drayd at %s port %s", place->name, place->port);
    return 0;
}

/* @identity is the caller's. */
static int connect_as(struct place *place, struct tls_identity *identity,
                      struct rpc_client **ret_client, struct err *err)
{
    struct tls *tls = NULL;
    int fd = connect_any(place, err);
    int r = fd < 0 ? fd : tls_new(fd, GNUTLS_CLIENT, identity, &tls, err);
    if (r < 0)
        return r;
    tls->judge = judge;
    tls->judge_arg = place; /* asked before we return, and never again */
    r = shake_hands(tls, place, err);
    if (r < 0) {
        tls_free(tls);
        return r;
    }
    return client_new(&tls->transport, ret_client, err);
}

int rpc_client_connect_tls(const char *host, const char *pki_dir,
                           struct rpc_client **ret_client, struct err *err)
{
    struct place place;
    struct tls_identity *identity = NULL;
    int r = parse_place(host, &place, err);
    if (r == 0)
        r = load(pki_dir, &identity, err);
    if (r == 0)
        r = connect_as(&place, identity, ret_client, err);
    tls_identity_unref(identity);
    return r;
}

int rpc_client_connect_peer(const char *host, const struct rpc_tls_files *files,
                            struct rpc_client **ret_client, struct err *err)
{
    struct place place;
    struct tls_identity *identity = NULL;
    int r = parse_place(host, &place, err);
    if (r == 0)
        r = tls_identity_load(files, &identity, err);
    if (r == 0)
        r = connect_as(&place, identity, ret_client, err);
    tls_identity_unref(identity);
    return r;
}
