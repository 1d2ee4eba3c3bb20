/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Runs stsgate-deliver itself, from the build directory, against an LMTP server in this process. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "shim/lmtp_server.h"

#define PROGRAM	"./stsgate-deliver"
#define WORDS_MAX	12
#define PATIENCE_MS	8000
#define MESSAGE	"Subject: piped\n\n.dot\nGood day.\n"

static char directory[64], server_path[100];
static struct endpoint endpoint;
static struct conf conf;
static struct spool *spool;
static struct lmtp_server *server;

static struct {
	pthread_mutex_t lock;
	struct buf content;
	char envelope[200];
	_Atomic int groups;
	_Atomic bool abandoned;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
note_message(const struct txn *txn)
{
	char octets[5000];
	ssize_t got;

	pthread_mutex_lock(&seen.lock);
	buf_clear(&seen.content);
	while ((got = body_read(txn->body, seen.content.length, octets, sizeof(octets))) > 0)
		buf_add(&seen.content, octets, (size_t)got);
	snprintf(seen.envelope, sizeof(seen.envelope), "<%s>%s%s", txn->sender.mailbox,
	    txn->smtputf8 ? " utf8" : "", txn->body_8bitmime ? " 8bit" : "");
	pthread_mutex_unlock(&seen.lock);
	seen.groups++;
}

/* From one look to the next, what deliver has noted down is the test's to read. */
static void
look(void)
{
	pthread_mutex_lock(&seen.lock);
	pthread_mutex_unlock(&seen.lock);
}

/* "550-5.1.1@b.example" is answered just so; "wait" until the transaction is abandoned; "slow"
 * after 300 ms; everybody else gets the message. */
static void
deliver(void *context, struct txn *txn, struct group *group)
{
	struct pollfd abandoned = { .fd = txn_abandoned_fd(txn), .events = POLLIN };
	size_t i;

	(void)context;
	note_message(txn);
	for (i = 0; i < group->count; i++) {
		const char *wish = group->rcpts[i]->address.mailbox;
		char enhanced[10] = "2.0.0";
		int code = 250;
		struct reply reply;

		if (strncmp(wish, "wait@", 5) == 0)
			seen.abandoned = poll(&abandoned, 1, PATIENCE_MS) == 1;
		else if (strncmp(wish, "slow@", 5) == 0)
			usleep(300 * 1000);
		else if (sscanf(wish, "%d-%9[0-9.]", &code, enhanced) == 1)
			enhanced[0] = '\0';
		reply_set(&reply, code, enhanced, "for %s", wish);
		txn_settle(txn, group->rcpts[i], &reply);
	}
}

static int
setup(void **state)
{
	static char hostname[] = "out.example";
	const char *why;
	int listener;

	(void)state;
	strcpy(directory, "/tmp/stsgate-deliver-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(server_path, sizeof(server_path), "%s/sock", directory);
	conf = (struct conf){ .hostname = hostname };
	conf.lmtp.max_sessions = conf.lmtp.max_recipients = conf.lmtp.parallel_domains = 20;
	conf.lmtp.max_message_size = 3000000;
	conf.lmtp.transaction_time = 20000;
	seen.groups = 0;
	seen.abandoned = false;
	spool = spool_new(directory, 64 << 20);
	server = lmtp_server_new(&conf, spool, deliver, NULL);
	if (endpoint_parse(server_path, &endpoint, &why) != 0)
		return -1;
	listener = endpoint_listen(&endpoint, 0600, (gid_t)-1, 8);
	return listener < 0 ? -1 : lmtp_server_listen(server, listener, false);
}

static int
teardown(void **state)
{
	(void)state;
	(void)lmtp_server_drain(server, deadline_in(PATIENCE_MS));
	lmtp_server_free(server);
	spool_free(spool);
	buf_free(&seen.content);
	unlink(server_path);
	return rmdir(directory);
}

struct run {
	int status;	/* exit status, or -signal */
	char out[20000], errors[4000];
};

/* An unlinked file that holds text. */
static int
file_with(const char *text, size_t length)
{
	char name[100];
	int fd;

	snprintf(name, sizeof(name), "%s/file-XXXXXX", directory);
	fd = mkstemp(name);
	assert_true(fd >= 0);
	unlink(name);
	assert_int_equal(write(fd, text, length), length);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static pid_t
spawn(const char *const *words, int in, int out, int errors)
{
	char *arguments[WORDS_MAX + 2] = { NULL };
	size_t i;
	pid_t child;

	look();
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

static int
await(pid_t child)
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

static void
run_with_stdin(struct run *run, const char *const *words, int in)
{
	int out = file_with("", 0), errors = file_with("", 0);

	run->status = await(spawn(words, in, out, errors));
	look();
	close(in);
	read_back(out, run->out, sizeof(run->out));
	read_back(errors, run->errors, sizeof(run->errors));
}

static void
run(struct run *result, const char *const *words, const char *message)
{
	run_with_stdin(result, words, file_with(message, strlen(message)));
}

#define WORDS(...)	((const char *const[]){ __VA_ARGS__, NULL })
#define TO_SERVER	"-s", server_path

static void
test_exit_status(void **state)
{
	static const struct {
		const char *rcpt;
		int status;
		const char *line;
	} cases[] = {
		{ "ok@b.example", EX_OK, "250 2.0.0 for ok@b.example\n" },
		{ "450-4.2.1@b.example", EX_TEMPFAIL, "450 4.2.1 " },
		{ "421-4.3.2@b.example", EX_TEMPFAIL, "451 4.3.2 " },
		{ "451-@b.example", EX_TEMPFAIL, "451 " },
		{ "550-5.1.2@b.example", EX_NOHOST, "550 5.1.2 " },
		{ "550-5.1.1@b.example", EX_NOUSER, "550 5.1.1 " },
		{ "556-5.1.10@b.example", EX_NOUSER, "556 5.1.10 " },
		{ "550-5.1.20@b.example", EX_NOUSER, "550 5.1.20 " },
		{ "550-5.7.1@b.example", EX_NOPERM, "550 5.7.1 " },
		{ "552-5.2.2@b.example", EX_NOPERM, "552 5.2.2 " },
		{ "550-5.10.2@b.example", EX_NOPERM, "550 5.10.2 " },
		{ "554-@b.example", EX_NOPERM, "554 for " },
		{ "nobody", EX_NOUSER, "553 5.1.3 " },
		{ "", EX_NOUSER, "553 5.1.3 " },
	};
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(&result, WORDS(TO_SERVER, "-f", "s@a.example", cases[i].rcpt), MESSAGE);
		if (result.status != cases[i].status)
			fail_msg("%s: status %d, %s", cases[i].rcpt, result.status, result.out);
		assert_memory_equal(result.out, cases[i].line, strlen(cases[i].line));
		assert_ptr_equal(strchr(result.out, '\n'), result.out + strlen(result.out) - 1);
	}
}

static void
test_all_or_none(void **state)
{
	static const struct {
		const char *first, *second, *third;
		int status, lines, groups;
	} cases[] = {
		{ "ok@b.example", "ok@c.example", "ok@b.example", EX_OK, 3, 2 },
		{ "ok@b.example", "450-4.7.1@c.example", "550-5.1.1@d.example", EX_TEMPFAIL, 3, 3 },
		{ "550-5.1.1@b.example", "550-5.1.1@c.example", "550-5.1.3@c.example",
		    EX_NOUSER, 3, 2 },
		{ "550-5.1.1@b.example", "550-5.1.2@c.example", "550-5.1.1@c.example",
		    EX_NOPERM, 3, 2 },
		{ "550-5.1.2@b.example", "550-5.1.2@c.example", "ok@c.example", EX_NOHOST, 3, 2 },
		{ "550-5.7.1@b.example", "ok@c.example", "550-5.1.1@c.example", EX_NOPERM, 3, 2 },
		/* Refused by stsgated itself: then none of them gets it. */
		{ "ok@b.example", "nobody", "ok@c.example", EX_NOUSER, 1, 0 },
	};
	struct run result;
	size_t i;
	int lines;
	const char *at;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		seen.groups = 0;
		run(&result, WORDS(TO_SERVER, "--all-or-none", "-f", "s@a.example", "--",
		    cases[i].first, cases[i].second, cases[i].third), MESSAGE);
		for (lines = 0, at = result.out; *at != '\0'; at++)
			lines += *at == '\n';
		if (result.status != cases[i].status || lines != cases[i].lines)
			fail_msg("case %zu: status %d, %s", i, result.status, result.out);
		assert_int_equal(seen.groups, cases[i].groups);
	}
}

static void
test_content(void **state)
{
	static const struct {
		const char *raw, *content;
	} cases[] = {
		{ "Subject: x\n\nbody\n", "Subject: x\r\n\r\nbody\r\n" },
		{ "Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n" },
		{ "Subject: x\n\nbody", "Subject: x\r\n\r\nbody\r\n" },
		{ "Subject: x\n\n.\n..\n.a\n", "Subject: x\r\n\r\n.\r\n..\r\n.a\r\n" },
		{ ".", ".\r\n" }, { "", "" }, { "a\rb\n\r", "ab\r\n" },
		{ "a\n.\nMAIL FROM:<evil@x.example>\n",
		    "a\r\n.\r\nMAIL FROM:<evil@x.example>\r\n" },
	};
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(&result, WORDS(TO_SERVER, "-f", "s@a.example", "r@b.example"), cases[i].raw);
		assert_int_equal(result.status, EX_OK);
		assert_string_equal(buf_text(&seen.content), cases[i].content);
	}
}

static void
test_big_content(void **state)
{
	static const char digits[] = "0123456789.123456789.123456789.123456789.123456789";
	struct buf raw = { 0 }, content = { 0 };
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < 60000; i++) {	/* lines of all lengths, cut by every buffer on the way */
		buf_printf(&raw, ".%.*s\n", (int)(i % 47), digits);
		buf_printf(&content, ".%.*s\r\n", (int)(i % 47), digits);
	}
	buf_add_text(&raw, "one long line:");
	buf_add_text(&content, "one long line:");
	for (i = 0; i < 100000; i++) {
		buf_add_text(&raw, " again");
		buf_add_text(&content, " again");
	}
	buf_add_text(&content, "\r\n");
	run_with_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"),
	    file_with(raw.data, raw.length));
	assert_int_equal(result.status, EX_OK);
	assert_int_equal(seen.content.length, content.length);
	assert_memory_equal(seen.content.data, content.data, content.length);
	buf_free(&raw);
	/* Too much: the size is announced, and nothing is sent. */
	seen.groups = 0;
	assert_true(content.length < 3000000);
	while (content.length <= 3000000)
		buf_printf(&content, "%s\n", digits);
	run_with_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"),
	    file_with(content.data, content.length));
	assert_int_equal(result.status, EX_NOPERM);
	assert_memory_equal(result.out, "552 5.3.4 ", 10);
	assert_int_equal(seen.groups, 0);
	buf_free(&content);
}

