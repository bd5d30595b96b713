/* The command: python-executor [serve] [options], and run, and doctor. */
#include "base/config.h"
#include "base/log.h"
#include "cli/doctor.h"
#include "cli/manager.h"
#include "cli/run.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static void print_help(void) {
    printf("Runs Python scripts that nobody trusts, each in a fresh, confined process.\n\n"
           "usage: python-executor [serve] [--OPTION VALUE ...]\n"
           "       python-executor run FILE [--OPTION VALUE ...]\n"
           "       python-executor doctor [--json] [--OPTION VALUE ...]\n"
           "       python-executor --help | --version\n\n"
           "serve     answers POST /execute over HTTP until SIGTERM; the default\n"
           "run       runs the one script in FILE, with the streams of this command: run --help\n"
           "doctor    shows which layers of confinement this platform grants, and tests them\n\n"
           "An option is a flag or an environment variable; the flag wins.\n\n");
    config_print_help(stdout);
    printf("\nExit status of serve: 0 stopped by a signal, 1 could not start or go on, 2 wrong usage.\n"
           "Exit status of doctor: 0 it can be served here, 1 it cannot, 2 wrong usage.\n");
}

static int take_options(int argc, char **argv, struct config *ret_config) {
    struct failure failure;
    config_init(ret_config);
    if (config_from_environment(ret_config, &failure) == 0 && config_from_args(ret_config, argc, argv, &failure) == 0 &&
        config_check(ret_config, &failure) == 0)
        return 0;
    fprintf(stderr, "python-executor: %s: %s\nTry python-executor --help.\n", failure.stage, failure.text);
    return -1;
}

static int serve(int argc, char **argv) {
    struct config config;
    if (take_options(argc, argv, &config) < 0)
        return EXIT_USAGE;
    log_start("python-executor", config.log);
    return manager_serve(&config);
}

static int doctor(int argc, char **argv) {
    struct config config;
    bool json = false;
    int count = 0;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            argv[count++] = argv[i];
    if (take_options(count, argv, &config) < 0)
        return EXIT_USAGE;
    return doctor_run(&config, json);
}

/* Started with a standard stream closed, the next descriptor opened would take its number, and what is
 * written to the stream would go there. */
static void fill_standard_streams(void) {
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

int main(int argc, char **argv) {
    fill_standard_streams();
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return run_script(argc - 2, argv + 2);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            print_help();
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--version") == 0) {
            printf("python-executor %s\n", PX_VERSION);
            return EXIT_SUCCESS;
        }
    }
    if (argc > 1 && strcmp(argv[1], "doctor") == 0)
        return doctor(argc - 2, argv + 2);
    bool named = argc > 1 && strcmp(argv[1], "serve") == 0;
    return serve(argc - 1 - named, argv + 1 + named);
}
