/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu's answers about its block graph: query-block, a line break,
 * query-named-block-nodes.
 */
#include "../../src/virt/graph.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[PATH_MAX];
    struct err err = ERR_INIT;
    char *blocks = fuzz_text(data, size);
    char *nodes = strchr(blocks, '\n');

    if (nodes)
        *nodes++ = '\0';
    if (graph_disk_path(blocks, nodes, "virtio-disk0", path, &err) == 0)
        MUST(memchr(path, '\0', sizeof(path)));
    free(blocks);
    return 0;
}