static void
test_envelope(void **state)
{
	static const struct {
		const char *sender, *rcpt, *message, *envelope;
	} cases[] = {
		{ "s@a.example", "r@b.example", MESSAGE, "<s@a.example>" },
		{ "<s@a.example>", "<r@b.example>", MESSAGE, "<s@a.example>" },
		{ "", "r@b.example", MESSAGE, "<>" },
		{ "<>", "r@b.example", MESSAGE, "<>" },
		{ "\"a > b\"@a.example", "r@b.example", MESSAGE, "<\"a > b\"@a.example>" },
		{ "s@a.example", "r@b.example", "Subject: x\n\n\xc3\xa4\n", "<s@a.example> 8bit" },
		{ "", "r@b.example", "Subject: \xc3\xa4\n\nx\n", "<> utf8 8bit" },
		{ "", "\xc3\xa4@b.example", "Subject: x\n\nx\n", "<> utf8" },
		{ "\xc3\xa4@a.example", "r@b.example", MESSAGE, "<\xc3\xa4@a.example> utf8" },
	};
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(&result, WORDS(TO_SERVER, "-f", cases[i].sender, cases[i].rcpt),
		    cases[i].message);
		assert_int_equal(result.status, EX_OK);
		assert_string_equal(seen.envelope, cases[i].envelope);
	}
}

