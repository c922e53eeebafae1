/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The virt room by hand, for test_virt.py: reads one request per line on
 * standard input, an operation of ports/hypervisor.h and its arguments, with
 * tabs between; writes one line of JSON for each. usage: virt-check [URI]
 */
#include <dray/base/lock.h>
#include <dray/virt.h>
#include <errno.h>
#include <json-c/json.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum {
    ARGS_MAX = 10,
    LINE_SIZE = 16384
};

struct check {
    struct hypervisor_port port;
    char *args[ARGS_MAX]; /* args[0] is the operation; never NULL */
    struct json_object *out;
    struct err err;
};

static atomic_uint vm_hints, reconnect_hints;

static void on_hint(void *arg, const char *vm)
{
    (void)arg;
    atomic_fetch_add(vm ? &vm_hints : &reconnect_hints, 1);
}

/* Filled on libvirt's event thread. */
static struct {
    pthread_mutex_t lock; /* protects what follows */
    struct json_object *array;
} heard = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_alarm(void *arg, const struct vm_alarm *alarm)
{
    static const char *const kinds[] = { "threshold", "no-space", "changed" };
    struct json_object *object = json_object_new_object();
    (void)arg;
    json_object_object_add(object, "kind",
                           json_object_new_string(kinds[alarm->kind]));
    json_object_object_add(object, "vm", json_object_new_string(alarm->vm));
    json_object_object_add(object, "node", json_object_new_string(alarm->node));
    json_object_object_add(object, "excess",
                           json_object_new_uint64(alarm->excess));
    SCOPED_LOCK(&heard.lock);
    if (!heard.array)
        heard.array = json_object_new_array();
    json_object_array_add(heard.array, object);
}

static int64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t number(const char *s)
{
    uint64_t value = 0;
    return str_to_u64(s, &value) == 0 ? value : 0;
}

static void add_string(struct json_object *object, const char *name,
                       const char *value)
{
    json_object_object_add(object, name, json_object_new_string(value));
}

static void add_bool(struct json_object *object, const char *name, bool value)
{
    json_object_object_add(object, name, json_object_new_boolean(value));
}

static void add_u64(struct json_object *object, const char *name,
                    uint64_t value)
{
    json_object_object_add(object, name, json_object_new_uint64(value));
}

static struct json_object *vm_to_json(const struct vm_info *vm)
{
    struct json_object *object = json_object_new_object();
    add_string(object, "uuid", vm->uuid);
    add_string(object, "name", vm->name);
    add_string(object, "state", vm_state_name(vm->state));
    add_bool(object, "persistent", vm->persistent);
    return object;
}

static struct json_object *disk_to_json(const struct vm_disk *disk)
{
    struct json_object *object = json_object_new_object();
    add_string(object, "target", disk->target);
    add_string(object, "device", disk->device);
    add_string(object, "type", disk->type);
    add_string(object, "path", disk->path);
    add_string(object, "format", disk->format);
    add_string(object, "serial", disk->serial);
    add_string(object, "alias", disk->alias);
    add_bool(object, "read_only", disk->read_only);
    add_bool(object, "shareable", disk->shareable);
    add_bool(object, "transient", disk->transient);
    add_u64(object, "chain_n", disk->chain_n);
    add_u64(object, "capacity", disk->capacity);
    add_bool(object, "job", disk->job);
    add_bool(object, "mirror", disk->mirror.present);
    add_bool(object, "ready", disk->mirror.ready);
    add_string(object, "mirror_path", disk->mirror.path);
    return object;
}

static int list(struct check *c)
{
    struct vm_info *vms = NULL;
    size_t n = 0;
    int rc = c->port.ops->vm_list(c->port.ctx, &vms, &n, &c->err);
    if (rc < 0)
        return rc;
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(array, vm_to_json(&vms[i]));
    json_object_object_add(c->out, "vms", array);
    free(vms);
    return 0;
}

static int find(struct check *c)
{
    struct vm_info vm;
    int rc = c->port.ops->vm_find(c->port.ctx, c->args[1], &vm, &c->err);
    if (rc == 0)
        json_object_object_add(c->out, "vm", vm_to_json(&vm));
    return rc;
}

