/* What to believe of a finished job: the zygote's verdict, and of the worker's answer what stands up. */
#ifndef PX_SERVER_JUDGE_H
#define PX_SERVER_JUDGE_H

#include "server/job.h"
#include "server/json.h"

/* A whole answer's payload, divided. */
struct judge_parts {
    struct json_span text;    /* as enum frame_kind says */
    struct json_span outputs; /* JSON, of size 0 where there is none */
    bool cut;                 /* the worker says that there is more to have */
};

struct judge_parts judge_parts(const struct job *job);

/* The outcome of a job whose verdict is in and whose channel has been read to its end. */
enum outcome judge_outcome(const struct job *job, size_t result_depth);

/* The parts of a FRAME_EXCEPTION or FRAME_MEMORY: the last line of the traceback, which may be any
 * bytes, and the object with the details, of size 0 where there is none. */
void judge_exception(const struct job *job, struct json_span *ret_summary, struct json_span *ret_details);

#endif