static void
test_no_injection(void **state)
{
	static const char *const bad[] = {
		"a@b.example>\r\nRCPT TO:<evil@x.example", "a@b.example\nDATA",
		"a@b.example> SIZE=1", "<a@b.example", "\"a@b.example>", "a\x7f@b.example",
	};
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		run(&result, WORDS(TO_SERVER, "-f", bad[i], "r@b.example"), MESSAGE);
		assert_int_equal(result.status, EX_NOUSER);
		assert_memory_equal(result.out, "553 5.1.7 ", 10);
		run(&result, WORDS(TO_SERVER, "-f", "s@a.example", bad[i]), MESSAGE);
		assert_int_equal(result.status, EX_NOUSER);
		assert_memory_equal(result.out, "553 5.1.3 ", 10);
	}
	assert_int_equal(seen.groups, 0);
}

static void
test_usage(void **state)
{
	static const char *const cases[][6] = {
		{ NULL }, { "a@b.example" }, { "-f", "a@b.example" }, { "-f" },
		{ "-f", "a@b.example", "c@d.example", "e@f.example" },
		{ "-x", "-f", "a@b.example", "c@d.example" },
		{ "--all-or-nothing", "-f", "a@b.example", "c@d.example" },
		{ "-s", "nonsense:x", "-f", "a@b.example", "c@d.example" },
		{ "-s", "inet:127.0.0.1", "-f", "a@b.example", "c@d.example" },
		{ "--lmtp", "c@d.example" }, { "--lmtp", "-f", "a@b.example" },
		/* What follows a recipient is a recipient: options end there. */
		{ "-f", "a@b.example", "c@d.example", "--all-or-none" },
	};
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run(&result, cases[i], MESSAGE);
		assert_int_equal(result.status, EX_USAGE);
		assert_string_not_equal(result.errors, "");
	}
	run(&result, WORDS(TO_SERVER, "-f", "s@a.example", "--", "-odd@b.example"), MESSAGE);
	assert_int_equal(result.status, EX_OK);
	assert_string_equal(result.out, "250 2.0.0 for -odd@b.example\n");
}

