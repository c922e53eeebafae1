/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Two hosts, a VM with one disk that goes from one to the other, a daemon on
 * each, and time that passes only when told. Implements the ports of both
 * daemons, lives on while they are dead, and notices when a rule is broken
 * (violation): never two running VMs, never one on a copy that lacks an
 * acknowledged write, nothing deleted that is the only right copy.
 */
#ifndef DRAY_TESTS_FAKE_TRAVEL_H
#define DRAY_TESTS_FAKE_TRAVEL_H

#include <dray/migrate.h>

enum {
    HERE,
    THERE,
    HOSTS
};

enum travel_fault {
    TRAVEL_FAIL,        /* a call fails and did nothing */
    TRAVEL_KILL_BEFORE, /* its daemon dies before it */
    TRAVEL_KILL_AFTER,  /* ... before it hears the answer */
    TRAVEL_FAULTS
};

/* Of the disk's chain, when it has one. */
enum travel_layer {
    TRAVEL_TEMPLATE,
    TRAVEL_INTERNAL,
    TRAVEL_LAYERS
};

/* Another job that makes the template, too, when this one has been planned. */
enum travel_rival {
    TRAVEL_ALONE,
    TRAVEL_RIVAL_FILLS, /* and never comes to its end */
    TRAVEL_RIVAL_FIRST, /* it is whole before this one comes to it */
};

struct travel_host {
    struct travel *travel;
    struct migrate_ports ports;
    struct migration *migration; /* NULL: none, or the daemon is dead */
    struct migration_orders orders;
    struct job record;
    bool has_record;
    bool dead;          /* nothing that this life does has an effect */
    int64_t restart_ms; /* then it lives again; 0: it lives */
    int64_t next_ms;    /* of its job's next step */
    int64_t libvirt_back_ms;
    /* its VM */
    bool defined, active, running, incoming;
    /* its volume */
    bool image, legal;
    bool block;        /* on an LV, ... */
    uint64_t lv_bytes; /* ... of that size, ... */
    bool lv_active;    /* ... which this host has in use */
    bool watching;     /* it is known that a block job fills something */
    /* what is below its volume */
    bool layer[TRAVEL_LAYERS];     /* it is there */
    bool whole[TRAVEL_LAYERS];     /* ... with its data */
    unsigned parts[TRAVEL_LAYERS]; /* bits: of its data, since this life */
    unsigned life;
    uint64_t knows; /* the guest's writes that it has */
};

struct travel {
    struct travel_host hosts[HOSTS];
    int64_t now_ms;
    int64_t dead_ms; /* how long a daemon is away after a kill */
    uint64_t acknowledged;
    bool network_cut;
    bool transient;        /* the VM has no definition */
    bool dies_there;       /* it has come, and ends before it was resumed */
    bool chain;            /* the disk has all layers */
    bool template_there;   /* before */
    bool template_differs; /* ... and not the same */
    enum travel_rival rival;
    bool rival_came;
    /* the send */
    bool sending, aborted;
    int64_t sent_ms;   /* when it will be through */
    uint64_t written;  /* bytes there; the guest makes them more and more */
    bool vg_full;      /* an LV there grows no more */
    bool starved;      /* ... and was too small */
    bool send_breaks;  /* in the end */
    bool confirm_lost; /* libvirtd here dies before it hears: the VM goes on
                          here, and stands complete there */
    bool other_file;   /* is what qemu has open there */
    unsigned calls, fault_at; /* 1: the first */
    enum travel_fault fault;
    char faulted[32];
    char violation[160];
};

void travel_init(struct travel *travel);
/* After travel_init(): the disk goes from an LV to a thin one. */
void travel_on_lvs(struct travel *travel);
/* After travel_init(): the disk is a linked clone with a snapshot. */
void travel_has_chain(struct travel *travel, bool template_there);
void travel_deinit(struct travel *travel);
/* The job that is to be done HERE. */
struct job travel_job(const struct travel *travel);
void travel_start(struct travel *travel, int host, const struct job *job);
/* One millisecond: the guest, the send, the daemons. */
void travel_pass(struct travel *travel);

#endif
