/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the tests of this room share: a directory of their own, the room on fake
 * leases, one domain made and joined.
 */
#ifndef DRAY_TEST_DOMAIN_FIXTURE_H
#define DRAY_TEST_DOMAIN_FIXTURE_H

#include "../../fakes/fake-lease.h"
#include <dray/base/util.h>
#include <dray/domain.h>

#define SD   "b7427472-08dc-4059-822c-5db507ad80a9"
#define SD2  "c8427472-08dc-4059-822c-5db507ad80a9"
#define IMG  "bd2af73b-ccc8-47d1-99fc-5fe81604a4e4"
#define IMG2 "cd2af73b-ccc8-47d1-99fc-5fe81604a4e4"
#define BASE "10b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define MID  "20b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"
#define LEAF "30b6ec31-d3bd-4f5f-ae0f-0e3a3b7f0d15"

enum {
    MIB = 1024 * 1024
};

struct fixture {
    char dir[64];         /* all that follows is in it */
    char path[PATH_MAX];  /* where the domain is */
    char state[PATH_MAX]; /* state_dir */
    char run[PATH_MAX];   /* run_dir */
    struct fake_leases *leases;
    struct domains *domains;
    struct storage_port port;
    struct err err; /* of the last call that was expected to fail */
};

/* cmocka setup: an empty directory; with a domain; with a joined domain. */
int fixture_new(void **state);
int fixture_with_domain(void **state);
int fixture_with_joined(void **state);
int fixture_free(void **state);

/* The room starts anew from its state file, as after a restart. */
void fixture_restart(struct fixture *f);

struct domain_create fixture_spec(const struct fixture *f);
/* LEGAL, of 1 MiB, with the parent if it is not NULL. */
struct volume_create fixture_volume(const char *img, const char *vol,
                                    const char *parent,
                                    enum volume_format format);
struct volume_id fixture_id(const char *img, const char *vol);

/* They fail the test with the error's text. */
void fixture_create(struct fixture *f, const struct volume_create *spec);
void fixture_info(struct fixture *f, const char *img, const char *vol,
                  struct volume_info *ret_info);
void fixture_join(struct fixture *f);
/* BASE (raw), MID and LEAF on it. */
void fixture_make_chain(struct fixture *f);

/* DIR/FORMAT... of the test's directory. */
void fixture_path(const struct fixture *f, char ret_path[PATH_MAX],
                  const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool fixture_exists(const struct fixture *f, const char *name);
void fixture_write(const struct fixture *f, const char *name, const char *text);
/* Everything in the file; the caller frees. */
char *fixture_read(const struct fixture *f, const char *name);
/* Names and sizes of everything in the directory and what is in files of up to
 * 4 KiB, as one text; the caller frees. */
char *fixture_list(const struct fixture *f);

/* Replaces text in a volume's record. */
void fixture_edit(const struct fixture *f, const char *img, const char *vol,
                  const char *from, const char *to);
/* As qemu does it: a shared lock on one of its bytes. */
int fixture_open_like_qemu(const struct fixture *f, const char *img,
                           const char *vol);
/* qemu-img with these (NULL at the end); "@" is @vol of IMG. */
void fixture_qemu_img(const struct fixture *f, const char *vol,
                      const char *const *args);

/* How many leases were acquired so far. */
extern _Atomic size_t fixture_acquired;
/* This host's, for the rooms that start from now on. */
extern const char *fixture_hardware_id;
/* domains_options' mount, umount, mount_table, systemd_run, so, too. */
extern const char *fixture_mount[4];
extern int fixture_mount_ms;

/* The call failed, with this number and this word in its text. */
#define assert_error(f, rc, wanted, word)                                      \
    do {                                                                       \
        assert_true((rc) < 0);                                                 \
        if ((f)->err.code != (wanted) || !strstr((f)->err.message, (word)))    \
            fail_msg("%d: %s", (f)->err.code, (f)->err.message);               \
    } while (0)

/* For the next call that may fail: &(f)->err, emptied. */
#define FRESH(f) (err_clear(&(f)->err), &(f)->err)

#endif