/* The MTA must not see its pipe break, whatever becomes of the message. */
static void
test_all_of_stdin_is_read(void **state)
{
	static const char *const servers[] = { "/nonexistent/sock", NULL };
	char block[4096];
	int i, written, fds[2], null = open("/dev/null", O_RDWR);
	pid_t child;

	(void)state;
	memset(block, 'x', sizeof(block));
	for (i = 0; i < 2; i++) {
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		child = spawn(WORDS("-s", servers[i] != NULL ? servers[i] : server_path, "-f", "",
		    i == 0 ? "r@b.example" : "a>b"), fds[0], null, null);
		close(fds[0]);
		for (written = 0; written < 500; written++)
			assert_int_equal(write(fds[1], block, sizeof(block)), sizeof(block));
		close(fds[1]);
		assert_int_equal(await(child), i == 0 ? EX_TEMPFAIL : EX_NOUSER);
	}
	close(null);
}

static void
test_stsgated_is_away(void **state)
{
	struct run result;

	(void)state;
	run(&result, WORDS("-s", "unix:/nonexistent/sock", "-f", "", "r@b.example"), MESSAGE);
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_memory_equal(result.out, "451 4.3.2 ", 10);
	run(&result, WORDS("--lmtp", "-s", "unix:/nonexistent/sock"), "LHLO x\r\nQUIT\r\n");
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_memory_equal(result.out, "421 4.3.2 ", 10);
	assert_non_null(strstr(result.out, "\r\n"));
}

static void
test_stdin_that_cannot_be_read(void **state)
{
	struct run result;

	(void)state;
	run_with_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"),
	    open(directory, O_RDONLY | O_DIRECTORY));
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_int_equal(seen.groups, 0);
}

