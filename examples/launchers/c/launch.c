/*
 * A small launcher in C, with sd-bus: runs a command in a container, as long as both live.
 *
 * Usage: launch [--session-bus] APP-ID COMMAND [ARGUMENT]...
 *
 * The app writes to this program's standard output and error. SIGTERM and SIGINT end the app. This program ends with
 * the app's exit status, or 128 and the signal that ended it; the container goes with it, however it ends.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define NAME "com.pelagicore.SoftwareContainerAgent"
#define PATH "/com/pelagicore/SoftwareContainerAgent"
#define MANAGER NAME ".Manager"

struct launcher {
    sd_bus *bus;
    sd_event *event;
    const char *app;
    int32_t container;
    uint32_t process;
    bool started;
};

static int failed(const char *what, int error, const sd_bus_error *details)
{
    const char *text = details && details->message ? details->message : strerror(-error);
    fprintf(stderr, "%s: %s\n", what, text);
    return error;
}

static int subscribe(struct launcher *self)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_call_method(self->bus, NAME, PATH, MANAGER, "Subscribe", &error, NULL, NULL);
    if (r < 0)
        failed("Subscribe", r, &error);
    sd_bus_error_free(&error);
    return r;
}

/* Reads "reason" and "advice" of ProcessEnded's last argument. */
static int read_details(sd_bus_message *message, const char **reason, const char **advice)
{
    int r = sd_bus_message_enter_container(message, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(message, 'e', "sv")) > 0) {
        const char *key = NULL;
        const char **value = NULL;
        r = sd_bus_message_read(message, "s", &key);
        if (r >= 0 && strcmp(key, "reason") == 0)
            value = reason;
        else if (r >= 0 && strcmp(key, "advice") == 0)
            value = advice;
        if (r >= 0)
            r = value ? sd_bus_message_read(message, "v", "s", value) : sd_bus_message_skip(message, "v");
        if (r >= 0)
            r = sd_bus_message_exit_container(message);
    }
    return r;
}

static int on_ended(sd_bus_message *message, void *data, sd_bus_error *error)
{
    struct launcher *self = data;
    int32_t container;
    uint32_t process, status;
    const char *reason = "", *advice = NULL;
    (void)error;
    if (sd_bus_message_read(message, "iuu", &container, &process, &status) < 0 || read_details(message, &reason, &advice) < 0)
        return 0;
    if (!self->started || container != self->container || process != self->process)
        return 0;
    int own = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) {
        own = 128 + WTERMSIG(status);
        fprintf(stderr, "%s: ended by signal %d (%s)", self->app, WTERMSIG(status), reason);
    } else {
        fprintf(stderr, "%s: ended with status %d", self->app, own);
    }
    fprintf(stderr, "%s%s\n", advice ? ": " : "", advice ? advice : "");
    return sd_event_exit(self->event, own);
}

/* Whether the agent still knows the process. */
static bool is_running(struct launcher *self)
{
    char path[128];
    sd_bus_message *reply = NULL;
    bool found = false;
    snprintf(path, sizeof path, PATH "/containers/%d", self->container);
    if (sd_bus_get_property(self->bus, NAME, path, NAME ".Container", "Processes", NULL, &reply, "a(ust)") >= 0) {
        uint32_t process;
        const char *command;
        uint64_t since;
        int r = sd_bus_message_enter_container(reply, 'a', "(ust)");
        while (r >= 0 && sd_bus_message_read(reply, "(ust)", &process, &command, &since) > 0)
            found = found || process == self->process;
    }
    sd_bus_message_unref(reply);
    return found;
}

