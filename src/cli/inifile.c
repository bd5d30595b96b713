/* The form of the configuration file: see inifile.h. Runs as whoever started the command, before there is a service. */
#include "cli/inifile.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 1 << 20, NAME_MAX_BYTES = 64, VALUE_MAX = 2048 };

struct reader {
    const struct inifile_taker *taker;
    struct failure *failure; /* the caller's */
    FILE *file;
    size_t bytes;
    unsigned line;      /* that was read last */
    bool goes_on;       /* it begins with a blank */
    bool holds;         /* a name and its value, which the next line may go on with */
    char name[NAME_MAX_BYTES];
    char value[VALUE_MAX];
    unsigned held_line; /* where they began */
    int result;
    unsigned bad_line;
};

static int refuse(struct reader *reader, unsigned line, int error, const char *stage, const char *words) {
    reader->result = failure_set(reader->failure, error, stage, "%s", words);
    reader->bad_line = line;
    return 0; /* as inih wants it */
}

/* In place of fgets(): counts, and refuses what inih would take apart in silence. */
static char *read_line(char *line, int size, void *user) {
    struct reader *reader = user;
    if (reader->result < 0 || fgets(line, size, reader->file) == NULL)
        return NULL;
    size_t length = strlen(line);
    reader->line++;
    reader->bytes += length;
    reader->goes_on = *line == ' ' || *line == '\t';
    if (reader->bytes > FILE_MAX)
        refuse(reader, reader->line, EFBIG, "the file", "it is larger than 1 MiB");
    else if ((length == 0 || line[length - 1] != '\n') && !feof(reader->file))
        refuse(reader, reader->line, EINVAL, "the line",
               "it is too long, or has a byte 0 in it; a list may go on in the next line, behind blanks");
    return reader->result < 0 ? NULL : line;
}

static int hand_on(struct reader *reader) {
    if (!reader->holds)
        return 0;
    reader->holds = false;
    int r = reader->taker->take(reader->taker->user, reader->name, reader->value, reader->held_line, reader->failure);
    if (r < 0) {
        reader->result = r;
        reader->bad_line = reader->held_line;
    }
    return r;
}

/* One for inih: 1 is good. */
static int take(void *user, const char *section, const char *name, const char *value) {
    struct reader *reader = user;
    if (reader->result < 0)
        return 0;
    if (*section != '\0')
        return refuse(reader, reader->line, EINVAL, "sections", "this file has none, and every name stands for itself");
    bool goes_on = reader->goes_on && reader->holds;
    if (!goes_on && hand_on(reader) < 0)
        return 0;
    size_t held = goes_on ? strlen(reader->value) : 0;
    if (strlen(name) >= sizeof reader->name || held + strlen(value) >= sizeof reader->value)
        return refuse(reader, reader->line, EINVAL, "the line", "a name or a value is too long");
    if (!goes_on) {
        snprintf(reader->name, sizeof reader->name, "%s", name);
        reader->held_line = reader->line;
    }
    snprintf(reader->value + held, sizeof reader->value - held, "%s", value);
    reader->holds = true;
    return 1;
}

int inifile_read(const char *path, const struct inifile_taker *taker, unsigned *ret_line, struct failure *ret_failure) {
    struct reader reader = {.taker = taker, .failure = ret_failure, .file = fopen(path, "re")};
    *ret_line = 0;
    if (reader.file == NULL)
        return failure_set(ret_failure, errno, "the file", "cannot open it: %s", strerror(errno));
    int wrong = ini_parse_stream(read_line, &reader, take, &reader);
    int error = ferror(reader.file) ? errno : 0;
    fclose(reader.file);
    if (error != 0)
        return failure_set(ret_failure, error, "the file", "cannot read it: %s", strerror(error));
    if (reader.result == 0)
        hand_on(&reader);
    if (wrong > 0 && (reader.result == 0 || (unsigned)wrong < reader.bad_line))
        refuse(&reader, (unsigned)wrong, EINVAL, "the line", "it is neither a comment nor name = value");
    *ret_line = reader.bad_line;
    return reader.result;
}
