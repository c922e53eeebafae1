/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu's answers about its block graph: query-block, a line break,
 * query-named-block-nodes (and, as if it were that, query-block-jobs).
 */
#include "../../src/virt/graph.h"
#include "fuzz.h"

static void read_layers(const char *blocks, const char *nodes)
{
    struct vm_layers layers = { 0 };
    struct err err = ERR_INIT;

    if (graph_disk_layers(blocks, nodes, "virtio-disk1", &layers, &err) == 0) {
        for (size_t i = 0; i < layers.n; i++)
            MUST(memchr(layers.paths[i], '\0', PATH_MAX));
    } else {
        MUST(!layers.paths);
    }
    vm_layers_deinit(&layers);
}

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
    read_layers(blocks, nodes);
    if (nodes) {
        unsigned index;
        (void)graph_commit_top(nodes, "vdb", &index, NULL);
        MUST(graph_is_writable(nodes, 6, NULL) <= 1);
    }
    free(blocks);
    return 0;
}
