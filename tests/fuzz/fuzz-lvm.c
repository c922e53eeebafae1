/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What LVM, drayd and dray-lvm say to each other: a report, a request, an
 * answer, a setup. A request that is accepted makes a command line in which
 * every word is one that we wrote or checked.
 */
#include "../../src/lvm/command.h"
#include "../../src/lvm/report.h"
#include "fuzz.h"

static void check_request(const char *text, size_t size)
{
    struct lvm_request request, again;
    if (request_parse(text, size, &request, NULL) < 0)
        return;
    char *line = request_text(&request);
    MUST(line);
    MUST(request_parse(line, strlen(line), &again, NULL) == 0);
    MUST(again.id == request.id && again.verb == request.verb);
    MUST(again.lvs.n == request.lvs.n && again.add.n == request.add.n);
    MUST(again.held == request.held);
    if (request.verb != VERB_REPORT && request.verb != VERB_HOLD &&
        request.verb != VERB_LET_GO) {
        char *command = command_of(&request, "vg");
        MUST(command);
        MUST(!strpbrk(command, "\n\"'\\;$`|<>"));
        free(command);
    }
    free(line);
    request_deinit(&again);
    request_deinit(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lvm_report report = { 0 };
    struct lvm_answer answer;
    struct lvm_setup setup;
    struct err err = ERR_INIT;
    char *text = fuzz_text(data, size);
    if (report_add_text(&report, text, size, &err) < 0)
        MUST(err.message[0]);
    for (size_t i = 0; i < report.n_lvs; i++)
        MUST(lvm_report_lv(&report, report.lvs[i].name));
    lvm_report_deinit(&report);
    check_request(text, size);
    if (lvm_answer_parse(text, size, &answer, NULL) == 0)
        answer_deinit(&answer);
    if (setup_parse(text, size, &setup, NULL) == 0)
        setup_deinit(&setup);
    free(text);
    return 0;
}
