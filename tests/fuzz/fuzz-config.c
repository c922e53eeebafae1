/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * drayd.conf.
 */
#include "../../src/config/config-parse.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct err err = ERR_INIT;
    char *text = fuzz_text(data, size);

    config_defaults(&config);
    if (config_parse(text, size, "drayd.conf", &config, &err) == 0) {
        MUST(config.socket_path[0] == '/' && config.state_dir[0] == '/');
        MUST(config.workers > 0 && config.host_id > 0);
    } else {
        MUST(err.message[0]);
    }
    free(text);
    return 0;
}
