/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Whether this host can run a VM that another host describes: everything that
 * speaks against it at once. What cannot be asked is no obstacle here; libvirt
 * asks again when the VM comes.
 */
#include "call.h"
#include "ops.h"
#include "xml-tree.h"
#include <errno.h>
#include <inttypes.h>
#include <libvirt/virterror.h>
#include <libxml/xmlsave.h>
#include <stdarg.h>
#include <string.h>

struct fitting {
    const struct call *call;
    const xmlNode *root; /* <domain> */
    struct err *obstacles;
    size_t n, max;
};

__attribute__((format(printf, 3, 0))) static void format_text(
    char *dst, size_t size, const char *format, va_list args)
{
    (void)vsnprintf(dst, size, format, args); /* cut off is fine for people */
}

__attribute__((format(printf, 3, 4))) static struct err *object(
    struct fitting *f, enum err_code code, const char *format, ...)
{
    char text[ERR_MESSAGE_SIZE];
    struct err *err = &f->obstacles[f->n < f->max ? f->n++ : f->max - 1];
    va_list args;
    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    *err = (struct err)ERR_INIT;
    (void)err_set_code(err, code, "%s", text);
    return err;
}

static const char *libvirt_says(void)
{
    const virError *error = virGetLastError();
    return error && error->message ? error->message : "no reason given";
}

static void text_of(const xmlNode *parent, const char *name, char *ret,
                    size_t size)
{
    const xmlNode *node = xml_child(parent, name);
    xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
    (void)str_copy(ret, size, text ? (const char *)text : "");
    xmlFree(text);
}

/* --- identity ----------------------------------------------------------- */

static void check_free(struct fitting *f)
{
    char name[VM_NAME_SIZE], uuid[UUID_SIZE];
    text_of(f->root, "name", name, sizeof(name));
    text_of(f->root, "uuid", uuid, sizeof(uuid));
    virDomainPtr by_uuid = virDomainLookupByUUIDString(f->call->conn, uuid);
    virDomainPtr by_name = virDomainLookupByName(f->call->conn, name);
    if (by_uuid)
        (void)err_next(object(f, ERR_VALUE,
                              "a VM with UUID %s is there "
                              "already: %s",
                              uuid, virDomainGetName(by_uuid)),
                       "remove it there, if it is a leftover: virsh undefine");
    else if (by_name)
        (void)err_next(object(f, ERR_VALUE, "another VM has the name %s", name),
                       "rename one of them: virsh domrename");
    if (by_uuid)
        (void)virDomainFree(by_uuid);
    if (by_name)
        (void)virDomainFree(by_name);
}

/* --- machine and CPU ---------------------------------------------------- */

struct machine {
    char type[16], arch[32], name[64], emulator[PATH_MAX];
};

static void read_machine(const xmlNode *root, struct machine *m)
{
    const xmlNode *type = xml_child(xml_child(root, "os"), "type");
    *m = (struct machine){ .type = "" };
    (void)xml_attribute(root, "type", m->type, sizeof(m->type));
    (void)xml_attribute(type, "arch", m->arch, sizeof(m->arch));
    (void)xml_attribute(type, "machine", m->name, sizeof(m->name));
    text_of(xml_child(root, "devices"), "emulator", m->emulator,
            sizeof(m->emulator));
}

/* The <cpu> as text; NULL: none, or no memory. The caller frees. */
static char *cpu_text(const xmlNode *root)
{
    xmlNode *cpu = xml_child(root, "cpu");
    xmlBuffer *buffer = cpu ? xmlBufferCreate() : NULL;
    char *text = NULL;
    if (buffer && xmlNodeDump(buffer, cpu->doc, cpu, 0, 0) > 0)
        text = strdup((const char *)xmlBufferContent(buffer));
    if (buffer)
        xmlBufferFree(buffer);
    return text;
}

static void compare_cpu(struct fitting *f, const struct machine *m,
                        const char *cpu)
{
    int verdict = virConnectCompareHypervisorCPU(
        f->call->conn, m->emulator[0] ? m->emulator : NULL, m->arch, m->name,
        m->type, cpu, 0);
    if (verdict == VIR_CPU_COMPARE_INCOMPATIBLE)
        (void)err_next(object(f, ERR_UNSUPPORTED,
                              "the VM's CPU has features that this host does "
                              "not offer"),
                       "give the VM a CPU model that both hosts have: virsh "
                       "hypervisor-cpu-baseline");
    else if (verdict == VIR_CPU_COMPARE_ERROR)
        (void)object(f, ERR_UNSUPPORTED, "the VM's CPU: %s", libvirt_says());
}

/* The host's own CPU is whatever the host has. */
static void check_cpu(struct fitting *f, const struct machine *m)
{
    char mode[32];
    (void)xml_attribute(xml_child(f->root, "cpu"), "mode", mode, sizeof(mode));
    char *cpu = cpu_text(f->root);
    if (cpu && !str_equal(mode, "host-passthrough") &&
        !str_equal(mode, "maximum"))
        compare_cpu(f, m, cpu);
    free(cpu);
}

