/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: lines on a stream socket, both ways.
 */
#ifndef DRAY_LVM_INPUT_H
#define DRAY_LVM_INPUT_H

#include <stdbool.h>
#include <stddef.h>

struct input {
    int fd; /* borrowed */
    char *data;
    size_t size;
    size_t start; /* of what is not yet read as lines */
    size_t end;
};

void input_init(struct input *input, int fd);
void input_deinit(struct input *input);

/* Takes in what is there; waits for it up to @wait_ms (negative: no limit).
 * 0, 1 at the end, -EMSGSIZE for a line beyond MESSAGE_MAX, -errno. */
int input_fill(struct input *input, int wait_ms);

/* The next whole line, without its end; valid until the next call. */
bool input_line(struct input *input, char **ret_line, size_t *ret_size);

/* Blocks until it is written. -EPIPE raises no signal. */
int input_write_line(const struct input *input, const char *text);

#endif
