/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Framing and envelope: whatever the stream is and however it is cut, the same
 * values and errors come out, each value is JSON, and each answer is one line.
 * The first byte says in what pieces the second run is fed.
 */
#include "../../src/rpc/envelope.h"
#include "../../src/rpc/frame.h"
#include "fuzz.h"

#include <dray/base/util.h>
#include <dray/rpc/server.h>
#include <json-c/json.h>

struct run {
    uint64_t digest; /* of all that came out, in order */
    bool fatal;
};

static void mix(struct run *run, const char *text)
{
    for (; *text; text++)
        run->digest = (run->digest ^ (unsigned char)*text) * 0x100000001b3;
}

/* What a server would say to it. */
static void check_envelope(struct json_object *value)
{
    struct envelope envelope;
    struct err err = ERR_INIT;
    struct json_object *answer;

    if (envelope_read(value, &envelope, &err) == 0)
        answer = envelope_result(envelope.id, json_object_get(value));
    else
        answer = envelope_error(envelope.id, &err, "request", NULL);
    MUST(answer);
    const char *text = json_object_to_json_string_ext(
        answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    MUST(text && !strchr(text, '\n') && str_is_utf8(text, strlen(text)));
    json_object_put(answer);
}

static void note(struct run *run, enum frame_result result,
                 struct json_object *value, const struct err *err)
{
    if (result == FRAME_VALUE) {
        const char *text = json_object_to_json_string(value);
        mix(run, text ? text : "");
        check_envelope(value);
        json_object_put(value);
    } else if (result != FRAME_MORE) {
        MUST(err->rc < 0 && err->message[0] && err->next[0]);
        MUST(err->code == ERR_PARSE || err->code == ERR_REQUEST);
        mix(run, err->message);
        run->fatal = result == FRAME_FATAL;
    }
}

static void feed(struct frame *frame, const char *bytes, size_t n,
                 struct run *run)
{
    while (n > 0 && !run->fatal) {
        struct json_object *value = NULL;
        struct err err = ERR_INIT;
        size_t used = 0;
        enum frame_result result =
            frame_feed(frame, bytes, n, &used, &value, &err);
        /* a number ends before the byte that ends it */
        MUST(used <= n && (used > 0 || result != FRAME_MORE));
        note(run, result, value, &err);
        bytes += used;
        n -= used;
    }
}

static struct run read_all(const char *bytes, size_t n, size_t piece)
{
    struct run run = { .digest = 0xcbf29ce484222325 };
    struct json_object *value = NULL;
    struct err err = ERR_INIT;
    struct frame frame;

    frame_init(&frame);
    for (size_t i = 0; i < n && !run.fatal; i += piece)
        feed(&frame, bytes + i, n - i < piece ? n - i : piece, &run);
    if (!run.fatal) {
        enum frame_result result = frame_end(&frame, &value, &err);
        note(&run, result, value, &err);
    }
    frame_deinit(&frame);
    return run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    struct run whole = read_all(text, size - 1, size - 1);
    struct run cut = read_all(text, size - 1, (size_t)data[0] + 1);
    struct run bytes = read_all(text, size - 1, 1);
    MUST(whole.digest == cut.digest && whole.digest == bytes.digest);
    free(text);
    return 0;
}
