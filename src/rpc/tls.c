/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * One TLS connection on a socket. GnuTLS reads whole records and nothing
 * beyond, at most 16 KiB of data each, which a reader's buffer takes whole: so
 * nothing is ever left inside that the socket does not tell of. Only one thing
 * happens after the handshake: data; a renegotiation ends the connection.
 *
 * A peer that goes without TLS's good-bye between two records has gone; within
 * one, something has cut the stream.
 */
#include "tls.h"

#include <dray/base/list.h>
#include <dray/base/util.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

enum {
    RECORD_MAX = 16 * 1024,
    RECORD_ALERT = 21, /* a record's first byte */
    RECORD_HANDSHAKE = 22,
    STEPS_MAX = 8,    /* of a handshake in one call */
    KEEP_IDLE_S = 20, /* a peer that is silent is asked whether it lives */
    KEEP_INTERVAL_S = 5,
    KEEP_COUNT = 4,
    UNACKED_MS = 40 * 1000, /* the same for one that we have sent data */
};

static struct tls *of_transport(struct transport *transport)
{
    return container_of(transport, struct tls, transport);
}

/* Whether all records are here whole: each says its length in the last two of
 * its first five bytes. GnuTLS does not tell. */
static void follow_records(struct tls *tls, const unsigned char *bytes,
                           size_t n)
{
    while (n > 0) {
        size_t step = tls->body_left < n ? tls->body_left : n;
        if (tls->body_left == 0) {
            tls->header[tls->header_len++] = *bytes;
            step = 1;
        } else {
            tls->body_left -= step;
        }
        if (tls->header_len == RECORD_HEADER) {
            tls->body_left = (size_t)tls->header[3] << 8 | tls->header[4];
            tls->header_len = 0;
        }
        bytes += step;
        n -= step;
    }
}

/* All that comes from the socket passes here. */
static ssize_t pull(gnutls_transport_ptr_t arg, void *bytes, size_t n)
{
    struct tls *tls = arg;
    ssize_t got = recv(tls->transport.fd, bytes, n, 0);
    if (got > 0 && tls->received == 0)
        tls->first = *(const unsigned char *)bytes;
    tls->received += got > 0 ? (size_t)got : 0;
    tls->eof |= got == 0;
    follow_records(tls, bytes, got > 0 ? (size_t)got : 0);
    if (got < 0)
        gnutls_transport_set_errno(tls->session, errno);
    return got;
}

/* send() instead of write(): no SIGPIPE when the peer has gone. */
static ssize_t push(gnutls_transport_ptr_t arg, const void *bytes, size_t n)
{
    struct tls *tls = arg;
    ssize_t sent = send(tls->transport.fd, bytes, n, MSG_NOSIGNAL);
    if (sent < 0)
        gnutls_transport_set_errno(tls->session, errno);
    return sent;
}

static int refuse_renegotiation(struct tls *tls, struct err *err)
{
    (void)gnutls_alert_send(tls->session, GNUTLS_AL_FATAL,
                            GNUTLS_A_NO_RENEGOTIATION); /* a courtesy */
    return err_set(err, -EPROTO, "it asked for a renegotiation");
}

static int say_alert(struct tls *tls, struct err *err)
{
    gnutls_alert_description_t alert = gnutls_alert_get(tls->session);
    const char *name = gnutls_alert_get_name(alert);
    int r = err_set(err, -EACCES, "it does not want us: %s",
                    name ? name : "unknown reason");
    if (tls->server)
        return r;
    if (alert == GNUTLS_A_ACCESS_DENIED)
        return err_next(err, "have our certificate's name put into its "
                             "drayd.conf, section [tls-roles]");
    return err_next(err, "its log says more");
}