/* The agent has left the bus, or a new one is there, which may go on with the container or not. */
static int on_owner(sd_bus_message *message, void *data, sd_bus_error *error)
{
    struct launcher *self = data;
    const char *name, *old, *new;
    (void)error;
    if (!self->started || sd_bus_message_read(message, "sss", &name, &old, &new) < 0)
        return 0;
    if (*new == '\0') {
        fprintf(stderr, "%s: the agent is gone; waiting for the next one\n", self->app);
        return 0;
    }
    subscribe(self);
    if (is_running(self))
        return 0;
    fprintf(stderr, "%s: ended while the agent was restarted\n", self->app);
    return sd_event_exit(self->event, 128 + SIGKILL);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *signal, void *data)
{
    struct launcher *self = data;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    (void)source;
    (void)signal;
    int r = sd_bus_call_method(self->bus, NAME, PATH, MANAGER, "Signal", &error, NULL, "iui", self->container, self->process, SIGTERM);
    /* It may have ended by itself. */
    if (r < 0)
        failed("Signal", r, &error);
    sd_bus_error_free(&error);
    return 0;
}

static int create(struct launcher *self, sd_bus_error *error)
{
    sd_bus_message *reply = NULL;
    const char *path;
    /* "bound": if this program dies, the agent removes the container. */
    int r = sd_bus_call_method(self->bus, NAME, PATH, MANAGER, "CreateNamed", error, &reply, "ssa{sv}",
                               "[{\"writeBufferEnabled\": false}]", self->app, 1, "bound", "b", 1);
    if (r >= 0)
        r = sd_bus_message_read(reply, "io", &self->container, &path);
    sd_bus_message_unref(reply);
    return r;
}

static int execute(struct launcher *self, char **command, sd_bus_error *error)
{
    sd_bus_message *call = NULL, *reply = NULL;
    int r = sd_bus_message_new_method_call(self->bus, &call, NAME, PATH, MANAGER, "ExecuteWithFds");
    if (r >= 0)
        r = sd_bus_message_append(call, "i", self->container);
    if (r >= 0)
        r = sd_bus_message_append_strv(call, command);
    if (r >= 0)
        r = sd_bus_message_append(call, "a{uh}", 2, 1, STDOUT_FILENO, 2, STDERR_FILENO);
    if (r >= 0)
        r = sd_bus_message_append(call, "a{sv}", 0);
    if (r >= 0)
        r = sd_bus_call(self->bus, call, 0, error, &reply);
    if (r >= 0)
        r = sd_bus_message_read(reply, "u", &self->process);
    self->started = r >= 0;
    if (self->started)
        fprintf(stderr, "%s: process %u in container %d\n", self->app, self->process, self->container);
    sd_bus_message_unref(reply);
    sd_bus_message_unref(call);
    return r;
}

static int start(struct launcher *self, bool session_bus, char **command)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    int r = sd_event_default(&self->event);
    if (r >= 0)
        r = session_bus ? sd_bus_open_user(&self->bus) : sd_bus_open_system(&self->bus);
    if (r >= 0)
        r = sd_bus_attach_event(self->bus, self->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_match_signal(self->bus, NULL, NAME, PATH, MANAGER, "ProcessEnded", on_ended, self);
    if (r >= 0)
        r = sd_bus_add_match(self->bus, NULL,
                             "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" NAME "'", on_owner, self);
    /* Signals of this interface are sent to those alone who ask for them. */
    if (r >= 0)
        r = subscribe(self);
    if (r >= 0)
        r = create(self, &error);
    /* Its end is handled in the event loop, after this. */
    if (r >= 0)
        r = execute(self, command, &error);
    if (r >= 0)
        r = sd_event_add_signal(self->event, NULL, SIGTERM, on_signal, self);
    if (r >= 0)
        r = sd_event_add_signal(self->event, NULL, SIGINT, on_signal, self);
    if (r < 0)
        failed(self->app, r, &error);
    sd_bus_error_free(&error);
    return r;
}

int main(int count, char **arguments)
{
    struct launcher self = { 0 };
    bool session_bus = count > 1 && strcmp(arguments[1], "--session-bus") == 0;
    char **words = arguments + (session_bus ? 2 : 1);
    if (count - (words - arguments) < 2) {
        fprintf(stderr, "Usage: launch [--session-bus] APP-ID COMMAND [ARGUMENT]...\n");
        return 2;
    }
    self.app = words[0];
    int status = 125;
    if (start(&self, session_bus, words + 1) >= 0)
        status = sd_event_loop(self.event);
    sd_bus_flush_close_unref(self.bus);
    sd_event_unref(self.event);
    return status < 0 ? 125 : status;
}
