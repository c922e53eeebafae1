/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Looking at everything in a domain. In two parts: first what lies there, which
 * is quick and happens under the SDM lease, so that nothing half-done of
 * another host is taken for a leftover. Then what is in the volumes; that may
 * take long, and nobody waits for it: an image that changes meanwhile may show
 * up with what it had an instant before.
 *
 * A domain that this host has not joined, or that a pool owns, is looked at
 * without the lease.
 */
#include "audit.h"
#include "known.h"
#include "ops.h"
#include <errno.h>
#include <string.h>

int audit_note(struct audit *audit, struct audit_finding *finding,
               const struct audit_fix *fix, struct err *err)
{
    struct domain_audit *list = &audit->list;
    struct err cause = ERR_INIT;
    struct audit_finding *larger =
        realloc(list->findings, (list->n + 1) * sizeof(*larger));
    if (!larger)
        return err_set(err, -ENOMEM, "domain %s: out of memory",
                       audit->info.sd);
    list->findings = larger;
    if (fix)
        (void)str_copy(finding->repair, sizeof(finding->repair), fix->what);
    if (fix && audit->repair)
        finding->repaired = fix->run(fix->arg, &cause) == 0;
    if (cause.rc < 0) {
        size_t len = strlen(finding->text);
        (void)str_format(finding->text + len, sizeof(finding->text) - len,
                         "; cannot be mended: %s", cause.message);
    }
    larger[list->n++] = *finding;
    return 0;
}

int audit_note_error(struct audit *audit, enum audit_kind kind, const char *img,
                     const char *vol, const struct err *cause, struct err *err)
{
    struct audit_finding finding = { .kind = kind };
    (void)str_copy(finding.img, sizeof(finding.img), img ? img : "");
    (void)str_copy(finding.vol, sizeof(finding.vol), vol ? vol : "");
    (void)str_copy(finding.text, sizeof(finding.text), cause->message);
    return audit_note(audit, &finding, NULL, err);
}

static int look(struct audit *audit, struct err *err)
{
    int rc =
        audit->info.block ? audit_block(audit, err) : audit_files(audit, err);
    return rc < 0 ? rc : audit_images(audit, err);
}

int domain_audit(void *ctx, const char *sd, bool repair,
                 struct domain_audit *ret_audit, struct err *err)
{
    struct audit audit = { .domains = ctx, .repair = repair };
    int rc = domain_known_get(ctx, sd, &audit.info, err);
    if (rc == 0 && repair)
        rc = domain_check_joined(&audit.info, err);
    if (rc == 0) /* anew: a pool may have taken it */
        rc = domain_info(ctx, sd, &audit.info, err);
    if (rc == 0 && repair)
        rc = domain_check_not_attached(&audit.info, err);
    if (rc == 0)
        rc = look(&audit, err);
    if (rc < 0) {
        domain_audit_deinit(&audit.list);
        return rc;
    }
    *ret_audit = audit.list;
    return 0;
}
