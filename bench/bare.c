/* The limit: the same preloaded interpreter, forked, run and ended in a loop, with no isolation at all.
 *
 * bare PRELOAD SECONDS PROCESSES SCRIPT: that many loops at once, each with an interpreter of its own. Prints runs a second, the
 * CPU time and the page faults of one, in milliseconds.
 */
#include "zygote/python.h"

#include "base/clock.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PY_SSIZE_T_CLEAN
#include <Python.h>
static PyObjectArenaAllocator arenas_before;
static char *last_arena; static size_t last_size, arena_count;
static void *arena_alloc(void *ctx, size_t size) {
    (void)ctx;
    char *p = arenas_before.alloc(arenas_before.ctx, size);
    last_arena = p; last_size = size; arena_count++;
    return p;
}
static void watch_arenas(void) {
    PyObjectArenaAllocator mine;
    PyObject_GetArenaAllocator(&arenas_before);
    mine = arenas_before;
    mine.alloc = arena_alloc;
    PyObject_SetArenaAllocator(&mine);
}
static void fill(void) {
    size_t before = arena_count, n = 0;
    while (arena_count == before) { PyObject_Malloc(512); n++; }
    size_t m = 0;
    for (size_t size = 16; size <= 496; size += 16)
        for (;;) {
            char *p = PyObject_Malloc(size);
            m++;
            if (p >= last_arena && p < last_arena + last_size) { PyObject_Free(p); break; }
        }
    fprintf(stderr, "arenas %zu filled %zu + %zu\n", arena_count, n, m);
}
static void fill_malloc(void) {
    char *top = sbrk(0);
    size_t total = 0;
    /* whatever lies below the top chunk */
    for (size_t size = 1 << 16; size >= 16; size = size > 1024 ? size / 2 : size - 16) {
        for (;;) {
            struct mallinfo2 i = mallinfo2();
            char *p = malloc(size);
            if (p > top - i.keepcost - 4096 ) { free(p); break; }
            total += size;
        }
    }
    struct mallinfo2 i = mallinfo2();
    fprintf(stderr, "malloc filled %zu, free %zu top %zu\n", total, i.fordblks, i.keepcost);
}
#include <sys/mman.h>
static void collapse(void) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    static unsigned long starts[4096], ends[4096];
    int n = 0;
    unsigned long total = 0;
    while (fgets(line, sizeof line, f)) {
        unsigned long a, b, inode; char perms[8];
        if (sscanf(line, "%lx-%lx %7s %*x %*s %lu", &a, &b, perms, &inode) == 4 && inode == 0 && perms[1] == 'w' && !strstr(line, "stack")) { starts[n] = a; ends[n++] = b; total += b - a;}
    }
    fclose(f);
    int ok = 0, bad = 0;
    for (int i = 0; i < n; i++)
        for (unsigned long at = (starts[i] + 0x1fffff) & ~0x1ffffful; at + 0x200000 <= ends[i]; at += 0x200000)
            if (madvise((void *)at, 0x200000, 25) == 0) ok++; else bad++;
    fprintf(stderr, "regions %d bytes %lu collapsed %d not %d\n", n, total, ok, bad);
}
static void run_once(const char *script) {
    struct job_order order = {.result_bytes = 1 << 20, .script_bytes = strlen(script)};
    struct python_answer answer;
    if (python_load(&order, script, strlen(script)) < 0 || python_run(&order, &answer) < 0 || answer.kind != FRAME_RESULT)
        _exit(EXIT_FAILURE);
    _exit(EXIT_SUCCESS);
}

static unsigned long loop(const char *script, uint64_t until_us) {
    unsigned long count = 0;
    int status;
    for (; clock_us() < until_us; count++) {
        python_before_fork();
        pid_t pid = fork();
        if (pid == 0) {
            python_after_fork_child();
            run_once(script);
        }
        python_after_fork_parent();
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            exit(EXIT_FAILURE);
    }
    return count;
}

int main(int argc, char **argv) {
    struct failure failure;
    if (argc != 5)
        return 2;
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    mallopt(M_ARENA_MAX, 1);
    int ends[2];
    if (pipe(ends) < 0)
        return 1;
    int processes = atoi(argv[3]);
    bool COLL = getenv("COLL") != NULL, FILL = getenv("FILL") != NULL, FILLM = getenv("FILLM") != NULL;
    for (int i = 0; i < processes; i++) {
        if (fork() > 0)
            continue;
        if (FILL) watch_arenas();
        if (python_start(argv[1], &failure) < 0) {
            fprintf(stderr, "%s: %s\n", failure.stage, failure.text);
            exit(1);
        }
        mallopt(M_MXFAST, 0);
        malloc_trim(0);
        void *volatile block = malloc(100000);
        free(block);
        if (FILL) fill();
        if (FILLM) fill_malloc();
        if (COLL) collapse();
        struct rusage a, b, s0, s1;
        getrusage(RUSAGE_CHILDREN, &a);
        getrusage(RUSAGE_SELF, &s0);
        uint64_t begin = clock_us();
        unsigned long count = loop(argv[4], begin + (uint64_t)atoi(argv[2]) * 1000000);
        getrusage(RUSAGE_CHILDREN, &b);
        getrusage(RUSAGE_SELF, &s1);
#define D(x, y, f) ((double)(clock_timeval_us(y.f) - clock_timeval_us(x.f)) / 1e3 / (double)count)
        char line[256];
        int n = snprintf(line, sizeof line, "%.0f/s wall %.3f  child user %.3f sys %.3f  parent user %.3f sys %.3f faults %.0f\n",
               (double)count / ((double)(clock_us() - begin) / 1e6), (double)(clock_us() - begin) / 1e3 / (double)count, D(a, b, ru_utime), D(a, b, ru_stime), D(s0, s1, ru_utime),
               D(s0, s1, ru_stime), (double)(b.ru_minflt - a.ru_minflt) / (double)count);
        ssize_t ignored = write(ends[1], line, (size_t)n);
        (void)ignored;
        exit(0);
    }
    while (wait(NULL) > 0) continue;
    close(ends[1]);
    char text[4096];
    ssize_t n = read(ends[0], text, sizeof text);
    fwrite(text, 1, (size_t)n, stdout);
    return 0;
}
