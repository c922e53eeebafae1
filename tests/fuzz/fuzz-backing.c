/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The header of an image that no VM has open: whom it names as the layer below.
 */
#include "../../src/virt/backing.h"
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Ends the walk: no file that the input names is opened. */
static bool is_place(void *arg, const char *path)
{
    (void)arg;
    MUST(path[0] && memchr(path, '\0', PATH_MAX));
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("image", MFD_CLOEXEC);

    MUST(fd >= 0);
    MUST(write(fd, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    MUST(backing_walk(path, is_place, NULL) >= 0);
    (void)close(fd);
    return 0;
}
