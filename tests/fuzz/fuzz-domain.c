/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A domain's metadata. The checksum would stop nearly every input at the door:
 * so lines of the input are also set one by one and written with a right one.
 */
#include "fuzz.h"

#include <dray/format.h>

static void check(struct format_domain *domain)
{
    struct format_domain_facts facts;
    struct format_domain again = { 0 };
    struct err err = ERR_INIT;
    char *text = NULL;
    size_t size = 0;

    if (format_domain_text(domain, &text, &size, &err) == 0) {
        MUST(format_domain_parse(text, size, &again, &err) == 0);
        MUST(again.n == domain->n);
        err_clear(&err);
        if (format_domain_check(&again, &facts, &err) == 0)
            MUST(uuid_is_valid(facts.sd));
        else
            MUST(err.message[0]);
    }
    format_domain_deinit(&again);
    free(text);
}

static void set_lines(char *text)
{
    struct format_domain domain = { 0 };
    struct err err = ERR_INIT;
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char *value = strchr(line, '=');
        if (!value || value == line ||
            line[0] == '_') /* the checksum is made anew */
            continue;
        *value++ = '\0';
        if (line[strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")])
            continue; /* only our own code names keys */
        (void)format_domain_set(&domain, line, value, &err);
        err_clear(&err);
    }
    (void)format_domain_get(&domain, "SDUUID");
    check(&domain);
    format_domain_deinit(&domain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct format_domain domain = { 0 };
    struct err err = ERR_INIT;
    char *text = fuzz_text(data, size);

    if (format_domain_parse(text, size, &domain, &err) == 0)
        check(&domain);
    else
        MUST(err.message[0]);
    format_domain_deinit(&domain);
    set_lines(text);
    free(text);
    return 0;
}
