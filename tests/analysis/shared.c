/* Linked into every program of the coverage build alone: all processes of a program count in one file.
 *
 * gcc's own way is that a process writes its counters when it exits. Ours end by _exit() or SIGKILL, without a right to
 * any file. So the pages that are counted in (shared.ld) are those of a file, from before main() on: forks share them,
 * confinement does not take them away, and no end loses them. With PX_COVERAGE_DUMP in the environment the program does
 * nothing but write what has been counted as gcc does, into the .gcda files. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern char coverage_begin[], coverage_end[];
void __gcov_dump(void);
void __wrap___gcov_exit(void);

/* Called by every object at exit: what it would write is in the file already. */
void __wrap___gcov_exit(void) {
}

/* Behind the constructors of gcc's, which tell libgcov what there is. */
__attribute__((constructor)) static void share(void) {
    char program[PATH_MAX] = "", path[2 * PATH_MAX];
    size_t size = (size_t)(coverage_end - coverage_begin);
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        return; /* and what it does is not counted */
    snprintf(path, sizeof path, "%s/%s", COVERAGE_FOLDER, strrchr(program, '/') + 1);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return;
    fchmod(fd, 0666); /* its next process may be another user's */
    if (ftruncate(fd, (off_t)size) == 0)
        mmap(coverage_begin, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
    close(fd);
    if (getenv("PX_COVERAGE_DUMP") != NULL) {
        __gcov_dump();
        _exit(0);
    }
}