static void check_machine(struct fitting *f)
{
    struct machine m;
    read_machine(f->root, &m);
    char *found = virConnectGetDomainCapabilities(
        f->call->conn, m.emulator[0] ? m.emulator : NULL, m.arch, m.name,
        m.type, 0);
    if (found)
        check_cpu(f, &m);
    else
        (void)err_next(object(f, ERR_UNSUPPORTED,
                              "emulator %s, machine %s, %s: %s", m.emulator,
                              m.name, m.type, libvirt_says()),
                       "install the same qemu on both hosts");
    free(found);
}

/* --- memory ------------------------------------------------------------- */

static uint64_t available_kib(const struct fitting *f)
{
    virNodeMemoryStats stats[16];
    int n = 0;
    uint64_t kib = 0;
    /* It wants to be asked for exactly as many as it has. */
    if (virNodeGetMemoryStats(f->call->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS,
                              NULL, &n, 0) < 0 ||
        n > (int)ARRAY_SIZE(stats) ||
        virNodeGetMemoryStats(f->call->conn, VIR_NODE_MEMORY_STATS_ALL_CELLS,
                              stats, &n, 0) < 0)
        return UINT64_MAX;
    for (int i = 0; i < n; i++) {
        const char *field = stats[i].field;
        if (str_equal(field, VIR_NODE_MEMORY_STATS_FREE) ||
            str_equal(field, VIR_NODE_MEMORY_STATS_BUFFERS) ||
            str_equal(field, VIR_NODE_MEMORY_STATS_CACHED))
            kib += stats[i].value;
    }
    return kib;
}

static void check_memory(struct fitting *f)
{
    char text[32];
    uint64_t kib = 0, available = available_kib(f);
    text_of(f->root, "memory", text, sizeof(text)); /* libvirt says KiB */
    if (str_to_u64(text, &kib) == 0 && kib > available)
        (void)err_next(object(f, ERR_NO_SPACE,
                              "the VM has %" PRIu64 " MiB of memory, the host "
                              "%" PRIu64 " MiB free",
                              kib / 1024, available / 1024),
                       "make room there, or choose another host");
}

/* --- networks ----------------------------------------------------------- */

static void check_network(struct fitting *f, const char *name)
{
    virNetworkPtr network = virNetworkLookupByName(f->call->conn, name);
    bool active = network && virNetworkIsActive(network) == 1;
    if (network)
        (void)virNetworkFree(network);
    if (!active)
        (void)err_next(object(f, ERR_UNSUPPORTED,
                              "network %s is %s on this host", name,
                              network ? "not active" : "not known"),
                       "virsh net-list --all");
}

static void check_bridge(struct fitting *f, const char *name)
{
    char path[256];
    if (!strchr(name, '/') &&
        str_format(path, sizeof(path), "/sys/class/net/%s", name) &&
        access(path, F_OK) == 0)
        return;
    (void)err_next(object(f, ERR_UNSUPPORTED,
                          "there is no bridge %s on this "
                          "host",
                          name),
                   "make it there: ip link add %s type bridge", name);
}

static void check_interface(struct fitting *f, const xmlNode *interface)
{
    const xmlNode *source = xml_child(interface, "source");
    char network[256] = "", bridge[64] = "";
    (void)xml_attribute(source, "network", network, sizeof(network));
    (void)xml_attribute(source, "bridge", bridge, sizeof(bridge));
    if (network[0])
        check_network(f, network);
    else if (bridge[0])
        check_bridge(f, bridge);
}

static void check_devices(struct fitting *f)
{
    const xmlNode *devices = xml_child(f->root, "devices");
    const xmlNode *node = devices ? devices->children : NULL;
    for (; node; node = node->next) {
        const char *name = (const char *)node->name;
        if (node->type != XML_ELEMENT_NODE)
            continue;
        if (str_equal(name, "interface"))
            check_interface(f, node);
        else if (str_equal(name, "hostdev"))
            (void)object(f, ERR_UNSUPPORTED,
                         "the VM has a device of its host (hostdev)");
    }
}

int virt_vm_fits(void *ctx, const char *xml, struct err *ret_obstacles,
                 size_t max, size_t *ret_n, struct err *err)
{
    _cleanup_doc_ xmlDoc *doc = NULL;
    _cleanup_call_ struct call call = { 0 };
    int rc = xml_tree_parse(xml, &doc, err);
    if (rc == 0)
        rc = call_begin(&call, ctx, err);
    if (rc < 0)
        return rc;
    struct fitting f = { .call = &call,
                         .root = xmlDocGetRootElement(doc),
                         .obstacles = ret_obstacles,
                         .max = max };
    check_free(&f);
    check_machine(&f);
    check_memory(&f);
    check_devices(&f);
    if (virConnectIsAlive(call.conn) == 0)
        return connection_away(call.virt, "connection lost", err);
    *ret_n = f.n;
    return 0;
}

int virt_vm_definition(void *ctx, const char *vm, char **ret_xml,
                       struct err *err)
{
    _cleanup_call_ struct call call = { 0 };
    int rc = call_begin_vm(&call, ctx, vm, err);
    if (rc == 0)
        rc = call_xml(&call, VIR_DOMAIN_XML_MIGRATABLE, ret_xml);
    return rc;
}