/* For a connection that is broken. */
static int explain(struct tls *tls, int r, struct err *err)
{
    if (tls->eof || r == GNUTLS_E_PULL_ERROR || r == GNUTLS_E_PUSH_ERROR)
        return -ECONNRESET;
    if (r == GNUTLS_E_REHANDSHAKE || r == GNUTLS_E_UNSAFE_RENEGOTIATION_DENIED)
        return refuse_renegotiation(tls, err);
    if (r == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return say_alert(tls, err);
    (void)gnutls_alert_send_appropriate(tls->session, r); /* a courtesy */
    return err_set(err, -EPROTO, "a damaged record: %s", gnutls_strerror(r));
}

static bool is_partial(const struct transport *transport)
{
    const struct tls *tls =
        container_of((struct transport *)transport, struct tls, transport);
    return tls->header_len > 0 || tls->body_left > 0;
}

static ssize_t tls_read(struct transport *transport, void *bytes, size_t n,
                        struct err *err)
{
    struct tls *tls = of_transport(transport);
    ssize_t r = gnutls_record_recv(tls->session, bytes, n);
    /* GnuTLS may ask to be called again when the stream ends in a record. */
    bool ended = tls->eof || r == GNUTLS_E_PULL_ERROR;
    if (r < 0 && ended && is_partial(transport))
        return err_set(err, -EPROTO, "a truncated record");
    if (r < 0 && tls->eof)
        return 0;
    if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_WARNING_ALERT_RECEIVED)
        return -EAGAIN;
    if (r == GNUTLS_E_INTERRUPTED)
        return -EINTR;
    return r < 0 ? explain(tls, (int)r, err) : r;
}

/* GnuTLS goes on with the record it has begun, whatever it is given: it has to
 * be told the same size again. */
static ssize_t tls_write(struct transport *transport, const void *bytes,
                         size_t n, struct err *err)
{
    struct tls *tls = of_transport(transport);
    if (n > RECORD_MAX)
        n = RECORD_MAX;
    if (tls->unsent)
        n = tls->unsent;
    ssize_t r = gnutls_record_send(tls->session, bytes, n);
    bool again = r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
    tls->unsent = again ? n : 0;
    if (again)
        return r == GNUTLS_E_AGAIN ? -EAGAIN : -EINTR;
    return r < 0 ? explain(tls, (int)r, err) : r;
}

static void tls_close(struct transport *transport)
{
    struct tls *tls = of_transport(transport);
    /* Says that this is the end and nothing was cut off; where the peer does
     * not take it, it will not care. */
    (void)gnutls_bye(tls->session, GNUTLS_SHUT_WR);
    tls_free(tls);
}

static const struct transport_ops ops = {
    .read = tls_read,
    .write = tls_write,
    .is_partial = is_partial,
    .close = tls_close,
};

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    if (tls->session)
        gnutls_deinit(tls->session);
    transport_close_fd(tls->transport.fd);
    tls_identity_unref(tls->identity);
    free(tls);
}

/* The judge's no ends the handshake. */
static int on_certificate(gnutls_session_t session)
{
    struct tls *tls = gnutls_session_get_ptr(session);
    return tls->judge(tls, tls->judge_arg) < 0 ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

/* Versions below 1.2 go, everything else is as the system's policy has it. */
static int setup_session(struct tls *tls, unsigned flags)
{
    gnutls_priority_t priority = NULL;
    int r = gnutls_init(&tls->session, flags);
    if (r < 0)
        return r;
    r = gnutls_priority_init2(&priority, "-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
                              NULL, GNUTLS_PRIORITY_INIT_DEF_APPEND);
    if (r == 0)
        r = gnutls_priority_set(tls->session, priority);
    gnutls_priority_deinit(priority); /* the session has its own reference */
    if (r == 0)
        r = gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE,
                                   tls->identity->credentials);
    if (r < 0)
        return r;
    gnutls_session_set_ptr(tls->session, tls);
    gnutls_session_set_verify_function(tls->session, on_certificate);
    gnutls_certificate_server_set_request(tls->session, GNUTLS_CERT_REQUIRE);
    gnutls_transport_set_ptr(tls->session, tls);
    gnutls_transport_set_pull_function(tls->session, pull);
    gnutls_transport_set_push_function(tls->session, push);
    return 0;
}

/* These fail on a socket that is not TCP, which needs none of them. */
static void setup_socket(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET,   SO_KEEPALIVE,     1              },
        { IPPROTO_TCP, TCP_NODELAY,      1              },
        { IPPROTO_TCP, TCP_KEEPIDLE,     KEEP_IDLE_S    },
        { IPPROTO_TCP, TCP_KEEPINTVL,    KEEP_INTERVAL_S},
        { IPPROTO_TCP, TCP_KEEPCNT,      KEEP_COUNT     },
        { IPPROTO_TCP, TCP_USER_TIMEOUT, UNACKED_MS     },
    };
    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name,
                         &options[i].value, sizeof(options[i].value));
}

