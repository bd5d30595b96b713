/* A finished job, as a hostile worker and a zygote leave it, made of an input. For fuzz_judge.c and fuzz_stream.c. */
#ifndef PX_TESTS_FUZZ_ANSWER_H
#define PX_TESTS_FUZZ_ANSWER_H

#include "fuzz.h"

#include "server/judge.h"

#include <errno.h>

enum { ANSWER_DEPTH = 6 };

/* Flags, kind, ending, exit status, what became of the frame, one character each. */
static inline struct job *answer_job(struct input *input, struct config *ret_config) {
    static const int states[] = {1, 0, -EMSGSIZE, -EPIPE};
    unsigned flags = input_pick(input, 16);
    struct job_request request = {.script = {"x", 1}, .wants_details = (flags & 1) != 0, .wants_figures = (flags & 2) != 0,
                                  .streams = (flags & 4) != 0};
    if ((flags & 8) != 0)
        request.outputs = (struct json_span){"[\"*\"]", 5};
    config_init(ret_config);
    ret_config->result_kb = ret_config->outputs_kb = ret_config->stdout_kb = ret_config->stderr_kb = 1;
    ret_config->result_depth = ANSWER_DEPTH;
    struct job *job = job_new(ret_config, &request);
    assert(job != NULL);
    job->answer.header.kind = input_pick(input, FRAME_EXITED + 2);
    job->verdict.ending = input_pick(input, ENDING_COUNT + 1);
    job->verdict.code = input_pick(input, 2) * 9;
    job->answer_state = states[input_pick(input, 4)];
    job->stage = JOB_FINISHED;
    return job;
}

#endif
