/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * dray-lvm for tests without device-mapper: the real server on an LVM that
 * understands just the command lines that the server makes. Below the directory
 * of its setup:
 *
 *   lvs/NAME       an LV's data, sparse     lvs/NAME.tags   one tag per line
 *   dev/VG/NAME    the active ones          open/NAME       somebody has it
 *   vg.tags        the VG's tags            space           its size
 *   log            all commands
 *   die            "N WHEN WHO": the N-th command that changes something is the
 *                  last, WHEN "before" or "after" it is done; WHO: "lvm", this
 *                  process, or "all", its parent too
 *
 * A failing call ends the process: a test that expects something else fails.
 */
#include "../../../src/lvm/input.h"
#include "../../../src/lvm/message.h"
#include "../../../src/lvm/serve.h"

#include <dirent.h>
#include <dray/base/file.h>
#include <dray/base/util.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

enum {
    WORDS_MAX = 1024,
    FILE_MAX = 1024 * 1024,
    LINE_MAX_BYTES = 64 * 1024,
};

#define EXTENT (128ULL * 1024 * 1024)

static char dir[PATH_MAX];
static char vg[NAME_MAX];

#define MUST(condition)                                                        \
    do {                                                                       \
        if (!(condition)) {                                                    \
            (void)fprintf(stderr, "fake-vg:%d: %s: %m\n", __LINE__,            \
                          #condition);                                         \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

struct path {
    char s[2 * PATH_MAX];
};

static struct path path_of(const char *format, const char *name)
{
    struct path path;
    char below[PATH_MAX];
    /* Ours: the formats are the few in this file. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(below, sizeof(below), format, name);
#pragma GCC diagnostic pop
    (void)str_format(path.s, sizeof(path.s), "%s/%s", dir, below);
    return path;
}

static bool exists(struct path path)
{
    struct stat st;
    return lstat(path.s, &st) == 0;
}

/* "" when there is none; the caller frees. */
static char *read_text(struct path path)
{
    char *text = NULL;
    size_t size = 0;
    if (file_read(path.s, FILE_MAX, &text, &size, NULL) < 0)
        return strdup("");
    return text;
}

static void write_text(struct path path, const char *text)
{
    MUST(file_replace(path.s, text, strlen(text), 0600, NULL) == 0);
}

/* --- a command's words --- */

struct command {
    char *words[WORDS_MAX];
    size_t n;
};

static bool has(const struct command *command, const char *word)
{
    for (size_t i = 0; i < command->n; i++) {
        if (str_equal(command->words[i], word))
            return true;
    }
    return false;
}

/* The word behind @option, NULL when there is none. */
static const char *value(const struct command *command, const char *option)
{
    for (size_t i = 0; i + 1 < command->n; i++) {
        if (str_equal(command->words[i], option))
            return command->words[i + 1];
    }
    return NULL;
}

static uint64_t size_of(const struct command *command)
{
    char digits[32];
    uint64_t bytes = 0;
    const char *text = value(command, "--size");
    MUST(text);
    (void)str_copy(digits, sizeof(digits), text);
    digits[strlen(digits) - 1] = '\0'; /* the unit, b */
    MUST(str_to_u64(digits, &bytes) == 0);
    return (bytes + EXTENT - 1) / EXTENT * EXTENT;
}

/* --- the VG --- */

static uint64_t lv_bytes(const char *name)
{
    struct stat st;
    MUST(stat(path_of("lvs/%s", name).s, &st) == 0);
    return (uint64_t)st.st_size;
}

static void resize(const char *name, uint64_t bytes)
{
    MUST(truncate(path_of("lvs/%s", name).s, (off_t)bytes) == 0);
}

static bool is_lv(const char *name)
{
    return !strchr(name, '.'); /* .., NAME.tags */
}

static uint64_t free_bytes(void)
{
    _cleanup_free_ char *text = read_text(path_of("%s", "space"));
    uint64_t bytes = 0;
    MUST(str_to_u64(text, &bytes) == 0);
    DIR *lvs = opendir(path_of("%s", "lvs").s);
    MUST(lvs);
    for (const struct dirent *e = readdir(lvs); e; e = readdir(lvs)) {
        if (is_lv(e->d_name))
            bytes -= lv_bytes(e->d_name);
    }
    (void)closedir(lvs);
    return bytes;
}

static int no(struct err *err, const char *why)
{
    return err_set_code(err, ERR_STORAGE, "LVM: %s", why);
}

/* As one line "a,b" for a report. */
static void put_tags(FILE *out, struct path path)
{
    _cleanup_free_ char *text = read_text(path);
    for (char *p = text; *p; p++) {
        if (*p == '\n')
            *p = p[1] ? ',' : '\0';
    }
    (void)fprintf(out, "\"%s\"", text);
}

static void change_tags(const struct command *command, struct path path)
{
    _cleanup_free_ char *old = read_text(path);
    char *text = calloc(1, strlen(old) + 64UL * 1024);
    char *rest = NULL;
    MUST(text);
    for (const char *tag = strtok_r(old, "\n", &rest); tag;
         tag = strtok_r(NULL, "\n", &rest)) {
        bool removed = false;
        for (size_t i = 0; i + 1 < command->n; i++)
            removed = removed || (str_equal(command->words[i], "--deltag") &&
                                  str_equal(command->words[i + 1], tag));
        if (!removed)
            (void)sprintf(text + strlen(text), "%s\n", tag);
    }
    for (size_t i = 0; i + 1 < command->n; i++) {
        if (str_equal(command->words[i], "--addtag"))
            (void)sprintf(text + strlen(text), "%s\n", command->words[i + 1]);
    }
    write_text(path, text);
    free(text);
}

/* --- commands --- */

static int do_create(const struct command *command, struct err *err)
{
    const char *name = value(command, "--name");
    struct path data = path_of("lvs/%s", name);
    if (exists(data))
        return no(err, "it is there already");
    if (size_of(command) > free_bytes())
        return no(err, "insufficient free space");
    /* Old data of its extents. */
    _cleanup_close_ int fd = open(data.s, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    MUST(fd >= 0 && ftruncate(fd, (off_t)size_of(command)) == 0);
    MUST(pwrite(fd, "QFI\xfbstale", 9, 0) == 9);
    MUST(pwrite(fd, "stale", 5, (off_t)size_of(command) - 512) == 5);
    change_tags(command, path_of("lvs/%s.tags", name));
    return 0;
}

static int do_size(const struct command *command, const char *name,
                   struct err *err)
{
    bool extends = str_equal(command->words[0], "lvextend");
    uint64_t bytes = size_of(command);
    if (!exists(path_of("lvs/%s", name)))
        return no(err, "there is no such LV");
    if (extends ? bytes <= lv_bytes(name) : bytes >= lv_bytes(name))
        return no(err, "it has that size");
    if (extends && bytes - lv_bytes(name) > free_bytes())
        return no(err, "insufficient free space");
    resize(name, bytes);
    return 0;
}

static int do_activate(const char *name, bool active, struct err *err)
{
    char link[64];
    (void)str_format(link, sizeof(link), "dev/%s/%%s", vg);
    struct path path = path_of(link, name);
    struct path data = path_of("lvs/%s", name);
    if (!exists(data))
        return no(err, "there is no such LV");
    if (active) {
        MUST(symlink(data.s, path.s) == 0 || errno == EEXIST);
        return 0;
    }
    if (exists(path_of("open/%s", name)))
        return no(err, "it is in use");
    MUST(unlink(path.s) == 0 || errno == ENOENT);
    return 0;
}

static int do_remove(const char *name, struct err *err)
{
    int rc = do_activate(name, false, err);
    if (rc < 0)
        return rc;
    MUST(unlink(path_of("lvs/%s", name).s) == 0);
    MUST(unlink(path_of("lvs/%s.tags", name).s) == 0 || errno == ENOENT);
    return 0;
}

static int do_lv(const struct command *command, const char *name,
                 struct err *err)
{
    const char *verb = command->words[0];
    const char *active = value(command, "--activate");
    if (str_equal(verb, "lvremove"))
        return do_remove(name, err);
    if (str_equal(verb, "lvextend") || str_equal(verb, "lvreduce"))
        return do_size(command, name, err);
    if (active)
        return do_activate(name, str_equal(active, "y"), err);
    if (has(command, "--refresh"))
        return 0;
    if (!exists(path_of("lvs/%s", name)))
        return no(err, "there is no such LV");
    change_tags(command, path_of("lvs/%s.tags", name));
    return 0;
}

static int do_command(const struct command *command, struct err *err)
{
    size_t len = strlen(vg);
    int rc = 0;
    if (str_equal(command->words[0], "lvcreate"))
        return do_create(command, err);
    if (str_equal(command->words[0], "vgchange")) {
        change_tags(command, path_of("%s", "vg.tags"));
        return 0;
    }
    for (size_t i = 1; i < command->n; i++) {
        const char *word = command->words[i];
        if (str_starts_with(word, vg) && word[len] == '/') {
            int failed = do_lv(command, word + len + 1, err);
            rc = rc < 0 ? rc : failed;
        }
    }
    return rc;
}

/* --- reports --- */

static void put_lv(FILE *out, const char *name)
{
    char link[64];
    (void)str_format(link, sizeof(link), "dev/%s/%%s", vg);
    (void)fprintf(out,
                  "{\"lv_name\":\"%s\",\"lv_uuid\":\"u\",\"lv_size\":\"%" PRIu64
                  "\",\"lv_attr\":\"-wi-%c%c----\",\"lv_tags\":",
                  name, lv_bytes(name), exists(path_of(link, name)) ? 'a' : '-',
                  exists(path_of("open/%s", name)) ? 'o' : '-');
    put_tags(out, path_of("lvs/%s.tags", name));
    (void)fputs("}", out);
}

static void put_lvs(FILE *out)
{
    struct dirent **entries = NULL;
    const char *comma = "";
    int n = scandir(path_of("%s", "lvs").s, &entries, NULL, alphasort);
    MUST(n >= 0);
    (void)fputs("\"lv\":[", out);
    for (int i = 0; i < n; i++) {
        if (is_lv(entries[i]->d_name)) {
            (void)fputs(comma, out);
            put_lv(out, entries[i]->d_name);
            comma = ",";
        }
        free(entries[i]);
    }
    free(entries);
    (void)fputs("]", out);
}

static void put_vg(FILE *out)
{
    (void)fprintf(out,
                  "\"vg\":[{\"vg_name\":\"%s\",\"vg_uuid\":\"V\",\"vg_size\":"
                  "\"1\",\"vg_free\":\"%" PRIu64
                  "\",\"vg_extent_size\":\"%llu\",\"vg_mda_size\":\"1\","
                  "\"vg_mda_free\":\"1\",\"vg_seqno\":\"1\","
                  "\"vg_missing_pv_count\":\"0\",\"vg_tags\":",
                  vg, free_bytes(), EXTENT);
    put_tags(out, path_of("%s", "vg.tags"));
    (void)fputs("}]", out);
}

/* One PV, with the VG's tags as LVM reports them. */
static void put_pv(FILE *out)
{
    (void)fprintf(out,
                  "\"pv\":[{\"pv_name\":\"/dev/null\",\"pv_uuid\":\"P\","
                  "\"pv_size\":\"1\",\"pv_free\":\"1\",\"pv_pe_count\":"
                  "\"9\",\"pv_mda_count\":\"2\",\"pv_mda_used_count\":\"2\","
                  "\"pv_mda_size\":\"1\",\"pv_missing\":\"\",\"pv_in_use\":"
                  "\"used\",\"vg_name\":\"%s\",\"vg_tags\":",
                  vg);
    put_tags(out, path_of("%s", "vg.tags"));
    (void)fputs("}]", out);
}

static char *make_report(const char *verb)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    MUST(out);
    (void)fputs("{\"report\":[{", out);
    if (str_equal(verb, "lvs"))
        put_lvs(out);
    else if (str_equal(verb, "vgs"))
        put_vg(out);
    else
        put_pv(out);
    (void)fputs("}]}", out);
    MUST(fclose(out) == 0);
    return text;
}

/* --- death --- */

static void die(bool all)
{
    if (all && getppid() > 1)
        (void)kill(getppid(), SIGKILL);
    (void)kill(getpid(), SIGKILL);
}

/* Whether this command is the last one; counts it at "before". */
static void perhaps_die(const char *now)
{
    _cleanup_free_ char *text = read_text(path_of("%s", "die"));
    char when[16], who[16], next[64];
    int n = 0;
    if (sscanf(text, "%d %15s %15s", &n, when, who) != 3)
        return;
    if (str_equal(now, "before")) {
        n--;
        (void)str_format(next, sizeof(next), "%d %s %s", n, when, who);
        write_text(path_of("%s", "die"), next);
    }
    if (n == 0 && str_equal(now, when)) {
        (void)unlink(path_of("%s", "die").s);
        die(str_equal(who, "all"));
    }
}

static void note(const char *line)
{
    _cleanup_close_ int fd =
        open(path_of("%s", "log").s, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC,
             0600);
    MUST(fd >= 0 && dprintf(fd, "%s\n", line) > 0);
}

static int run(void *ctx, const char *line, char **ret_out, struct err *err)
{
    static char text[LINE_MAX_BYTES];
    static struct command command;
    char *rest = NULL;
    (void)ctx;
    command.n = 0;
    MUST(str_copy(text, sizeof(text), line));
    for (char *word = strtok_r(text, " ", &rest); word && command.n < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        command.words[command.n++] = word;
    if (has(&command, "--reportformat")) {
        *ret_out = make_report(command.words[0]);
        return 0;
    }
    note(line);
    perhaps_die("before");
    int rc = do_command(&command, err);
    perhaps_die("after");
    return rc;
}

static int acquire(void *ctx, int64_t deadline_ms, struct err *err)
{
    (void)ctx, (void)deadline_ms, (void)err;
    return 0;
}

static int release(void *ctx, struct err *err)
{
    (void)ctx, (void)err;
    return 0;
}

static void take_setup(int fd)
{
    static char line[LINE_MAX_BYTES];
    struct lvm_setup setup;
    size_t len = 0;
    while (read(fd, line + len, 1) == 1 && line[len] != '\n')
        MUST(++len < sizeof(line));
    MUST(setup_parse(line, len, &setup, NULL) == 0);
    (void)str_copy(dir, sizeof(dir), setup.dir);
    (void)str_copy(vg, sizeof(vg), setup.vg);
    setup_deinit(&setup);
}

int main(void)
{
    const struct serve_backend backend = { .extent_bytes = EXTENT,
                                           .run = run,
                                           .acquire = acquire,
                                           .release = release };
    struct err err = ERR_INIT;
    (void)signal(SIGPIPE, SIG_IGN);
    take_setup(STDIN_FILENO);
    return serve(STDIN_FILENO, vg, &backend, &err) < 0;
}
