/* Frames on a job's channel: one from the server to the worker, one back.
 *
 * The frame back is written by a process that runs hostile code and is believed in nothing: its length
 * is checked before a byte is kept, the first frame counts and what follows is not read.
 */
#ifndef PX_WIRE_FRAME_H
#define PX_WIRE_FRAME_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum frame_kind {
    FRAME_JOB = 1,          /* struct job_order, then its parts */
    FRAME_RESULT,           /* the result as JSON */
    FRAME_NO_MAIN,          /* empty */
    FRAME_EXCEPTION,        /* the last line of the traceback; if asked for, NUL and a JSON object */
    FRAME_MEMORY,           /* the same for a MemoryError nobody caught */
    FRAME_NOT_SERIALIZABLE, /* why, in words */
    FRAME_OUTPUT_LIMIT,     /* the result is too large or too deep, in words */
    FRAME_EXITED,           /* empty: SystemExit */
};

/* Levels of that object at most: python/report.py keeps to it, with groups of exceptions in groups. */
enum { FRAME_DETAILS_DEPTH = 8 };

struct frame_header {
    uint32_t kind;
    uint32_t length; /* of the payload, in bytes */
};

enum job_flags {
    JOB_DETAILS = 1, /* where and why an exception was */
    JOB_SEED = 2,    /* the order has a seed */
    JOB_STDIN = 4,   /* descriptor 0 is the script's */
    JOB_CONVERT = 8, /* make JSON of what is none: python/convert.py */
    JOB_OUTPUTS = 16, /* the answer has files */
    JOB_FIGURES = 32, /* the answer has figures */
    JOB_STREAM = 64,  /* what is printed is wanted in its true order over both pipes */
};

/* With either of these the answer has outputs, see below. */
enum { JOB_ANY_OUTPUTS = JOB_OUTPUTS | JOB_FIGURES };

/* The job's limits that the worker sets upon itself before it looks at the parts, and how long those are. They follow
 * one another: the script in UTF-8, then JSON as the client sent it, of no length where it was not sent. */
struct job_order {
    uint64_t cpu_ms;
    uint64_t memory_bytes;
    uint64_t file_bytes; /* size of one file */
    uint64_t result_bytes;
    uint64_t flags; /* enum job_flags */
    uint64_t seed;  /* with JOB_SEED */
    uint64_t script_bytes;
    uint64_t input_bytes;  /* for main(input) */
    uint64_t args_bytes;   /* for main(*args, **kwargs) */
    uint64_t kwargs_bytes;
    uint64_t files_bytes;      /* what is placed in the working directory */
    uint64_t patterns_bytes;   /* of the files that the answer is to have, with JOB_OUTPUTS */
    uint64_t output_bytes;     /* of those files and figures, at most */
};

/* With JOB_ANY_OUTPUTS the payload of every answer but FRAME_EXITED ends with NUL and the outputs: a character, FRAME_SOME
 * where not all there is to have is in it, and JSON, an array or null where nothing could be collected. */
enum { FRAME_ALL = '=', FRAME_SOME = '+', FRAME_LISTING_MAX = 1 << 20, FRAME_OUTPUTS_DEPTH = 2 };

/* Bytes of that part at most: python/files.py keeps to less. */
static inline uint64_t frame_outputs_max(uint64_t output_bytes) {
    return output_bytes / 3 * 4 + FRAME_LISTING_MAX;
}

/* Reads one frame piece by piece. */
struct frame_reader {
    struct frame_header header;
    size_t header_len; /* bytes of the header that are there */
    struct buf payload;
};

/* max_payload: in bytes; a longer frame is refused before any of it is stored. */
void frame_reader_init(struct frame_reader *reader, size_t max_payload);
void frame_reader_done(struct frame_reader *reader);

/* Reads what there is. 1 when the frame is whole, 0 when more must come (a non-blocking descriptor is
 * empty), -EMSGSIZE for too long a frame, -EPIPE at an early end, or another negative errno. */
int frame_read(struct frame_reader *reader, int fd);

enum { FRAME_MAX_PARTS = 5 };

/* Writes a whole frame, its payload given in parts, to a blocking descriptor. 0 or a negative errno. */
int frame_write(int fd, enum frame_kind kind, const struct iovec *parts, size_t count);

#endif