/* A disk that is full, played by the limit on a file's size, which the program inherits. */
static void
test_no_room_for_the_message(void **state)
{
	struct rlimit old, small;
	struct run result;
	char *message = xcalloc(1, 2000001);
	int in;

	(void)state;
	memset(message, 'x', 2000000);
	in = file_with(message, 2000000);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 1500000, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	run_with_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"), in);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_memory_equal(result.out, "452 4.3.1 ", 10);
	assert_int_equal(seen.groups, 0);
	free(message);
}

/* A server that says what it was told to, one piece for each line or message it hears. */
struct script {
	int listener;
	const char *const *pieces;	/* NULL-terminated; then it closes */
};

static void *
play(void *context)
{
	const struct script *script = context;
	struct pollfd ready = { .events = POLLIN };
	char heard[8192];
	size_t i;

	ready.fd = accept(script->listener, NULL, NULL);
	for (i = 0; ready.fd >= 0 && script->pieces[i] != NULL; i++) {
		if (i > 0 && (poll(&ready, 1, PATIENCE_MS) != 1 ||
		    recv(ready.fd, heard, sizeof(heard), 0) <= 0))
			break;
		(void)send(ready.fd, script->pieces[i], strlen(script->pieces[i]), MSG_NOSIGNAL);
	}
	close(ready.fd);
	return NULL;
}

static void
run_against(struct run *result, const char *const *pieces)
{
	struct endpoint where;
	struct script script = { .pieces = pieces };
	pthread_t thread;
	const char *why;
	char path[100];

	snprintf(path, sizeof(path), "%s/script", directory);
	assert_int_equal(endpoint_parse(path, &where, &why), 0);
	script.listener = endpoint_listen(&where, 0600, (gid_t)-1, 1);
	assert_true(script.listener >= 0);
	fcntl(script.listener, F_SETFL, 0);	/* blocking */
	assert_int_equal(pthread_create(&thread, NULL, play, &script), 0);
	run(result, WORDS("-s", path, "--all-or-none", "-f", "", "r@b.example", "t@b.example"),
	    MESSAGE);
	pthread_join(thread, NULL);
	close(script.listener);
	unlink(path);
}

#define HELLO	"220 x\r\n", "250-x\r\n250 PIPELINING\r\n"

static void
test_servers_that_leave_doubt(void **state)
{
	static const char *const cases[][9] = {
		{ NULL }, { "" }, { "220 " }, { "hello\r\n" }, { "999 what\r\n" }, { "99\r\n" },
		{ "220x\r\n" }, { "421 4.3.2 full\r\n" }, { "554 5.3.2 not here\r\n" },
		{ "250 x\r\n" },
		{ "220 x\r\n" }, { "220 x\r\n", "250-x\r\n" },
		{ "220 x\r\n", "500 5.5.1 no LMTP\r\n" },
		{ HELLO }, { HELLO, "250 ok\r\n" }, { HELLO, "354 what\r\n" }, { HELLO, "220\r\n" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "503 5.5.1 no\r\n" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		    "250 2.0.0 one\r\n" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		    "550 5.1.1 one\r\n550 5.1.1" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		    "250 ok\r\n354 what\r\n" },
		{ HELLO, "250 ok\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
		    "550 5.1.1 one\r\ngarbage\r\n" },
	};
	struct run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		run_against(&result, cases[i]);
		if (result.status != EX_TEMPFAIL)
			fail_msg("case %zu: status %d, %s", i, result.status, result.out);
		assert_string_not_equal(result.out, "");
	}
}

static void
test_other_lmtp_servers(void **state)
{
	static const char *const taken[] = { HELLO, "250 ok\r\n", "250-a\r\n250 ok\r\n",
		"251 ok\r\n", "354 go\r\n", "250-two\r\n250 lines\r\n250 2.0.0 ok\r\n", NULL };
	static const char *const refused[] = { HELLO, "550 5.1.8 bad sender\r\n", NULL };
	struct run result;

	(void)state;
	run_against(&result, taken);
	assert_int_equal(result.status, EX_OK);
	assert_string_equal(result.out, "250-two\n250 lines\n250 2.0.0 ok\n");
	run_against(&result, refused);
	assert_int_equal(result.status, EX_NOUSER);
	assert_string_equal(result.out, "550 5.1.8 bad sender\n");
}

