/* The embedded Python: see python.h. The only file that includes Python.h. Runs in the zygote before
 * any script exists, and in a worker. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "zygote/python.h"

#include "zygote/embedded.h"
#include "zygote/heap.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static PyObject *runner; /* the namespace that python/runner.py was executed in; it holds the other modules */

/* The job, from python_load() to python_run(). */
static PyObject *source;
static PyObject *texts;

/* Describes the exception that is set, and clears it. */
static int failed(const char *what, struct failure *ret_failure) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    PyObject *text = value != NULL ? PyObject_Str(value) : NULL;
    const char *words = text != NULL ? PyUnicode_AsUTF8(text) : NULL;
    int r = failure_set(ret_failure, EIO, "Python", "%s: %.140s", what, words != NULL ? words : "unknown");
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    PyErr_Clear();
    return r;
}

/* Borrowed, as everything in the namespace. */
static PyObject *runner_function(const char *name) {
    return PyDict_GetItemString(runner, name);
}

static int call(const char *name, struct failure *ret_failure) {
    PyObject *result = PyObject_CallNoArgs(runner_function(name));
    if (result == NULL)
        return failed(name, ret_failure);
    Py_DECREF(result);
    return 0;
}

/* Where Python is: Debian's, or a virtual environment. */
static int find_home(const char *venv, char ret_home[PATH_MAX], struct failure *ret_failure) {
    return realpath(*venv != '\0' ? venv : "/usr", ret_home) != NULL
               ? 0
               : failure_set(ret_failure, errno, "Python", "--venv %.100s: %s", venv, strerror(errno));
}

static int start_interpreter(const char *home, struct failure *ret_failure) {
    char program[PATH_MAX + 16];
    PyPreConfig early;
    PyConfig config;
    PyStatus status;
    /* An isolated interpreter does not look at LANG, and would open text files in ASCII. */
    PyPreConfig_InitIsolatedConfig(&early);
    early.configure_locale = 1;
    status = Py_PreInitialize(&early);
    if (PyStatus_Exception(status))
        return failure_set(ret_failure, EIO, "Python", "cannot set the locale: %.140s",
                           status.err_msg != NULL ? status.err_msg : "unknown");
    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 1; /* SIGINT raises KeyboardInterrupt, SIGPIPE is ignored */
    config.write_bytecode = 0;
    config.pathconfig_warnings = 0;
    config.site_import = 1;
    /* What it takes itself for, whatever another python3 on the PATH would say, and whether it exists or not: beside it
     * Python looks for the file that says whose packages a virtual environment has. */
    snprintf(program, sizeof program, "%s/bin/python3", home);
    status = PyConfig_SetBytesString(&config, &config.program_name, program);
    if (!PyStatus_Exception(status))
        status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status))
        return failure_set(ret_failure, EIO, "Python", "cannot start the interpreter: %.140s",
                           status.err_msg != NULL ? status.err_msg : "unknown");
    return 0;
}

static bool is_below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* Without its packages Debian's alone would be served, and nobody would know why. */
static int check_home(const char *home, struct failure *ret_failure) {
    PyObject *path = PySys_GetObject("path");
    for (Py_ssize_t i = 0; path != NULL && PyList_Check(path) && i < PyList_Size(path); i++) {
        PyObject *item = PyList_GetItem(path, i);
        const char *text = PyUnicode_Check(item) ? PyUnicode_AsUTF8(item) : NULL;
        if (text != NULL && is_below(text, home))
            return 0;
    }
    PyErr_Clear();
    return failure_set(ret_failure, ENOENT, "Python",
                       "--venv: %.50s is no virtual environment for Python %d.%d: no pyvenv.cfg, or no "
                       "lib/python%d.%d/site-packages", home, PY_MAJOR_VERSION, PY_MINOR_VERSION, PY_MAJOR_VERSION, PY_MINOR_VERSION);
}

/* Executes one file of python/ as a module that those behind it can import. */
static int start_module(const struct embedded *file, PyObject *builtins, struct failure *ret_failure) {
    char filename[64];
    snprintf(filename, sizeof filename, "<python-executor/%s.py>", file->name);
    PyObject *code = Py_CompileString(file->text, filename, Py_file_input);
    PyObject *module = code != NULL ? PyImport_AddModule(file->name) : NULL; /* borrowed */
    PyObject *result = NULL;
    if (module != NULL) {
        runner = PyModule_GetDict(module); /* the last one stays */
        if (PyDict_SetItemString(runner, "__builtins__", builtins) == 0)
            result = PyEval_EvalCode(code, runner, runner);
    }
    int r = result == NULL ? failed(filename, ret_failure) : 0;
    Py_XDECREF(result);
    Py_XDECREF(code);
    return r;
}

