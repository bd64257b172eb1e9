// usage: measure ROUNDS PREPARE -- LABEL STDIN PROGRAM ARGUMENT… [-- LABEL …]
// Runs each program once a round, in turn, with PREPARE (a shell command, not measured) before each.
// Prints for each: label, median and least wall time and median CPU time in microseconds, largest
// resident set in KiB. In C, so that the measuring process is smaller than what it measures.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CASES = 32 };

struct sample { long wall, cpu; };

static long micros(struct timeval t) { return t.tv_sec * 1000000L + t.tv_usec; }

static int by_wall(const void *a, const void *b) {
    long x = ((const struct sample *)a)->wall, y = ((const struct sample *)b)->wall;
    return (x > y) - (x < y);
}
static int by_cpu(const void *a, const void *b) {
    long x = ((const struct sample *)a)->cpu, y = ((const struct sample *)b)->cpu;
    return (x > y) - (x < y);
}

static void become(char **words) {
    int in = open(words[1], O_RDONLY), null = open("/dev/null", O_WRONLY);
    dup2(in, 0);
    dup2(null, 1);
    execv(words[2], words + 2);
    _exit(127);
}

static struct sample run(char **words, long *rss) {
    struct timespec start, end;
    struct rusage usage;
    int status;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pid_t pid = vfork();
    if (pid == 0) become(words);
    if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
        fprintf(stderr, "measure: %s failed (status %x)\n", words[0], status);
        exit(1);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (usage.ru_maxrss > *rss) *rss = usage.ru_maxrss;
    struct sample sample = {
        (end.tv_sec - start.tv_sec) * 1000000L + (end.tv_nsec - start.tv_nsec) / 1000,
        micros(usage.ru_utime) + micros(usage.ru_stime),
    };
    return sample;
}

int main(int argc, char **argv) {
    int rounds = argc > 2 ? atoi(argv[1]) : 0, cases = 0;
    char **start[CASES];
    struct sample *samples[CASES];
    long rss[CASES] = {0};
    for (int i = 3; i < argc && cases < CASES; i++) {
        if (strcmp(argv[i], "--") != 0) continue;
        argv[i] = NULL;
        start[cases] = argv + i + 1;
        samples[cases++] = calloc(rounds, sizeof(struct sample));
    }
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < cases; i++) {
            if (system(argv[2]) != 0) return 1;
            samples[i][round] = run(start[i], &rss[i]);
        }
    for (int i = 0; i < cases && rounds > 0; i++) {
        qsort(samples[i], rounds, sizeof(struct sample), by_wall);
        long median = samples[i][rounds / 2].wall, least = samples[i][0].wall;
        qsort(samples[i], rounds, sizeof(struct sample), by_cpu);
        printf("%s %ld %ld %ld %ld\n", start[i][0], median, least, samples[i][rounds / 2].cpu, rss[i]);
    }
    return rounds > 0 && cases > 0 ? 0 : 2;
}