static bool
eventually(const _Atomic int *value)
{
	int i;

	for (i = 0; i < 300 && *value == 0; i++)
		usleep(10 * 1000);
	return *value != 0;
}

static bool
becomes_true(const _Atomic bool *flag)
{
	int i;

	for (i = 0; i < 300 && !*flag; i++)
		usleep(10 * 1000);
	return *flag;
}

static void
test_signals(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGABRT };
	int null = open("/dev/null", O_RDWR), in;
	size_t i;
	pid_t child;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		seen.groups = 0;
		seen.abandoned = false;
		in = file_with(MESSAGE, strlen(MESSAGE));
		child = spawn(WORDS(TO_SERVER, "-f", "", "wait@b.example"), in, null, null);
		close(in);
		assert_true(eventually(&seen.groups));
		kill(child, signals[i]);
		assert_int_equal(await(child), EX_TEMPFAIL);
		assert_true(becomes_true(&seen.abandoned));
	}
	close(null);
}

static void
test_nobody_reads_the_replies(void **state)
{
	int fds[2], null = open("/dev/null", O_RDWR), in = file_with(MESSAGE, strlen(MESSAGE));
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	child = spawn(WORDS(TO_SERVER, "-f", "", "ok@b.example"), in, fds[1], null);
	close(fds[1]);
	close(in);
	assert_int_equal(await(child), EX_OK);
	close(null);
}

static void
test_relay_all_at_once(void **state)
{
	struct run result;

	(void)state;
	run(&result, WORDS("--lmtp", TO_SERVER),
	    "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ok@b.example>\r\n"
	    "RCPT TO:<550-5.1.1@c.example>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n");
	assert_int_equal(result.status, EX_OK);
	assert_non_null(strstr(result.out,
	    "250 2.0.0 for ok@b.example\r\n550 5.1.1 for 550-5.1.1@c"));
	assert_non_null(strstr(result.out, "\r\n221 2.0.0 "));
	assert_string_equal(buf_text(&seen.content), "Subject: x\r\n\r\n.\r\n");
}

struct relay {
	pid_t child;
	int to, from;
};

static void
relay_start(struct relay *relay)
{
	int in[2], out[2], null = open("/dev/null", O_RDWR);

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	relay->child = spawn(WORDS("--lmtp", TO_SERVER), in[0], out[1], null);
	close(in[0]);
	close(out[1]);
	close(null);
	relay->to = in[1];
	relay->from = out[0];
}

static void
relay_say(const struct relay *relay, const char *text)
{
	assert_int_equal(write(relay->to, text, strlen(text)), strlen(text));
}

/* Reads until wanted has come. */
static void
relay_expect(const struct relay *relay, const char *wanted)
{
	struct pollfd ready = { .fd = relay->from, .events = POLLIN };
	struct buf text = { 0 };
	char c;

	while (strstr(buf_text(&text), wanted) == NULL) {
		if (poll(&ready, 1, PATIENCE_MS) != 1 || read(relay->from, &c, 1) != 1)
			fail_msg("\"%s\" did not come, only %s", wanted, buf_text(&text));
		buf_add_char(&text, c);
	}
	buf_free(&text);
}

static void
relay_message(struct relay *relay, const char *rcpts)
{
	relay_start(relay);
	relay_expect(relay, "220 ");
	relay_say(relay, "LHLO x\r\nMAIL FROM:<>\r\n");
	relay_say(relay, rcpts);
	relay_say(relay, "DATA\r\n");
	relay_expect(relay, "354 ");
}

static void
test_relay_holds_nothing_back(void **state)
{
	struct relay relay;
	int64_t began;

	(void)state;
	relay_message(&relay, "RCPT TO:<ok@b.example>\r\nRCPT TO:<slow@c.example>\r\n");
	began = clock_monotonic_ms();
	relay_say(&relay, "x\r\n.\r\n");
	relay_expect(&relay, "for ok@b.example\r\n");
	assert_true(clock_monotonic_ms() - began < 200);
	relay_expect(&relay, "for slow@c.example\r\n");
	assert_true(clock_monotonic_ms() - began >= 290);
	relay_say(&relay, "QUIT\r\n");
	relay_expect(&relay, "221 ");
	assert_int_equal(await(relay.child), EX_OK);
	close(relay.to);
	close(relay.from);
}