static int disks(struct check *c)
{
    struct vm_disk *found = NULL;
    size_t n = 0;
    int rc =
        c->port.ops->vm_disks(c->port.ctx, c->args[1], &found, &n, &c->err);
    if (rc < 0)
        return rc;
    struct json_object *object = json_object_new_object();
    for (size_t i = 0; i < n; i++)
        json_object_object_add(object, found[i].target,
                               disk_to_json(&found[i]));
    json_object_object_add(c->out, "disks", object);
    free(found);
    return 0;
}

static int suspend(struct check *c)
{
    bool was_paused = false;

    return c->port.ops->vm_suspend(c->port.ctx, c->args[1], &was_paused,
                                   &c->err);
}

static int resume(struct check *c)
{
    return c->port.ops->vm_resume(c->port.ctx, c->args[1], &c->err);
}

static int user(struct check *c)
{
    struct vm_info vm;
    int rc = c->port.ops->path_user(c->port.ctx, c->args[1], &vm, &c->err);
    if (rc == 0)
        add_string(c->out, "user", vm.name);
    return rc;
}

/* start VM TARGET PATH FORMAT SHALLOW LIMIT BUFFER CAPACITY */
static int start(struct check *c)
{
    struct vm_mirror_spec spec = {
        .format = c->args[4],
        .shallow = str_equal(c->args[5], "1"),
        .bytes_per_s = number(c->args[6]),
        .buffer_bytes = number(c->args[7]),
        .capacity = number(c->args[8]),
    };
    (void)str_copy(spec.vm, sizeof(spec.vm), c->args[1]);
    (void)str_copy(spec.target, sizeof(spec.target), c->args[2]);
    (void)str_copy(spec.path, sizeof(spec.path), c->args[3]);
    return c->port.ops->mirror_start(c->port.ctx, &spec, &c->err);
}

static int info(struct check *c)
{
    struct vm_mirror_info found;
    int rc = c->port.ops->mirror_info(c->port.ctx, c->args[1], c->args[2],
                                      &found, &c->err);
    if (rc < 0)
        return rc;
    static const char *const kinds[] = { "none", "copy", "commit",
                                         "active-commit", "other" };
    add_bool(c->out, "job", found.job);
    add_string(c->out, "kind", kinds[found.kind]);
    add_bool(c->out, "ready", found.ready);
    add_u64(c->out, "done", found.done);
    add_u64(c->out, "total", found.total);
    add_string(c->out, "disk_path", found.disk_path);
    add_string(c->out, "mirror_path", found.mirror_path);
    return 0;
}

static int limit(struct check *c)
{
    return c->port.ops->mirror_limit(c->port.ctx, c->args[1], c->args[2],
                                     number(c->args[3]), &c->err);
}

static int end(struct check *c)
{
    return c->port.ops->mirror_abort(c->port.ctx, c->args[1], c->args[2],
                                     &c->err);
}

static int pivot(struct check *c)
{
    return c->port.ops->mirror_pivot(c->port.ctx, c->args[1], c->args[2],
                                     &c->err);
}

static int failure(struct check *c)
{
    char text[256];
    c->port.ops->mirror_failure(c->port.ctx, c->args[1], c->args[2], text,
                                sizeof(text));
    add_string(c->out, "reason", text);
    return 0;
}

static int truth(struct check *c)
{
    struct vm_disk_truth found;
    int rc = c->port.ops->disk_truth(c->port.ctx, c->args[1], c->args[2], true,
                                     &found, &c->err);
    if (rc < 0)
        return rc;
    add_string(c->out, "xml", found.xml_path);
    add_string(c->out, "qemu", found.qemu_path);
    add_string(c->out, "persistent", found.persistent_path);
    return 0;
}

static int persist(struct check *c)
{
    return c->port.ops->disk_set_persistent(c->port.ctx, c->args[1], c->args[2],
                                            c->args[3], c->args[4], &c->err);
}

