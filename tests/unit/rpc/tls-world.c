/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * See tls-world.h.
 */
#include "tls-world.h"

#include <dray/base/util.h>
#include <string.h>
#include <sys/socket.h>

enum {
    TRIES = 1000, /* rounds of both sides; a handshake needs five */
};

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void make_certs(struct certs *certs)
{
    static const char *const names[] = { "host", "full", "read", "nobody",
                                         "gone" };
    certs_init(certs);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const struct certs_subject subject = { .cn = names[i] };
        certs_make(certs, names[i], &subject);
    }
    certs_list(certs, NULL, 3600);
}

struct rpc_tls_options tls_world_options(struct tls_world *world)
{
    return (struct rpc_tls_options){
        .files = certs_files(&world->certs, "host", true, world->paths),
        .roles = "full full\nread read\ngone full\nlate full\nserver full\n",
    };
}

int tls_world_setup(void **state)
{
    struct tls_world *world = calloc(1, sizeof(*world));
    struct err err = ERR_INIT;
    void *harness = NULL;
    int fd = -1;
    must(world && harness_setup(&harness) == 0);
    world->h = harness;
    make_certs(&world->certs);
    (void)str_format(world->tls_path, sizeof(world->tls_path), "%s/tls",
                     world->h->dir);
    const struct rpc_tls_options options = tls_world_options(world);
    must(rpc_listen(world->tls_path, (gid_t)-1, &fd, &err) == 0);
    must(rpc_tls_open(world->h->server, fd, &options, &err) == 0);
    world->door = world->h->server->tls;
    *state = world;
    return 0;
}

int tls_world_teardown(void **state)
{
    struct tls_world *world = *state;
    void *harness = world->h;
    (void)unlink(world->tls_path);
    (void)harness_teardown(&harness);
    certs_deinit(&world->certs);
    free(world);
    return 0;
}

int tls_world_dial(const struct tls_world *world)
{
    struct harness other = { .loop = NULL };
    (void)str_copy(other.path, sizeof(other.path), world->tls_path);
    return harness_connect(&other);
}

void tls_client_init(struct tls_client *client, const struct tls_world *world,
                     const struct certs *certs, const char *name,
                     const char *priority)
{
    must(gnutls_certificate_allocate_credentials(&client->credentials) == 0);
    must(gnutls_certificate_set_x509_trust_file(
             client->credentials, certs_path(&world->certs, "ca.pem", NULL),
             GNUTLS_X509_FMT_PEM) == 1);
    if (name)
        must(gnutls_certificate_set_x509_key_file(
                 client->credentials, certs_path(certs, "*.pem", name),
                 certs_path(certs, "*-key.pem", name),
                 GNUTLS_X509_FMT_PEM) >= 0);
    must(gnutls_init(&client->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK |
                                           GNUTLS_NO_SIGNAL |
                                           GNUTLS_FORCE_CLIENT_CERT) == 0);
    must(gnutls_priority_set_direct(client->session, priority, NULL) == 0);
    must(gnutls_credentials_set(client->session, GNUTLS_CRD_CERTIFICATE,
                                client->credentials) == 0);
    client->fd = tls_world_dial(world);
    gnutls_transport_set_int(client->session, client->fd);
}

int tls_client_handshake(struct tls_client *client, struct tls_world *world)
{
    for (int i = 0; i < TRIES; i++) {
        int r = gnutls_handshake(client->session);
        if (r == 0 || gnutls_error_is_fatal(r))
            return r;
        harness_run(world->h);
    }
    abort();
}

void tls_client_connect(struct tls_client *client, struct tls_world *world)
{
    tls_client_init(client, world, &world->certs, "full", TLS13);
    must(tls_client_handshake(client, world) == 0);
    harness_run(world->h);
}

void tls_client_deinit(struct tls_client *client)
{
    gnutls_deinit(client->session);
    gnutls_certificate_free_credentials(client->credentials);
    (void)close(client->fd);
}

int tls_client_send(struct tls_client *client, struct tls_world *world,
                    const char *text, size_t n)
{
    while (n > 0) {
        ssize_t sent = gnutls_record_send(client->session, text, n);
        if (sent < 0 && gnutls_error_is_fatal((int)sent))
            return (int)sent;
        if (sent > 0) {
            text += sent;
            n -= (size_t)sent;
        }
        harness_run(world->h);
    }
    return 0;
}

static bool has_more(const struct tls_client *client)
{
    char byte;
    return recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

char *tls_client_receive(struct tls_client *client, struct tls_world *world,
                         int *ret_end)
{
    size_t len = 0, size = 0;
    char *text = NULL;
    ssize_t n = 1;
    while (n > 0) {
        if (size - len < 20000) {
            size = 2 * size + 20000;
            text = realloc(text, size);
            must(text);
        }
        harness_run(world->h);
        n = gnutls_record_recv(client->session, text + len, size - len - 1);
        len += n > 0 ? (size_t)n : 0;
        if (n < 0 && !gnutls_error_is_fatal((int)n) && has_more(client))
            n = 1; /* that was no data, but what TLS says to TLS */
    }
    if (ret_end)
        *ret_end = n == 0 ? 1 : gnutls_error_is_fatal((int)n) ? (int)n : 0;
    text[len] = '\0';
    return text;
}