static void
test_relay_of_a_big_message(void **state)
{
	struct relay relay;
	size_t i;

	(void)state;
	relay_message(&relay, "RCPT TO:<ok@b.example>\r\n");
	for (i = 0; i < 40000; i++)
		relay_say(&relay, "a line of fifty octets, with the two of its end..\r\n");
	relay_say(&relay, ".\r\n");
	relay_expect(&relay, "for ok@b.example\r\n");
	look();
	assert_int_equal(seen.content.length, 40000 * 51);
	relay_say(&relay, "QUIT\r\n");
	assert_int_equal(await(relay.child), EX_OK);
	close(relay.to);
	close(relay.from);
}

/* However the MTA goes, stsgated hears of it and breaks off. */
static void
test_relay_when_the_mta_dies(void **state)
{
	struct relay relay;
	int way;

	(void)state;
	for (way = 0; way < 2; way++) {
		seen.abandoned = false;
		seen.groups = 0;
		relay_message(&relay, "RCPT TO:<wait@b.example>\r\n");
		relay_say(&relay, "x\r\n.\r\n");
		assert_true(eventually(&seen.groups));
		close(way == 0 ? relay.to : relay.from);
		assert_true(becomes_true(&seen.abandoned));
		close(way == 0 ? relay.from : relay.to);
		assert_int_equal(await(relay.child), EX_TEMPFAIL);
	}
}

static void
test_relay_when_stsgated_ends(void **state)
{
	struct relay relay;

	(void)state;
	relay_start(&relay);
	relay_expect(&relay, "220 ");
	assert_true(lmtp_server_drain(server, deadline_in(PATIENCE_MS)));
	relay_expect(&relay, "421 4.3.2 ");
	assert_int_equal(await(relay.child), EX_TEMPFAIL);
	close(relay.to);
	close(relay.from);
}

/* An MTA runs it once a message: nothing is linked but libc, and what a sanitizer brings along. */
static void
test_it_links_libc_alone(void **state)
{
	static const char *const known[] = {
		"linux-vdso.", "linux-gate.", "libc.so", "/lib", "libasan", "libubsan", "libtsan",
		"libm.so", "libgcc_s", "libpthread", "libdl", "librt", "libresolv", "libstdc++",
	};
	FILE *listed = popen("ldd " PROGRAM, "r");
	char line[500];
	size_t i, lines = 0, libc = 0;

	(void)state;
	assert_non_null(listed);
	while (fgets(line, sizeof(line), listed) != NULL) {
		char *name = line + strspn(line, " \t");

		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strncmp(name, known[i], strlen(known[i])) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			fail_msg("linked: %s", name);
		libc += strncmp(name, "libc.so", 7) == 0;
		lines++;
	}
	assert_int_equal(pclose(listed), 0);
	assert_int_equal(libc, 1);
	assert_true(lines >= 2);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_exit_status),
		TEST(test_all_or_none),
		TEST(test_content),
		TEST(test_big_content),
		TEST(test_envelope),
		TEST(test_no_injection),
		TEST(test_usage),
		TEST(test_all_of_stdin_is_read),
		TEST(test_stsgated_is_away),
		TEST(test_stdin_that_cannot_be_read),
		TEST(test_no_room_for_the_message),
		TEST(test_servers_that_leave_doubt),
		TEST(test_other_lmtp_servers),
		TEST(test_signals),
		TEST(test_nobody_reads_the_replies),
		TEST(test_relay_all_at_once),
		TEST(test_relay_holds_nothing_back),
		TEST(test_relay_of_a_big_message),
		TEST(test_relay_when_the_mta_dies),
		TEST(test_relay_when_stsgated_ends),
		cmocka_unit_test(test_it_links_libc_alone),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open("test", false, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
