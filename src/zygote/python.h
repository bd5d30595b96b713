/* The embedded Python: the only module that knows the interpreter.
 *
 * One interpreter in one process. All functions but python_load() and python_run() are called before any script exists.
 */
#ifndef PX_ZYGOTE_PYTHON_H
#define PX_ZYGOTE_PYTHON_H

#include "base/failure.h"
#include "wire/frame.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Starts the interpreter, with the packages of the folder `venv` if it is not empty, executes the files of python/,
 * rehearses once and freezes the heap. */
int python_start(const char *venv, struct failure *ret_failure);

/* Imports modules, whose names are separated by commas, and does the same. They may write to the folder. */
int python_import(const char *modules, const char *folder, struct failure *ret_failure);

/* Whether there is something to import: not where all these names end in ? and none of them is installed. */
bool python_wants(const char *modules);

/* As fork(2), with Python's own hooks. The pid, 0 in the child, or a negative errno. */
pid_t python_fork(void);

/* Last before the first fork: see heap.h. */
void python_settle(void);

/* The folders that imports read: absolute, existing, none below another. The strings live as long as
 * the process. Returns how many, or a negative errno. */
int python_folders(const char **ret_paths, size_t max);

/* PY_VERSION_HEX of the library that is loaded. */
unsigned long python_version(void);

/* Around a fork that goes past fork(2), in this order; Python's own hooks run in them. */
void python_before_fork(void);
void python_after_fork_parent(void);
void python_after_fork_child(void);

/* In a worker that has no job yet: a rehearsal if wanted, and new random state. 0 or -EIO. */
int python_warm_up(bool rehearse);

/* How the run ended. The bytes belong to `owner`, which is a reference that is never given back, since
 * the process ends right after. */
struct python_answer {
    enum frame_kind kind;
    const char *text;
    size_t text_size;
    const char *details;
    size_t details_size;
    const char *outputs; /* with JOB_ANY_OUTPUTS; of size 0 otherwise */
    size_t outputs_size;
    void *owner;
};

/* In a worker, once, under the job's limits: copies the parts of the job. -EINVAL where they are not as long as the
 * order says or not UTF-8, -ENOMEM. */
int python_load(const struct job_order *order, const char *parts, size_t size);

/* In a worker, once, behind python_load(): runs the script. -EIO where the runner itself was broken by it. May never
 * return: the script has the process. */
int python_run(const struct job_order *order, struct python_answer *ret_answer);

#endif
