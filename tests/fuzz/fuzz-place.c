/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Addresses of network disks, as somebody wrote them and as qemu prints them:
 * what is taken has one spelling, which is taken again and stays.
 */
#include "../../src/virt/node.h"
#include "../../src/virt/place.h"
#include "fuzz.h"

static void is_clean(const char *place)
{
    for (; *place; place++)
        MUST((unsigned char)*place >= 0x20 && *place != 0x7f);
}

static void normalize(const char *text)
{
    char place[PATH_MAX], again[PATH_MAX];
    struct err err = ERR_INIT;

    if (place_normalize(text, place, &err) < 0) {
        MUST(err.message[0]);
        return;
    }
    if (!place_is_uri(text)) {
        MUST(strcmp(place, text) == 0);
        return;
    }
    is_clean(place);
    MUST(place_normalize(place, again, &err) == 0);
    MUST(strcmp(place, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char place[PATH_MAX];
    struct place parsed;
    char *text = fuzz_text(data, size);

    normalize(text);
    if (place_parse_qemu(text, &parsed) == 0 &&
        place_format(&parsed, place) == 0)
        is_clean(place);
    if (node_place(text, place))
        MUST(memchr(place, '\0', sizeof(place)));
    free(text);
    return 0;
}
