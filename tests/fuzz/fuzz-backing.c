/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The header of an image that no VM has open: whom it names as the layer below.
 */
#include "../../src/virt/backing.h"
#include "fuzz.h"

#include <dray/base/reach.h>
#include <fcntl.h>
#include <stdlib.h>
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
    char path[] = "/tmp/drayd-fuzz-backing-XXXXXX";
    struct reach *reach = NULL;
    int fd = mkostemp(path, O_CLOEXEC);

    MUST(fd >= 0);
    MUST(reach_new(60000, &reach) == 0);
    MUST(write(fd, data, size) == (ssize_t)size);
    MUST(backing_walk(reach, path, is_place, NULL) >= 0);
    (void)backing_capacity(reach, path, "qcow2");
    (void)backing_capacity(reach, path, "raw");
    reach_free(reach);
    (void)unlink(path);
    (void)close(fd);
    return 0;
}
