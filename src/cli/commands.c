/* The table of commands: see commands.h. Each runs as whoever calls it. */
#include "cli/commands.h"

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/doctor.h"
#include "cli/fit.h"
#include "cli/health.h"
#include "cli/keys.h"
#include "cli/manager.h"
#include "cli/run.h"
#include "cli/settings.h"
#include "cli/show.h"
#include "cli/status.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The children get the format that is decided here. */
static void start_log(struct config *config) {
    if (strcmp(config->log_format, "auto") == 0)
        snprintf(config->log_format, sizeof config->log_format, "%s", isatty(STDERR_FILENO) ? "text" : "json");
    log_detach();
    log_start("python-executor", config->log, config->log_format);
    if (config_is_on(config->log_scripts))
        log_warning("scripts are logged (--log-scripts): whoever reads the log reads them");
}

static int serve(int argc, char *const *argv) {
    struct settings settings;
    struct config *config = &settings.config;
    struct fit fit;
    char text[FIT_TEXT];
    if (settings_take(&settings, argc, argv) < 0)
        return EXIT_USAGE;
    signal(SIGPIPE, SIG_IGN); /* a closed standard output must not end the service */
    start_log(config);
    settings_warn_of_slips();
    fit_into_container(config, &fit);
    fit_describe(&fit, config, text);
    log_line(fit_is_met(&fit) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "%s", text);
    return manager_serve(config);
}

/* Without a flag that is no option of the configuration. Returns how many are left. */
static int take_flag(int argc, char *const *argv, const char *flag, char **ret_rest, bool *ret_found) {
    int count = 0;
    *ret_found = false;
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            *ret_found = true;
        else
            ret_rest[count++] = argv[i];
    ret_rest[count] = NULL;
    return count;
}

static int doctor(int argc, char *const *argv) {
    struct settings settings;
    struct fit fit;
    char *rest[argc + 1];
    bool json;
    int count = take_flag(argc, argv, "--json", rest, &json);
    if (settings_take(&settings, count, rest) < 0)
        return EXIT_USAGE;
    fit_into_container(&settings.config, &fit);
    return doctor_run(&settings.config, &fit, json);
}

static int health(int argc, char *const *argv) {
    struct health_target target;
    struct settings settings;
    char *rest[argc + 1];
    bool live;
    int count = take_flag(argc, argv, "--live", rest, &live);
    bool named = count > 0 && *rest[0] != '-';
    const char *url = named ? rest[0] : NULL;
    const char *path = live ? "/healthz" : "/readyz";
    if (settings_take(&settings, count - named, rest + named) < 0)
        return EXIT_USAGE;
    health_default_target(&settings.config, path, &target);
    if (url == NULL || health_parse_url(url, path, &target) == 0)
        return health_ask(&target);
    fprintf(stderr, "python-executor: health: '%.60s' is no URL for it, it takes http://HOST[:PORT][/PATH]\n"
                    "Try python-executor health --help.\n", url);
    return EXIT_USAGE;
}

static const struct exit_status health_statuses[] = {
    {0, "it answered 200", 0}, {1, "it answered something else, or not within 3 seconds", 0}, {EXIT_USAGE, "wrong usage", 0}, {0}};

static const struct command_option live_option[] = {{"live", NULL, "ask GET /healthz, whether it lives, and not whether it is ready", 0}, {0}};

static const struct exit_status serve_statuses[] = {
    {0, "a signal stopped it", 0}, {1, "it could not start or go on", 0}, {EXIT_USAGE, "wrong usage", 0}, {0}};

static const struct exit_status doctor_statuses[] = {
    {0, "it can be served here", 0}, {1, "it cannot", 0}, {EXIT_USAGE, "wrong usage", 0}, {0}};

static const struct exit_status key_statuses[] = {
    {0, "here is the key", 0}, {1, "there is none", 0}, {EXIT_USAGE, "wrong usage", 0}, {0}};

static const struct command_option json_option[] = {{"json", NULL, "print it as JSON", 0}, {0}};

const struct command commands[] = {
    {"serve", "[--OPTION VALUE ...]", "answers POST /execute over HTTP until SIGTERM; the default", NULL, NULL,
     serve_statuses, serve},
    {"run", "FILE [--OPTION VALUE ...]", "runs the one script in FILE, with the streams of this command",
     "FILE is a path, or - for standard input. What main() returns is printed as one line of JSON behind what the "
     "script prints, unless it is None; why it failed is told on stderr.\n\n"
     "Limits and the rest are options as those of serve. What is about HTTP or about many runs is without effect. "
     "--log is warning if nobody says otherwise, and of each stream 64 MiB are handed on.",
     run_options, run_statuses, run_script},
    {"doctor", "[--json] [--OPTION VALUE ...]", "shows which layers of confinement this platform grants, and tests them",
     NULL, json_option, doctor_statuses, doctor},
    {"health", "[URL] [--live] [--OPTION VALUE ...]", "asks the service that runs here whether it is ready, by GET /readyz",
     "Without a URL it asks where serve listens with the same options and environment: --host and --port. A URL is "
     "http://HOST[:PORT][/PATH].",
     live_option, health_statuses, health},
    {"config", "[--json | --check FILE] [--OPTION VALUE ...]", "prints what is in force, and who said so",
     "It reads what serve reads in the same place with the same flags: the file, the environment, the flags. What it "
     "prints is a configuration file itself, which has behind each value where that is from.",
     show_options, show_statuses, show_config},
    {"key", "NAME [rate=N/s|rate=N/min] [burst=N] [concurrent=N]", "makes a bearer key for one who calls",
     "The key is shown once, on stderr. On stdout is the line for the file that serve --keys reads, which holds a hash only: "
     "python-executor key alice rate=10/s >>keys",
     NULL, key_statuses, keys_make},
};
const size_t command_count = sizeof commands / sizeof commands[0];

const struct command *command_find(const char *name) {
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