static int start_runner(struct failure *ret_failure) {
    /* A copy: a script that empties builtins does not empty the runner's. */
    PyObject *builtins = PyDict_Copy(PyEval_GetBuiltins());
    int r = builtins == NULL ? failed("copying builtins", ret_failure) : 0;
    for (const struct embedded *file = embedded_modules; r == 0 && file->name != NULL; file++)
        r = start_module(file, builtins, ret_failure);
    Py_XDECREF(builtins);
    if (r < 0)
        return r;
    Py_INCREF(runner);
    /* No script can import them, nor are their names taken. */
    for (const struct embedded *file = embedded_modules; file->name != NULL; file++)
        if (PyDict_DelItemString(PyImport_GetModuleDict(), file->name) < 0)
            return failed(file->name, ret_failure);
    return 0;
}

/* A list of strings, or NULL with an exception. */
static PyObject *names_of(const char *modules) {
    PyObject *names = PyList_New(0);
    while (names != NULL && *modules != '\0') {
        size_t length = strcspn(modules, ",");
        PyObject *name = length > 0 ? PyUnicode_FromStringAndSize(modules, (Py_ssize_t)length) : NULL;
        if (length > 0 && (name == NULL || PyList_Append(names, name) < 0))
            Py_CLEAR(names);
        Py_XDECREF(name);
        modules += length + (modules[length] == ',');
    }
    return names;
}

static int import_modules(const char *modules, const char *folder, struct failure *ret_failure) {
    PyObject *names = names_of(modules);
    PyObject *result = names != NULL ? PyObject_CallFunction(runner_function("preload"), "Os", names, folder) : NULL;
    int r = result == NULL ? failed("importing --preload modules", ret_failure) : 0;
    Py_XDECREF(result);
    Py_XDECREF(names);
    return r;
}

bool python_wants(const char *modules) {
    PyObject *names = names_of(modules);
    PyObject *result = names != NULL ? PyObject_CallOneArg(runner_function("wants"), names) : NULL;
    bool wants = result != Py_False; /* a failure is told by who imports */
    PyErr_Clear();
    Py_XDECREF(result);
    Py_XDECREF(names);
    return wants;
}

int python_start(const char *venv, struct failure *ret_failure) {
    PyObjectArenaAllocator arenas = {.alloc = heap_arena, .free = heap_arena_free};
    char home[PATH_MAX];
    int r = find_home(venv, home, ret_failure);
    if (r < 0)
        return r;
    heap_begin();
    PyObject_SetArenaAllocator(&arenas);
    if ((r = start_interpreter(home, ret_failure)) < 0 || (r = check_home(home, ret_failure)) < 0 ||
        (r = start_runner(ret_failure)) < 0)
        return r;
    return call("prepare", ret_failure);
}

int python_import(const char *modules, const char *folder, struct failure *ret_failure) {
    int r = import_modules(modules, folder, ret_failure);
    return r < 0 ? r : call("prepare", ret_failure);
}

void python_settle(void) {
    heap_settle(PyObject_Malloc, PyObject_Free);
}

unsigned long python_version(void) {
    return Py_Version;
}

static size_t add_folder(const char **paths, size_t count, size_t max, const char *path) {
    struct stat info;
    if (path == NULL || path[0] != '/' || stat(path, &info) < 0 || !S_ISDIR(info.st_mode) || count >= max)
        return count;
    for (size_t i = 0; i < count; i++)
        if (is_below(path, paths[i]))
            return count;
    paths[count] = strdup(path);
    return paths[count] == NULL ? count : count + 1;
}

int python_folders(const char **ret_paths, size_t max) {
    PyObject *path = PySys_GetObject("path");
    size_t count = 0;
    if (path == NULL || !PyList_Check(path))
        return -EIO;
    for (Py_ssize_t i = 0; i < PyList_Size(path); i++) {
        PyObject *item = PyList_GetItem(path, i);
        if (PyUnicode_Check(item))
            count = add_folder(ret_paths, count, max, PyUnicode_AsUTF8(item));
    }
    return (int)count;
}