static void name_peer(struct transport *transport)
{
    struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
    socklen_t size = sizeof(address);
    char host[64];
    char port[16];
    if (getpeername(transport->fd, (struct sockaddr *)&address, &size) < 0 ||
        address.ss_family == AF_UNIX ||
        getnameinfo((struct sockaddr *)&address, size, host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        (void)str_copy(transport->peer, TRANSPORT_PEER_SIZE, "TLS peer");
    else
        (void)str_format(transport->peer, TRANSPORT_PEER_SIZE, "%s port %s",
                         host, port);
}

int tls_new(int fd, unsigned flags, struct tls_identity *identity,
            struct tls **ret_tls, struct err *err)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    if (!tls) {
        (void)close(fd); /* nothing was said on it */
        return err_set(err, -ENOMEM, "no memory for a TLS session");
    }
    tls->transport.ops = &ops;
    tls->transport.fd = fd;
    tls->identity = tls_identity_ref(identity);
    tls->refusal = (struct err)ERR_INIT;
    tls->server = flags & GNUTLS_SERVER;
    setup_socket(fd);
    name_peer(&tls->transport);
    int r = setup_session(tls, flags);
    if (r < 0) {
        tls_free(tls);
        return err_set(err, -EIO, "TLS cannot be set up: %s",
                       gnutls_strerror(r));
    }
    *ret_tls = tls;
    return 0;
}

static int say_failure(struct tls *tls, int r, struct err *err)
{
    if (tls->received == 0)
        return err_set(err, -ECONNRESET, "it went without a word");
    if (tls->first != RECORD_HANDSHAKE && tls->first != RECORD_ALERT)
        return err_set(err, -EPROTO, "what it speaks is not TLS");
    if (r == GNUTLS_E_FATAL_ALERT_RECEIVED)
        return say_alert(tls, err);
    if (r == GNUTLS_E_CERTIFICATE_REQUIRED ||
        r == GNUTLS_E_NO_CERTIFICATE_FOUND)
        return err_set(err, -EACCES, "it showed no certificate");
    if (r == GNUTLS_E_UNSUPPORTED_VERSION_PACKET)
        return err_set(err, -EPROTO, "it speaks no TLS 1.2 or newer");
    if (tls->eof || r == GNUTLS_E_PULL_ERROR)
        return err_set(err, -ECONNRESET,
                       "it broke off in the middle of the handshake");
    return err_set(err, -EPROTO, "%s", gnutls_strerror(r));
}

/* Tells the peer, and us, why. */
static int give_up(struct tls *tls, int r, struct err *err)
{
    if (!tls->refusal.rc) {
        (void)gnutls_alert_send_appropriate(tls->session, r);
        return say_failure(tls, r, err);
    }
    (void)gnutls_alert_send(tls->session, GNUTLS_AL_FATAL,
                            (gnutls_alert_description_t)tls->alert);
    (void)err_set(err, tls->refusal.rc, "%s", tls->refusal.message);
    return tls->refusal.next[0] ? err_next(err, "%s", tls->refusal.next)
                                : tls->refusal.rc;
}

/* A client that waits for the acknowledgement of its last record before it
 * sends a request would wait for the 40 ms that TCP may delay it. */
static void acknowledge(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

int tls_handshake(struct tls *tls, struct err *err)
{
    int r = GNUTLS_E_AGAIN;
    for (int i = 0; i < STEPS_MAX; i++) {
        r = gnutls_handshake(tls->session);
        if (r == 0 || r == GNUTLS_E_AGAIN || gnutls_error_is_fatal(r))
            break;
    }
    if (r != 0 && tls->received > RPC_TLS_HANDSHAKE_BYTES)
        return err_set(err, -EMSGSIZE, "its handshake has no end");
    if (r < 0)
        return tls->eof || gnutls_error_is_fatal(r) ? give_up(tls, r, err)
                                                    : -EAGAIN;
    acknowledge(tls->transport.fd);
    return 0;
}
