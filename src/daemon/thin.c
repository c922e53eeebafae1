/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The watch over thin disks and the rest of the daemon. It has threads of its
 * own; what it tells waits in a list until the owner loop comes for it.
 */
#include "daemon.h"

#include <errno.h>

#include <dray/base/list.h>
#include <dray/base/lock.h>
#include <dray/base/log.h>
#include <dray/base/util.h>

struct news {
    struct list link;
    struct monitor_event event;
};

struct thin {
    struct daemon *daemon;
    struct monitor *monitor;

    pthread_mutex_t lock; /* protects what follows */
    struct list news;
    bool quiet;
};

static void log_event(const struct monitor_event *event)
{
    const char *vm = event->vm;
    const char *disk = event->target;
    unsigned long long size = event->size_bytes;
    unsigned long long left = event->free_bytes;
    long long took_ms = event->took_ms;

    switch (event->kind) {
    case MONITOR_EXTENDED:
        log_info("vm=%s disk=%s volume=%s extended to %llu bytes in %lld ms",
                 vm, disk, event->volume.vol, size, took_ms);
        break;
    case MONITOR_FAILED:
        log_error("vm=%s disk=%s volume=%s of %llu bytes, %llu left: %s", vm,
                  disk, event->volume.vol, size, left, event->text);
        break;
    case MONITOR_PAUSED:
        log_error("vm=%s disk=%s volume=%s has no space left: the guest stands "
                  "still",
                  vm, disk, event->volume.vol);
        break;
    case MONITOR_RESUMED:
        log_warning("vm=%s disk=%s the guest runs again, after %lld ms without "
                    "space",
                    vm, disk, took_ms);
        break;
    }
}

static struct news *take(struct thin *thin)
{
    SCOPED_LOCK(&thin->lock);
    if (list_is_empty(&thin->news))
        return NULL;
    struct list *item = thin->news.next;
    list_remove(item);
    return container_of(item, struct news, link);
}

static void on_news(void *arg)
{
    struct thin *thin = arg;
    struct news *news = NULL;

    while ((news = take(thin)) != NULL) {
        log_event(&news->event);
        api_watermark(thin->daemon->api, &news->event);
        free(news);
    }
}

/* On the watch's thread. */
static void on_event(void *arg, const struct monitor_event *event)
{
    struct thin *thin = arg;
    struct news *news = calloc(1, sizeof(*news));

    if (!news)
        return; /* the next one is told */
    news->event = *event;
    SCOPED_LOCK(&thin->lock);
    list_append(&thin->news, &news->link);
    if (!thin->quiet) /* out of memory: with the next one */
        (void)work_post(thin->daemon->work, on_news, thin);
}

static int open_monitor(struct thin *thin, struct err *err)
{
    const struct daemon *daemon = thin->daemon;
    const struct config *config = &daemon->config;
    const struct monitor_ports ports = {
        .storage = daemon->ports.storage,
        .hypervisor = daemon->ports.hypervisor,
        .clock = daemon->ports.clock,
    };
    const struct monitor_options options = { .policy = daemon->ports.policy,
                                             .poll_ms = (int)config->poll_ms };

    return monitor_new(&options, &ports, on_event, thin, &thin->monitor, err);
}

int thin_start(struct daemon *daemon, struct thin **ret_thin, struct err *err)
{
    struct thin *thin = calloc(1, sizeof(*thin));
    int rc;

    if (!thin)
        return err_set(err, -ENOMEM, "watermark monitor: out of memory");
    thin->daemon = daemon;
    list_init(&thin->news);
    /* Default attributes: it does not fail in glibc. */
    (void)pthread_mutex_init(&thin->lock, NULL);
    rc = open_monitor(thin, err);
    if (rc < 0) {
        thin_free(thin);
        return rc;
    }
    *ret_thin = thin;
    return 0;
}

struct monitor *thin_monitor(struct thin *thin)
{
    return thin->monitor;
}

void thin_quiet(struct thin *thin)
{
    if (!thin)
        return;
    SCOPED_LOCK(&thin->lock);
    thin->quiet = true;
}

void thin_free(struct thin *thin)
{
    struct news *news = NULL;

    if (!thin)
        return;
    monitor_free(thin->monitor);
    while ((news = take(thin)) != NULL)
        free(news);
    (void)pthread_mutex_destroy(&thin->lock); /* nobody has it */
    free(thin);
}
