/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "report/command.h"

#define SAID_ROOM	160
#define LOOK_MS	50	/* how often it is looked whether it has ended */

struct child {
	const struct command_run *run;
	pid_t pid;
	int in, out;	/* its standard input, its output and errors; -1: closed */
	size_t written;
	char said[SAID_ROOM];	/* its first line, or what there is of it */
	size_t said_length;
};

static void
close_end(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static char **
split(struct arena *arena, const struct command_run *run)
{
	size_t i, count = 0, room = strlen(run->line) / 2 + 2;
	char **words, *line = arena_strdup(arena, run->line), *word, *state;

	for (i = 0; run->more[i] != NULL; i++)
		room++;
	words = arena_array(arena, room, sizeof(*words));
	for (word = strtok_r(line, " ", &state); word != NULL; word = strtok_r(NULL, " ", &state))
		words[count++] = word;
	for (i = 0; run->more[i] != NULL; i++)
		words[count++] = arena_strdup(arena, run->more[i]);
	return words;
}

/* A process group of its own, so that it can be killed with its children; no signal is blocked or
 * ignored there for our reasons. */
static int
spawn(struct child *child, char **words, int in, int out)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	char *environment[] = { path, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	int error;

	(void)sigemptyset(&none);
	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE);
	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attributes);
	(void)posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	(void)posix_spawnattr_setflags(&attributes,
	    POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &defaults);
	error = posix_spawn(&child->pid, words[0], &actions, &attributes, words, environment);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return error;
}

/* Sockets, since writing to one with a closed other end need not raise a signal. */
static int
start(struct child *child)
{
	struct arena *arena = arena_new();
	int in[2], out[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) != 0) {
		error = errno;
		goto out;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) != 0) {
		error = errno;
		close_end(&in[0]);
		close_end(&in[1]);
		goto out;
	}
	child->in = in[0];
	child->out = out[0];
	error = spawn(child, split(arena, child->run), in[1], out[1]);
	close_end(&in[1]);
	close_end(&out[1]);
out:
	arena_free(arena);
	return error;
}

static void
write_some(struct child *child)
{
	const char *octets = child->run->input;
	ssize_t length = send(child->in, octets + child->written,
	    child->run->length - child->written, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (length > 0)
		child->written += (size_t)length;
	if (child->written == child->run->length ||
	    (length < 0 && errno != EAGAIN && errno != EINTR))
		close_end(&child->in);
}

static void
read_some(struct child *child)
{
	char octets[1024];
	ssize_t i, length = recv(child->out, octets, sizeof(octets), MSG_DONTWAIT);

	for (i = 0; i < length && child->said_length + 1 < sizeof(child->said); i++)
		child->said[child->said_length++] = octets[i];
	if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR))
		close_end(&child->out);
}

/* Feeds it and hears it until it has ended. false: it was not to go on. */
static bool
attend(struct child *child, int *status)
{
	const struct command_run *run = child->run;

	pid_t got;

	while ((got = waitpid(child->pid, status, WNOHANG)) == 0) {
		struct pollfd ends[] = { { .fd = child->in, .events = POLLOUT },
			{ .fd = child->out, .events = POLLIN } };

		if (deadline_passed(run->deadline) || wait_is_over(&run->watch))
			return false;
		(void)poll(ends, 2, LOOK_MS);
		if (ends[0].revents != 0)
			write_some(child);
		if (ends[1].revents != 0)
			read_some(child);
	}
	if (child->out >= 0)
		read_some(child);
	return got == child->pid;
}

static int
judge(struct child *child, bool ended, int status, char *why, size_t why_room)
{
	size_t i;

	child->said[strcspn(child->said, "\r\n")] = '\0';
	for (i = 0; child->said[i] != '\0'; i++)
		if (child->said[i] < 0x20 || child->said[i] > 0x7e)
			child->said[i] = '?';
	if (!ended)
		(void)snprintf(why, why_room, "did not end in time");
	else if (WIFSIGNALED(status))
		(void)snprintf(why, why_room, "was killed by signal %d", WTERMSIG(status));
	else
		(void)snprintf(why, why_room, "exit status %d%s%s", WEXITSTATUS(status),
		    child->said[0] != '\0' ? ": " : "", child->said);
	return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
command_run(const struct command_run *run, char *why, size_t why_room)
{
	struct child child = { .run = run, .in = -1, .out = -1 };
	int status = 0, error = start(&child);
	bool ended;

	if (error == 0) {
		ended = attend(&child, &status);
		if (!ended) {
			(void)kill(-child.pid, SIGKILL);
			(void)waitpid(child.pid, &status, 0);
		}
		error = judge(&child, ended, status, why, why_room);
	} else {
		(void)snprintf(why, why_room, "cannot be run: %s", strerrordesc_np(error));
		error = -1;
	}
	close_end(&child.in);
	close_end(&child.out);
	return error;
}
