/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Private to lvm/: how a request gets to dray-lvm and its answer back.
 */
#ifndef DRAY_LVM_CLIENT_H
#define DRAY_LVM_CLIENT_H

#include "message.h"

/* Sends it (id and json are ours to set) and waits. 0: *ret_answer is there and
 * says done; release it. A failed answer is an error. */
int client_call(struct lvm *lvm, struct lvm_request *request,
                struct lvm_answer *ret_answer, struct err *err);

#endif