/* snapshot VM QUIESCE TARGET PATH [TARGET PATH...] */
static int snapshot(struct check *c)
{
    struct vm_overlay overlays[3];
    size_t n = 0;
    for (char **arg = c->args + 3; n < 3 && arg[0][0]; arg += 2, n++) {
        (void)str_copy(overlays[n].target, DISK_TARGET_SIZE, arg[0]);
        (void)str_copy(overlays[n].path, PATH_MAX, arg[1]);
    }
    return c->port.ops->snapshot(c->port.ctx, c->args[1], overlays, n,
                                 str_equal(c->args[2], "1"), &c->err);
}

/* commit VM TARGET BASE TOP LIMIT */
static int commit(struct check *c)
{
    struct vm_commit_spec spec = { .bytes_per_s = number(c->args[5]) };
    (void)str_copy(spec.vm, sizeof(spec.vm), c->args[1]);
    (void)str_copy(spec.target, sizeof(spec.target), c->args[2]);
    (void)str_copy(spec.base_path, sizeof(spec.base_path), c->args[3]);
    (void)str_copy(spec.top_path, sizeof(spec.top_path), c->args[4]);
    return c->port.ops->commit_start(c->port.ctx, &spec, &c->err);
}

static int layers(struct check *c)
{
    struct vm_layers found = { 0 };
    int rc = c->port.ops->disk_layers(c->port.ctx, c->args[1], c->args[2],
                                      &found, &c->err);
    if (rc < 0)
        return rc;
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < found.n; i++)
        json_object_array_add(array, json_object_new_string(found.paths[i]));
    json_object_object_add(c->out, "layers", array);
    vm_layers_deinit(&found);
    return 0;
}

static int io(struct check *c)
{
    struct vm_disk_io found;
    int rc = c->port.ops->disk_io(c->port.ctx, c->args[1], c->args[2], &found,
                                  &c->err);
    if (rc < 0)
        return rc;
    add_u64(c->out, "reads", found.reads);
    add_u64(c->out, "writes", found.writes);
    add_u64(c->out, "read_us", found.read_us);
    add_u64(c->out, "write_us", found.write_us);
    add_u64(c->out, "write_bytes", found.write_bytes);
    return 0;
}

static int place(struct check *c)
{
    char found[PATH_MAX];
    int rc = c->port.ops->place(c->port.ctx, c->args[1], found, &c->err);
    if (rc == 0)
        add_string(c->out, "place", found);
    return rc;
}

static struct json_object *layer_to_json(const struct vm_layer *layer)
{
    struct json_object *object = json_object_new_object();
    add_string(object, "target", layer->target);
    add_string(object, "node", layer->node);
    add_bool(object, "replica", layer->replica);
    add_u64(object, "depth", layer->depth);
    add_string(object, "path", layer->path);
    add_string(object, "format", layer->format);
    add_u64(object, "capacity", layer->capacity);
    add_u64(object, "allocation", layer->allocation);
    add_u64(object, "physical", layer->physical);
    add_u64(object, "threshold", layer->threshold);
    return object;
}

static int layer_stats(struct check *c)
{
    struct vm_layer *found = NULL;
    size_t n = 0;
    int rc =
        c->port.ops->layer_stats(c->port.ctx, c->args[1], &found, &n, &c->err);
    if (rc < 0)
        return rc;
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(array, layer_to_json(&found[i]));
    json_object_object_add(c->out, "layers", array);
    free(found);
    return 0;
}

static int threshold(struct check *c)
{
    return c->port.ops->threshold_set(c->port.ctx, c->args[1], c->args[2],
                                      number(c->args[3]), &c->err);
}

static int paused(struct check *c)
{
    bool is_paused = false;
    char target[DISK_TARGET_SIZE];
    int rc = c->port.ops->paused_for_space(c->port.ctx, c->args[1], &is_paused,
                                           target, &c->err);
    if (rc < 0)
        return rc;
    add_bool(c->out, "paused", is_paused);
    add_string(c->out, "target", target);
    return 0;
}

/* What was heard since the last time; "off" ends it. */
static int alarms(struct check *c)
{
    bool off = str_equal(c->args[1], "off");
    c->port.ops->set_alarm(c->port.ctx, off ? NULL : on_alarm, NULL);
    SCOPED_LOCK(&heard.lock);
    json_object_object_add(c->out, "alarms",
                           heard.array ? TAKE(heard.array)
                                       : json_object_new_array());
    return 0;
}

