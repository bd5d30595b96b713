/* The limit: the same preloaded interpreter, forked, run and ended in a loop, without any isolation, channel or server.
 *
 * bare SECONDS LOOPS SCRIPT RESULT: that many loops at once, each with an interpreter of its own that has imported what
 * the service would run this script on. Both files are read; what a run answers is held to the second, what it prints
 * goes nowhere. Prints runs a second over all loops and the CPU time of one run, fork and exit included, in milliseconds.
 */
#include "base/clock.h"
#include "base/config.h"
#include "base/fd.h"
#include "base/flavour.h"
#include "wire/frame.h"
#include "zygote/python.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOPS_MAX = 256 };

struct text {
    const char *data;
    size_t size;
};

struct count {
    uint64_t runs, wall_us, cpu_us;
};

static struct text map_file(const char *path) {
    struct stat status;
    struct text text = {.data = ""};
    cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        goto fail;
    text.size = (size_t)status.st_size;
    if (text.size > 0 && (text.data = mmap(NULL, text.size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        goto fail;
    return text;
fail:
    fprintf(stderr, "bare: %s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE);
}

static int run_once(const struct text *script, const struct text *result) {
    struct job_order order = {.result_bytes = 64 << 20, .script_bytes = script->size};
    struct python_answer answer;
    if (python_load(&order, script->data, script->size) < 0 || python_run(&order, &answer) < 0 ||
        answer.kind != FRAME_RESULT || answer.text_size != result->size)
        return EXIT_FAILURE;
    return memcmp(answer.text, result->data, result->size) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static uint64_t cpu_us(void) {
    struct rusage own, children;
    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return clock_timeval_us(own.ru_utime) + clock_timeval_us(own.ru_stime) + clock_timeval_us(children.ru_utime) +
           clock_timeval_us(children.ru_stime);
}

static struct count loop(const struct text *script, const struct text *result, uint64_t wall_us) {
    struct count count = {0};
    uint64_t begun = clock_us(), cpu = cpu_us();
    while (clock_us() - begun < wall_us) {
        int status;
        pid_t pid = python_fork();
        if (pid == 0)
            _exit(run_once(script, result));
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            fprintf(stderr, "bare: a run failed or had another result\n");
            exit(EXIT_FAILURE);
        }
        count.runs++;
    }
    count.wall_us = clock_us() - begun;
    count.cpu_us = cpu_us() - cpu;
    return count;
}

/* As the zygote of this script's flavour does, see src/zygote/main.c. */
static void load(const struct text *script) {
    struct failure failure = {0};
    struct config config;
    char folder[] = "/tmp/python-executor-bare-XXXXXX";
    config_init(&config);
    flavour_narrow(config.preload, script->data, script->size);
    mallopt(M_ARENA_MAX, 1);
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv("OMP_NUM_THREADS", "1", 1);
    if (mkdtemp(folder) == NULL)
        exit(EXIT_FAILURE);
    int r = python_start(&failure);
    if (r >= 0)
        r = python_import(config.preload, folder, &failure);
    rmdir(folder);
    if (r < 0) {
        fprintf(stderr, "bare: %s: %s\n", failure.stage, failure.text);
        exit(EXIT_FAILURE);
    }
    python_settle();
}

/* In a process of its own: gets ready, says so by closing `ready`, begins with the others, writes its count. */
static _Noreturn void work(const struct text *script, const struct text *result, uint64_t wall_us, int ready, int go,
                           int counts) {
    char nothing;
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    load(script);
    fd_close(ready);
    if (read(go, &nothing, 1) != 0)
        exit(EXIT_FAILURE);
    struct count count = loop(script, result, wall_us);
    _exit(write(counts, &count, sizeof count) == sizeof count ? EXIT_SUCCESS : EXIT_FAILURE);
}

static int report(int counts, int loops) {
    struct count count;
    double rate = 0, cpu = 0, runs = 0;
    int heard = 0;
    for (; read(counts, &count, sizeof count) == sizeof count && count.runs > 0; heard++) {
        rate += (double)count.runs / ((double)count.wall_us / 1e6);
        cpu += (double)count.cpu_us / 1e3;
        runs += (double)count.runs;
    }
    if (heard < loops)
        return EXIT_FAILURE;
    printf("%.1f %.4f\n", rate, cpu / runs);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    int ready[2], go[2], counts[2];
    char nothing;
    int loops = argc == 5 ? atoi(argv[2]) : 0;
    if (loops < 1 || loops > LOOPS_MAX) {
        fprintf(stderr, "usage: bare SECONDS LOOPS SCRIPT RESULT\n");
        return 2;
    }
    struct text script = map_file(argv[3]), result = map_file(argv[4]);
    uint64_t wall_us = (uint64_t)(atof(argv[1]) * 1e6);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0 || pipe2(counts, O_CLOEXEC) < 0 || null < 0)
        return EXIT_FAILURE;
    for (int i = 0; i < loops; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return EXIT_FAILURE;
        if (pid == 0) {
            fd_close(go[1]);
            fd_close(ready[0]);
            dup2(null, STDOUT_FILENO);
            work(&script, &result, wall_us, ready[1], go[0], counts[1]);
        }
    }
    fd_close(ready[1]);
    fd_close(counts[1]);
    if (read(ready[0], &nothing, 1) != 0)
        return EXIT_FAILURE;
    fd_close(go[1]);
    return report(counts[0], loops);
}
