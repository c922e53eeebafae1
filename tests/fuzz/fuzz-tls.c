/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What anybody on the network can send before the handshake is done, in two
 * pieces: the door neither crashes nor hangs nor leaks, nobody comes in, and
 * it knows which records are whole. The first byte says where the cut is.
 */
#include "../../src/rpc/tls.h"
#include "fuzz.h"

#include <dray/base/log.h>
#include <dray/base/util.h>
#include <errno.h>
#include <gnutls/x509.h>
#include <sys/socket.h>

static struct tls_identity identity;

/* A certificate for the other side to see; made here, signed by itself. */
static void make_identity(void)
{
    gnutls_x509_privkey_t key;
    gnutls_x509_crt_t crt;
    MUST(gnutls_x509_privkey_init(&key) == 0);
    MUST(gnutls_x509_privkey_generate(
             key, GNUTLS_PK_ECDSA,
             GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0) == 0);
    MUST(gnutls_x509_crt_init(&crt) == 0);
    MUST(gnutls_x509_crt_set_version(crt, 3) == 0);
    MUST(gnutls_x509_crt_set_key(crt, key) == 0);
    MUST(gnutls_x509_crt_set_serial(crt, "\1", 1) == 0);
    MUST(gnutls_x509_crt_set_activation_time(crt, 0) == 0);
    MUST(gnutls_x509_crt_set_expiration_time(crt, 4000000000) == 0);
    MUST(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0) == 0);
    MUST(gnutls_certificate_allocate_credentials(&identity.credentials) == 0);
    MUST(gnutls_certificate_set_x509_key(identity.credentials, &crt, 1, key) >=
         0);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    identity.refs = 1;
    identity.crl_expires = (time_t)-1;
}

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false); /* each refusal is a line */
    make_identity();
}

static int say_yes(struct tls *tls, void *arg)
{
    (void)tls;
    (void)arg;
    return 0;
}

/* As the records say by their lengths. */
static bool is_whole(const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (size - at >= RECORD_HEADER) {
        size_t body = (size_t)data[at + 3] << 8 | data[at + 4];
        if (size - at - RECORD_HEADER < body)
            return false;
        at += RECORD_HEADER + body;
    }
    return at == size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    struct tls *tls = NULL;
    struct err err = ERR_INIT;
    int r = -EAGAIN;

    if (size < 1 || size > 32 * 1024) /* what a socket's buffer takes */
        return 0;
    if (!identity.refs)
        setup();
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                    fds) == 0);
    MUST(tls_new(fds[0], GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_TICKETS,
                 &identity, &tls, &err) == 0);
    tls->judge = say_yes;
    size_t cut = 1 + data[0] % size;
    const size_t ends[] = { cut, size };
    for (size_t i = 0, at = 1; i < 2 && r == -EAGAIN; at = ends[i++]) {
        MUST(send(fds[1], data + at, ends[i] - at, MSG_NOSIGNAL) ==
             (ssize_t)(ends[i] - at));
        for (int n = 0; n < 100 && r == -EAGAIN; n++)
            r = tls_handshake(tls, &err);
    }
    MUST(r != 0); /* nobody guesses a handshake */
    MUST(r == -EAGAIN || err.message[0]);
    if (tls->received == size - 1)
        MUST(tls->transport.ops->is_partial(&tls->transport) ==
             !is_whole(data + 1, size - 1));
    tls_free(tls);
    (void)close(fds[1]);
    return 0;
}
