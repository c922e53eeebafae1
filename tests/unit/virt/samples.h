/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Captured answers of libvirt and qemu, samples.c says of what.
 */
#ifndef DRAY_TESTS_UNIT_VIRT_SAMPLES_H
#define DRAY_TESTS_UNIT_VIRT_SAMPLES_H

extern const char LIVE_BEFORE[], LIVE_COPYING[], LIVE_READY[], LIVE_COMMIT[];
extern const char PERSISTENT[];
extern const char BLOCKS_BEFORE[], BLOCKS_COPYING[], BLOCKS_AFTER[];
extern const char NODES_COPYING[];

/* samples-network.c */
extern const char LIVE_NETWORK[], BLOCKS_NETWORK[], NODES_NETWORK[];
extern const char JOBS_NETWORK[];

#endif
