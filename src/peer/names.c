/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The words that two drayds have for how far a VM's move has come.
 */
#include <dray/ports/peer.h>

const char *const peer_stage_names[PEER_STAGE_COUNT] = {
    [PEER_PREPARING] = "preparing", [PEER_FILLING] = "filling",
    [PEER_READY] = "ready",         [PEER_LANDING] = "landing",
    [PEER_DONE] = "done",           [PEER_UNDOING] = "undoing",
    [PEER_UNDONE] = "undone",
};

const char *const peer_arrival_names[VM_ARRIVAL_COUNT] = {
    [VM_ABSENT] = "absent",   [VM_INCOMING] = "incoming",
    [VM_ARRIVED] = "arrived", [VM_RUNS] = "running",
    [VM_OFF_THERE] = "off",
};
