/* Has the place of the server's program in what valgrind looks at: the manager executes it, and it executes the server
 * behind valgrind. A script could not: what is executed by its descriptor must be a program. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char *const options[] = {VALGRIND};
    size_t count = sizeof options / sizeof options[0];
    char **all = calloc(count + (size_t)argc + 1, sizeof *all);
    if (all == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < count; i++)
        all[i] = options[i];
    for (int i = 1; i < argc; i++)
        all[count + (size_t)i - 1] = argv[i];
    execv(all[0], all);
    perror(all[0]);
    return EXIT_FAILURE;
}