static int connected(struct check *c)
{
    return c->port.ops->connected(c->port.ctx);
}

static int hints(struct check *c)
{
    add_u64(c->out, "vm", atomic_exchange(&vm_hints, 0));
    add_u64(c->out, "reconnect", atomic_exchange(&reconnect_hints, 0));
    return 0;
}

static int later(struct check *c);

static const struct {
    const char *name;
    int (*run)(struct check *check);
} operations[] = {
    {"vm_list",              list       },
    { "vm_find",             find       },
    { "vm_disks",            disks      },
    { "vm_suspend",          suspend    },
    { "vm_resume",           resume     },
    { "path_user",           user       },
    { "mirror_start",        start      },
    { "mirror_info",         info       },
    { "mirror_limit",        limit      },
    { "mirror_abort",        end        },
    { "mirror_pivot",        pivot      },
    { "mirror_failure",      failure    },
    { "disk_truth",          truth      },
    { "disk_set_persistent", persist    },
    { "snapshot",            snapshot   },
    { "commit_start",        commit     },
    { "disk_layers",         layers     },
    { "disk_io",             io         },
    { "place",               place      },
    { "layer_stats",         layer_stats},
    { "threshold_set",       threshold  },
    { "paused_for_space",    paused     },
    { "alarms",              alarms     },
    { "later",               later      },
    { "connected",           connected  },
    { "hints",               hints      },
};

static int run(struct check *check)
{
    for (size_t i = 0; i < ARRAY_SIZE(operations); i++) {
        if (str_equal(operations[i].name, check->args[0]))
            return operations[i].run(check);
    }
    return err_set(&check->err, -EINVAL, "no operation %s", check->args[0]);
}

static void *run_later(void *arg)
{
    struct check *check = arg;
    (void)run(check); /* who asks so does not want to know */
    json_object_put(check->out);
    for (size_t i = 0; i < ARGS_MAX; i++)
        free(check->args[i]);
    free(check);
    return NULL;
}

/* later OPERATION ARG...: on another thread, answered at once. */
static int later(struct check *c)
{
    pthread_t thread;
    struct check *check = calloc(1, sizeof(*check));
    if (!check)
        return err_set(&c->err, -ENOMEM, "out of memory");
    check->port = c->port;
    check->out = json_object_new_object();
    check->err = (struct err)ERR_INIT;
    for (size_t i = 0; i < ARGS_MAX; i++)
        check->args[i] = strdup(i + 1 < ARGS_MAX ? c->args[i + 1] : "");
    int rc = pthread_create(&thread, NULL, run_later, check);
    if (rc)
        return err_set(&c->err, -rc, "no thread");
    return -pthread_detach(thread);
}

static void answer(struct hypervisor_port port, char *line)
{
    struct check check = {
        .port = port,
        .out = json_object_new_object(),
        .err = ERR_INIT,
    };
    static char empty[] = "";
    line[strcspn(line, "\n")] = '\0';
    for (size_t i = 0; i < ARGS_MAX; i++)
        check.args[i] = line ? strsep(&line, "\t") : empty;
    int64_t before_us = now_us();
    int rc = run(&check);
    add_u64(check.out, "us", (uint64_t)(now_us() - before_us));
    json_object_object_add(check.out, "rc", json_object_new_int(rc));
    json_object_object_add(
        check.out, "code",
        json_object_new_int(rc < 0 ? (int)check.err.code : 0));
    add_string(check.out, "message", check.err.message);
    add_string(check.out, "next", check.err.next);
    puts(json_object_to_json_string(check.out));
    (void)fflush(stdout); /* the reader would notice */
    json_object_put(check.out);
}

int main(int argc, char **argv)
{
    struct virt *virt = NULL;
    struct err err = ERR_INIT;
    (void)signal(SIGPIPE, SIG_IGN); /* cannot fail */
    if (virt_new(argc > 1 ? argv[1] : "qemu:///system", &virt, &err) < 0) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    struct hypervisor_port port = virt_port(virt);
    port.ops->set_hint(port.ctx, on_hint, NULL);
    static char line[LINE_SIZE];
    while (fgets(line, sizeof(line), stdin))
        answer(port, line);
    virt_free(virt);
    return 0;
}
