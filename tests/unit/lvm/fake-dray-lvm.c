/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Stands for dray-lvm in test-client.c: does what the name of the LV says.
 *   die...     ends without an answer, each time
 *   once...    ends without an answer the first time: makes a file DIR/LV
 *   hang...    answers nothing
 *   full...    an error
 *   held...    done for the holder, an error for all others
 *   devices   the answer's size is how many devices it was told of
 *   all others are done; the answer's size is the process's number
 */
#include "../../../src/lvm/input.h"
#include "../../../src/lvm/message.h"

#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

static bool is_first_time(const char *dir, const char *lv)
{
    char path[PATH_MAX];
    (void)str_format(path, sizeof(path), "%s/%s", dir, lv);
    _cleanup_close_ int fd = open(path, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0;
}

static void answer(const struct input *input, const struct lvm_request *request,
                   const struct lvm_setup *setup)
{
    const char *dir = setup->dir;
    const char *lv = request->lvs.n > 0 ? request->lvs.names[0] : "";
    struct lvm_answer done = { .id = request->id,
                               .err = ERR_INIT,
                               .size_bytes = (uint64_t)getpid() };
    if (str_starts_with(lv, "hang"))
        return;
    if (str_starts_with(lv, "die") ||
        (str_starts_with(lv, "once") && is_first_time(dir, lv))) {
        (void)fprintf(stderr, "I had to go\n");
        exit(1);
    }
    if (str_starts_with(lv, "full"))
        (void)err_set_code(&done.err, ERR_NO_SPACE, "it is full");
    if (str_starts_with(lv, "held") && !request->held)
        (void)err_set(&done.err, -EPERM, "not by the holder");
    if (str_equal(lv, "devices"))
        done.size_bytes = setup->devices.n;
    _cleanup_free_ char *text = answer_text(&done);
    (void)input_write_line(input, text);
}

int main(void)
{
    struct input input;
    struct lvm_setup setup = { .vg = NULL };
    char *line = NULL;
    size_t size = 0;
    input_init(&input, STDIN_FILENO);
    while (input_fill(&input, -1) == 0) {
        while (input_line(&input, &line, &size)) {
            struct lvm_request request;
            if (!setup.vg && setup_parse(line, size, &setup, NULL) < 0)
                return 2;
            if (request_parse(line, size, &request, NULL) < 0)
                continue; /* the setup */
            if (request.verb != VERB_LET_GO)
                answer(&input, &request, &setup);
            request_deinit(&request);
        }
    }
    input_deinit(&input);
    setup_deinit(&setup);
    return 0;
}
