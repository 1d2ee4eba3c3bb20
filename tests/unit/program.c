/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "tests/unit/program.h"
#include "tests/unit/txn_wait.h"

char program_directory[64], program_server_path[100];
static struct endpoint endpoint;
static struct conf conf;
static struct body_spool *spool;
struct lmtp_server *program_server;
struct program_seen program_seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
note_message(const struct txn *txn)
{
	char octets[5000];
	ssize_t got;

	pthread_mutex_lock(&program_seen.lock);
	buf_clear(&program_seen.content);
	while ((got = body_read(txn->body, program_seen.content.length, octets, sizeof(octets))) >
	    0)
		buf_add(&program_seen.content, octets, (size_t)got);
	snprintf(program_seen.envelope, sizeof(program_seen.envelope), "<%s>%s%s",
	    txn->sender.mailbox, txn->smtputf8 ? " utf8" : "", txn->body_8bitmime ? " 8bit" : "");
	pthread_mutex_unlock(&program_seen.lock);
	program_seen.groups++;
}

void
program_look(void)
{
	pthread_mutex_lock(&program_seen.lock);
	pthread_mutex_unlock(&program_seen.lock);
}

static void
deliver(void *context, struct txn *txn, struct group *group)
{
	size_t i;

	(void)context;
	note_message(txn);
	for (i = 0; i < group->count; i++) {
		const char *wish = group->rcpts[i]->address.mailbox;
		char enhanced[10] = "2.0.0";
		int code = 250;
		struct reply reply;

		if (strncmp(wish, "wait@", 5) == 0)
			program_seen.abandoned = txn_wait_abandoned(txn, PATIENCE_MS);
		else if (strncmp(wish, "gated@", 6) == 0 &&
		    !txn_wait_open(txn, &program_seen.gate_open, PATIENCE_MS))
			abort();
		else if (sscanf(wish, "%d-%9[0-9.]", &code, enhanced) == 1)
			enhanced[0] = '\0';
		reply_set(&reply, code, enhanced, "for %s", wish);
		txn_settle(txn, group->rcpts[i], &reply);
	}
}

int
program_setup(void **state)
{
	static char hostname[] = "out.example";
	const char *why;
	int listener;

	(void)state;
	strcpy(program_directory, "/tmp/stsgate-deliver-XXXXXX");
	if (mkdtemp(program_directory) == NULL)
		return -1;
	snprintf(program_server_path, sizeof(program_server_path), "%s/sock", program_directory);
	conf = (struct conf){ .hostname = hostname };
	conf.lmtp.reply_length = REPLY_LINE_MAX;
	conf.lmtp.max_sessions = conf.lmtp.max_recipients = conf.lmtp.parallel_domains = 20;
	conf.lmtp.max_message_size = 3000000;
	conf.lmtp.transaction_time = 20000;
	program_seen.groups = 0;
	program_seen.abandoned = program_seen.gate_open = false;
	spool = body_spool_new(program_directory, 64 << 20);
	program_server = lmtp_server_new(&conf, spool, deliver, NULL);
	if (endpoint_parse(program_server_path, &endpoint, &why) != 0)
		return -1;
	listener = endpoint_listen(&endpoint, 0600, (gid_t)-1, 8);
	return listener < 0 ? -1 : lmtp_server_listen(program_server, listener, false);
}

int
program_teardown(void **state)
{
	(void)state;
	(void)lmtp_server_drain(program_server, deadline_in(PATIENCE_MS));
	lmtp_server_free(program_server);
	body_spool_free(spool);
	buf_free(&program_seen.content);
	unlink(program_server_path);
	return rmdir(program_directory);
}

int
program_file(const char *text, size_t length)
{
	char name[100];
	int fd;

	snprintf(name, sizeof(name), "%s/file-XXXXXX", program_directory);
	fd = mkstemp(name);
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, text, length), length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

pid_t
program_spawn(const char *const *words, int in, int out, int errors)
{
	char *arguments[WORDS_MAX + 2] = { NULL };
	size_t i;
	pid_t child;

	program_look();
	for (i = 0; words[i] != NULL; i++) {
		assert_true(i < WORDS_MAX);
		arguments[i + 1] = xstrdup(words[i]);
	}
	arguments[0] = xstrdup(PROGRAM);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(in, 0);
		dup2(out, 1);
		dup2(errors, 2);
		for (i = 3; i < 256; i++)
			close((int)i);
		execv(PROGRAM, arguments);
		_exit(127);
	}
	for (i = 0; arguments[i] != NULL; i++)
		free(arguments[i]);
	return child;
}

int
program_await(pid_t child)
{
	int status, waited;

	for (waited = 0; waited < PATIENCE_MS; waited += 10) {
		pid_t ended = waitpid(child, &status, WNOHANG);

		assert_true(ended >= 0);
		if (ended == child)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		usleep(10 * 1000);
	}
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	fail_msg("stsgate-deliver does not end");
	return -1;
}

static void
read_back(int fd, char *text, size_t room)
{
	ssize_t got = pread(fd, text, room - 1, 0);

	assert_true(got >= 0);
	text[got] = '\0';
	close(fd);
}

void
program_run_stdin(struct program_run *run, const char *const *words, int in)
{
	int out = program_file("", 0), errors = program_file("", 0);

	run->status = program_await(program_spawn(words, in, out, errors));
	program_look();
	close(in);
	read_back(out, run->out, sizeof(run->out));
	read_back(errors, run->errors, sizeof(run->errors));
}

void
program_run(struct program_run *result, const char *const *words, const char *message)
{
	program_run_stdin(result, words, program_file(message, strlen(message)));
}

bool
program_sees(const _Atomic int *value)
{
	int i;

	for (i = 0; i < 300 && *value == 0; i++)
		usleep(10 * 1000);
	return *value != 0;
}

bool
program_sees_flag(const _Atomic bool *flag)
{
	int i;

	for (i = 0; i < 300 && !*flag; i++)
		usleep(10 * 1000);
	return *flag;
}
