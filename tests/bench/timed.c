/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Runs a program and writes what it took, as one line of JSON. A small process
 * of its own, because the kernel counts the memory of whoever starts a program
 * as that program's peak.
 *
 * usage: timed REPORT PROGRAM [ARGUMENT...]
 * The exit status is the program's; 128 + signal if one ended it. Processor
 * time is that of the program and of the children it waited for; memory is the
 * largest one's.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static int report(const char *path, double wall_s, const struct rusage *usage)
{
    FILE *file = fopen(path, "we");

    if (!file)
        return -1;
    (void)fprintf(file,
                  "{\"seconds\": %.4f, \"user\": %.3f, \"system\": %.3f, "
                  "\"peak_kib\": %ld}\n",
                  wall_s, seconds(&usage->ru_utime), seconds(&usage->ru_stime),
                  usage->ru_maxrss);
    return fclose(file);
}

int main(int argc, char *argv[])
{
    struct rusage usage = { 0 };
    double begin_s = now_s();
    int status = 0;
    pid_t pid = 0;

    if (argc < 3) {
        (void)fprintf(stderr, "usage: timed REPORT PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    pid = fork();
    if (pid == 0) {
        (void)execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid ||
        report(argv[1], now_s() - begin_s, &usage) != 0) {
        perror("timed");
        return 126;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
