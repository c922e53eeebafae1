/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The fastest known way to move a disk of a running VM within a file system
 * that can clone files, with nothing around it: the bare calls of libvirt, no
 * journal, no lease, no check. What the benchmark holds drayd against.
 *
 *   snapshot   the VM writes to a new layer; its disk A is frozen
 *   copy       cp --reflink: B is a clone of A
 *   create     an empty layer over B
 *   mirror     the VM's layer, what is in it, to that over B; pivot
 *   commit     the layer into B; pivot; the VM writes to B alone
 *
 * usage: recipe VM DISK FROM TO     FROM: the disk's raw file; TO: its copy
 * Prints one line of JSON with the seconds of each step and of all. Relies on
 * an idle VM and an absent TO; after a failure what is there stays there.
 */
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <limits.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    LAYER_SUFFIX_MAX = 16,
    LAYER_MAX = PATH_MAX + LAYER_SUFFIX_MAX,
    XML_MAX = LAYER_MAX + 512,
};

struct recipe {
    virDomainPtr dom;
    const char *disk, *from, *to;
    char from_layer[LAYER_MAX];
    char to_layer[LAYER_MAX];
    int job; /* last event of the disk's block job, -1: none yet */
    bool first;
    double last_s;
};

static double now_s(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "recipe: %s: %s\n", what, virGetLastErrorMessage());
    _exit(1);
}

static void step_done(struct recipe *r, const char *name)
{
    double now = now_s();

    printf("%s\"%s\": %.4f", r->first ? "{" : ", ", name, now - r->last_s);
    r->first = false;
    r->last_s = now;
}

static void run(const char *what, const char *const argv[])
{
    const char *env[] = { "LC_ALL=C", "PATH=/usr/bin:/bin", NULL };
    pid_t pid = 0;
    int status = 0;

    if (posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)argv,
                     (char *const *)env) != 0 ||
        waitpid(pid, &status, 0) != pid || status != 0)
        die(what);
}

static void on_job(virConnectPtr conn, virDomainPtr dom, const char *disk,
                   int type, int status, void *arg)
{
    struct recipe *r = arg;

    (void)conn;
    (void)dom;
    (void)disk;
    (void)type;
    r->job = status;
}

/* The job's events; they may have come before its call returned. */
static void await(struct recipe *r, int wanted, const char *what)
{
    while (r->job < 0) {
        if (virEventRunDefaultImpl() < 0)
            die(what);
    }
    if (r->job != wanted) {
        fprintf(stderr, "recipe: %s: job ended with %d\n", what, r->job);
        _exit(1);
    }
    r->job = -1;
}

static void pivot(struct recipe *r, const char *what)
{
    await(r, VIR_DOMAIN_BLOCK_JOB_READY, what);
    if (virDomainBlockJobAbort(r->dom, r->disk,
                               VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT) < 0)
        die(what);
    await(r, VIR_DOMAIN_BLOCK_JOB_COMPLETED, what);
}

static void freeze(struct recipe *r)
{
    char xml[XML_MAX];
    virDomainSnapshotPtr snapshot = NULL;

    (void)snprintf(xml, sizeof(xml),
                   "<domainsnapshot><disks><disk name='%s' "
                   "snapshot='external'><driver type='qcow2'/><source "
                   "file='%s'/></disk></disks></domainsnapshot>",
                   r->disk, r->from_layer);
    snapshot =
        virDomainSnapshotCreateXML(r->dom, xml,
                                   VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY |
                                       VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA |
                                       VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC);
    if (!snapshot)
        die("snapshot");
    virDomainSnapshotFree(snapshot);
    step_done(r, "snapshot");
}

static void copy(struct recipe *r)
{
    const char *cp[] = { "cp", "--reflink=always", r->from, r->to, NULL };
    const char *create[] = { "qemu-img", "create",    "-q",  "-f",
                             "qcow2",    "-F",        "raw", "-b",
                             r->to,      r->to_layer, NULL };

    run("cp", cp);
    step_done(r, "copy");
    run("qemu-img create", create);
    step_done(r, "create");
}

static void mirror(struct recipe *r)
{
    char xml[XML_MAX];

    (void)snprintf(xml, sizeof(xml),
                   "<disk type='file'><driver type='qcow2'/><source "
                   "file='%s'/></disk>",
                   r->to_layer);
    if (virDomainBlockCopy(r->dom, r->disk, xml, NULL, 0,
                           VIR_DOMAIN_BLOCK_COPY_SHALLOW |
                               VIR_DOMAIN_BLOCK_COPY_REUSE_EXT |
                               VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB) < 0)
        die("mirror");
    pivot(r, "mirror");
    step_done(r, "mirror");
}

static void commit(struct recipe *r)
{
    if (virDomainBlockCommit(r->dom, r->disk, NULL, NULL, 0,
                             VIR_DOMAIN_BLOCK_COMMIT_ACTIVE |
                                 VIR_DOMAIN_BLOCK_COMMIT_SHALLOW) < 0)
        die("commit");
    pivot(r, "commit");
    (void)unlink(r->from_layer);
    (void)unlink(r->to_layer);
    step_done(r, "commit");
}

static virConnectPtr open_libvirt(struct recipe *r, const char *vm)
{
    virConnectPtr conn = NULL;

    if (virEventRegisterDefaultImpl() < 0)
        die("events");
    conn = virConnectOpen("qemu:///system");
    if (!conn)
        die("connect");
    r->dom = virDomainLookupByName(conn, vm);
    if (!r->dom)
        die(vm);
    if (virConnectDomainEventRegisterAny(
            conn, r->dom, VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2,
            VIR_DOMAIN_EVENT_CALLBACK(on_job), r, NULL) < 0)
        die("events");
    return conn;
}

int main(int argc, char *argv[])
{
    struct recipe r = { .job = -1, .first = true };
    virConnectPtr conn = NULL;
    double begin_s = 0;

    if (argc != 5) {
        fprintf(stderr, "usage: recipe VM DISK FROM TO\n");
        return 2;
    }
    r.disk = argv[2];
    r.from = argv[3];
    r.to = argv[4];
    (void)snprintf(r.from_layer, sizeof(r.from_layer), "%s.layer", r.from);
    (void)snprintf(r.to_layer, sizeof(r.to_layer), "%s.layer", r.to);
    conn = open_libvirt(&r, argv[1]);
    begin_s = r.last_s = now_s();
    freeze(&r);
    copy(&r);
    mirror(&r);
    commit(&r);
    printf(", \"seconds\": %.4f}\n", r.last_s - begin_s);
    virDomainFree(r.dom);
    (void)virConnectClose(conn);
    return 0;
}
