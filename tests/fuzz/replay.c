/* Runs one fuzzer over what is kept for it, and says so in TAP: a test program, for builds without libFuzzer.
 *
 *     test_fuzz_X              everything in corpus/X.seeds and corpus/X.found
 *     test_fuzz_X FILE...      these files, as they are: what `make fuzz` has left of a crash
 *
 * A kept input is a line: its bytes, with \n, \r, \t, \\ and \xHH for what is no plain character. Lines that begin
 * with # are for people. The input is named before it is tried, so the last name is what a crash is about.
 */
#include "fuzz.h"

#include <stdio.h>

/* One that is as long as it is: sanitizers see a look beyond its end. */
static void try(const char *data, size_t size) {
    uint8_t *copy = malloc(size);
    assert(copy != NULL || size == 0);
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int hex(char c) {
    const char *digits = "0123456789abcdef", *found = c != '\0' ? strchr(digits, c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* In place. The bytes that it stands for, or -1 where it is no line of ours. */
static ssize_t unescape(char *line) {
    char *to = line;
    for (const char *at = line; *at != '\0' && *at != '\n';) {
        const char *plain = "\\\\n\nr\rt\t", *known;
        if (*at != '\\') {
            *to++ = *at++;
        } else if (at[1] == 'x' && hex(at[2]) >= 0 && hex(at[3]) >= 0) {
            *to++ = (char)(hex(at[2]) << 4 | hex(at[3]));
            at += 4;
        } else if (at[1] != '\0' && (known = strchr(plain, at[1])) != NULL && (known - plain) % 2 == 0) {
            *to++ = known[1];
            at += 2;
        } else {
            return -1;
        }
    }
    return to - line;
}

/* How many it has; 0 where one of its lines is wrong. */
static size_t try_lines(FILE *file) {
    char *line = NULL;
    size_t room = 0, count = 0;
    while (getline(&line, &room, file) > 0) {
        if (*line == '#' || *line == '\n')
            continue;
        printf("# %.200s%s", line, strlen(line) > 200 ? "\n" : "");
        ssize_t size = unescape(line);
        if (size < 0) {
            count = 0;
            break;
        }
        try(line, (size_t)size);
        count++;
    }
    free(line);
    return count;
}

static bool replay(unsigned number, const char *path) {
    FILE *file = fopen(path, "re");
    size_t count = file != NULL ? try_lines(file) : 0;
    if (file != NULL)
        fclose(file);
    printf("%s %u - %s: %zu inputs\n", count > 0 ? "ok" : "not ok", number, strrchr(path, '/') + 1, count);
    return count > 0;
}

static int replay_files(int count, char **paths) {
    for (int i = 0; i < count; i++) {
        static char data[1 << 20];
        FILE *file = fopen(paths[i], "re");
        if (file == NULL) {
            perror(paths[i]);
            return EXIT_FAILURE;
        }
        printf("# %s\n", paths[i]);
        try(data, fread(data, 1, sizeof data, file));
        fclose(file);
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        return replay_files(argc - 1, argv + 1);
    puts("1..2");
    try("", 0);
    bool seeds = replay(1, CORPUS ".seeds"), found = replay(2, CORPUS ".found");
    return seeds && found ? EXIT_SUCCESS : EXIT_FAILURE;
}
