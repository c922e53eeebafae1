/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The scripted daemon is a thread with a socket in a directory of its own;
 * drayctl runs on the test's thread with its output in files.
 */
#include "server.h"
#include "../../../src/cli/cli.h"
#include <dray/base/util.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

struct server {
    char dir[64];
    char path[96];
    int listen_fd;
    const char *const *script; /* the next line */
    struct run *run;
    pthread_t client; /* gets the signal */
};

static void remember(struct run *run, struct json_object *request)
{
    struct json_object *params = json_object_object_get(request, "params");
    size_t n = strlen(run->asked);
    (void)str_format(
        run->asked + n, sizeof(run->asked) - n, "%s %s\n",
        json_object_get_string(json_object_object_get(request, "method")),
        params ? json_object_to_json_string_ext(
                     params,
                     JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
               : "-");
}

static void answer(FILE *stream, struct json_object *request, const char *text)
{
    const char *key = text[0] == '!' ? "error" : "result";
    (void)fprintf(
        stream, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"%s\":%s}\n",
        json_object_to_json_string(json_object_object_get(request, "id")), key,
        text + (text[0] == '!'));
    (void)fflush(stream);
}

/* One connection, until either side ends it. */
static void serve(struct server *server, FILE *stream)
{
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, stream) > 0) {
        struct json_object *request = json_tokener_parse(line);
        remember(server->run, request);
        if (str_equal(*server->script, "interrupt")) {
            server->script++;
            (void)pthread_kill(server->client, SIGINT);
        }
        const char *text = *server->script;
        if (text)
            server->script++;
        if (text && !str_equal(text, "hang up"))
            answer(stream, request, text);
        json_object_put(request);
        if (!text || str_equal(text, "hang up"))
            return;
    }
}

static void *server_main(void *arg)
{
    struct server *server = arg;
    int fd = -1;
    while ((fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        FILE *stream = fdopen(fd, "r+e");
        serve(server, stream);
        (void)fclose(stream);
    }
    return NULL;
}

static void server_listen(struct server *server)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    str_copy(server->dir, sizeof(server->dir), "/tmp/drayd-test-XXXXXX");
    assert_non_null(mkdtemp(server->dir));
    str_format(server->path, sizeof(server->path), "%s/sock", server->dir);
    str_copy(address.sun_path, sizeof(address.sun_path), server->path);
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listen_fd >= 0);
    assert_int_equal(
        bind(server->listen_fd, (struct sockaddr *)&address, sizeof(address)),
        0);
    assert_int_equal(listen(server->listen_fd, 4), 0);
}

/* Puts a fresh file in the place of @fd; returns what was there. */
static int redirect(int fd, const char *path)
{
    int saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && file >= 0);
    assert_int_equal(dup2(file, fd), fd);
    close(file);
    return saved;
}

static void restore(int fd, int saved, const char *path, char *ret_text)
{
    assert_int_equal(dup2(saved, fd), fd);
    close(saved);
    _cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(file, ret_text, RUN_TEXT_SIZE - 1);
    assert_true(n >= 0);
    ret_text[n] = '\0';
    assert_int_equal(unlink(path), 0);
}

static void run_program(struct server *server, const char *const *argv)
{
    enum {
        WORDS_MAX = 32
    };
    const char *words[WORDS_MAX] = { "--socket", server->path };
    char out[96];
    char err[96];
    for (size_t n = 2; *argv; n++, argv++) {
        assert_true(n + 1 < WORDS_MAX);
        words[n] = *argv;
    }
    str_format(out, sizeof(out), "%s/out", server->dir);
    str_format(err, sizeof(err), "%s/err", server->dir);
    (void)fflush(stdout);
    int saved_out = redirect(STDOUT_FILENO, out);
    int saved_err = redirect(STDERR_FILENO, err);
    server->run->exit = cli_main(words);
    (void)fflush(stdout);
    restore(STDOUT_FILENO, saved_out, out, server->run->out);
    restore(STDERR_FILENO, saved_err, err, server->run->err);
}

const struct run *run_drayctl(const char *const *script,
                              const char *const *argv)
{
    static struct run run;
    struct server server = {
        .script = script,
        .run = &run,
        .client = pthread_self(),
    };
    pthread_t thread;
    memset(&run, 0, sizeof(run));
    server_listen(&server);
    assert_int_equal(pthread_create(&thread, NULL, server_main, &server), 0);
    run_program(&server, argv);
    (void)shutdown(server.listen_fd, SHUT_RDWR); /* ends accept4() */
    assert_int_equal(pthread_join(thread, NULL), 0);
    close(server.listen_fd);
    assert_int_equal(unlink(server.path), 0);
    assert_int_equal(rmdir(server.dir), 0);
    if (*server.script)
        fail_msg("never asked for: %s\nasked: %s", *server.script, run.asked);
    return &run;
}

void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

void assert_one_line(const char *text)
{
    assert_int_equal(count_lines(text), 1);
    assert_int_equal(strncmp(text, "drayctl: ", 9), 0);
}