void python_before_fork(void) {
    PyOS_BeforeFork();
}

void python_after_fork_parent(void) {
    PyOS_AfterFork_Parent();
}

void python_after_fork_child(void) {
    PyOS_AfterFork_Child();
}

pid_t python_fork(void) {
    PyOS_BeforeFork();
    pid_t pid = fork();
    if (pid == 0)
        PyOS_AfterFork_Child();
    else
        PyOS_AfterFork_Parent();
    return pid < 0 ? -errno : pid;
}

int python_warm_up(bool rehearse) {
    int r = rehearse ? call("rehearse", NULL) : 0;
    return r < 0 ? r : call("reseed", NULL);
}

/* The runner's answer is a tuple (int, bytes, bytes, bytes), unless the script broke the runner. */
static int read_answer(PyObject *result, struct python_answer *ret_answer) {
    Py_ssize_t text_size, details_size, outputs_size;
    char *text, *details, *outputs;
    if (!PyTuple_Check(result) || PyTuple_Size(result) != 4)
        return -EIO;
    long kind = PyLong_AsLong(PyTuple_GetItem(result, 0));
    if (kind < FRAME_RESULT || kind > FRAME_EXITED ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(result, 1), &text, &text_size) < 0 ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(result, 2), &details, &details_size) < 0 ||
        PyBytes_AsStringAndSize(PyTuple_GetItem(result, 3), &outputs, &outputs_size) < 0)
        return -EIO;
    *ret_answer = (struct python_answer){.kind = (enum frame_kind)kind,
                                         .text = text,
                                         .text_size = (size_t)text_size,
                                         .details = details,
                                         .details_size = (size_t)details_size,
                                         .outputs = outputs,
                                         .outputs_size = (size_t)outputs_size,
                                         .owner = result};
    return 0;
}

/* Takes `size` bytes from the parts that are left, as a str. NULL where there are not so many, or with an exception. */
static PyObject *take_text(const char **parts, size_t *left, uint64_t size) {
    const char *text = *parts;
    if (size > *left)
        return NULL;
    *parts += size;
    *left -= size;
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)size, NULL);
}

/* The same for JSON; None where there is none. A new reference. */
static PyObject *take_json(const char **parts, size_t *left, uint64_t size) {
    return size == 0 ? Py_NewRef(Py_None) : take_text(parts, left, size);
}

int python_load(const struct job_order *order, const char *parts, size_t size) {
    const uint64_t lengths[] = {order->input_bytes, order->args_bytes, order->kwargs_bytes, order->files_bytes,
                                order->patterns_bytes};
    source = take_text(&parts, &size, order->script_bytes);
    texts = source != NULL ? PyList_New(0) : NULL;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] && texts != NULL; i++) {
        PyObject *text = take_json(&parts, &size, lengths[i]);
        if (text == NULL || PyList_Append(texts, text) < 0)
            texts = NULL;
        Py_XDECREF(text);
    }
    if (texts != NULL && size == 0)
        return 0;
    int r = PyErr_Occurred() != NULL && PyErr_ExceptionMatches(PyExc_MemoryError) ? -ENOMEM : -EINVAL;
    PyErr_Clear();
    return r;
}

int python_run(const struct job_order *order, struct python_answer *ret_answer) {
    PyObject *seed = (order->flags & JOB_SEED) != 0 ? PyLong_FromUnsignedLongLong(order->seed) : Py_NewRef(Py_None);
    PyObject *result = PyObject_CallFunction(
        runner_function("run"), "OnOOOOOnOO", source, (Py_ssize_t)order->result_bytes,
        (order->flags & JOB_DETAILS) != 0 ? Py_True : Py_False, (order->flags & JOB_CONVERT) != 0 ? Py_True : Py_False, texts, seed != NULL ? seed : Py_None,
        (order->flags & JOB_STDIN) != 0 ? Py_True : Py_False, (Py_ssize_t)order->output_bytes,
        (order->flags & JOB_FIGURES) != 0 ? Py_True : Py_False, (order->flags & JOB_STREAM) != 0 ? Py_True : Py_False);
    return result == NULL ? -EIO : read_answer(result, ret_answer);
}
