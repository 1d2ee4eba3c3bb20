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
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "tests/unit/program.h"

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
	struct program_run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program_run(&result, WORDS(TO_SERVER, "-f", "s@a.example", cases[i].rcpt), MESSAGE);
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
		{ "550-5.1.1@b.example", "550-5.1.1@c.example", "550-5.1.3@c.example", EX_NOUSER, 3,
		    2 },
		{ "550-5.1.1@b.example", "550-5.1.2@c.example", "550-5.1.1@c.example", EX_NOPERM, 3,
		    2 },
		{ "550-5.1.2@b.example", "550-5.1.2@c.example", "ok@c.example", EX_NOHOST, 3, 2 },
		{ "550-5.7.1@b.example", "ok@c.example", "550-5.1.1@c.example", EX_NOPERM, 3, 2 },
		/* Refused by stsgated itself: then none of them gets it. */
		{ "ok@b.example", "nobody", "ok@c.example", EX_NOUSER, 1, 0 },
	};
	struct program_run result;
	size_t i;
	int lines;
	const char *at;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program_seen.groups = 0;
		program_run(&result,
		    WORDS(TO_SERVER, "--all-or-none", "-f", "s@a.example", "--", cases[i].first,
			cases[i].second, cases[i].third),
		    MESSAGE);
		for (lines = 0, at = result.out; *at != '\0'; at++)
			lines += *at == '\n';
		if (result.status != cases[i].status || lines != cases[i].lines)
			fail_msg("case %zu: status %d, %s", i, result.status, result.out);
		assert_int_equal(program_seen.groups, cases[i].groups);
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
		{ ".", ".\r\n" },
		{ "", "" },
		{ "a\rb\n\r", "ab\r\n" },
		{ "a\n.\nMAIL FROM:<evil@x.example>\n",
		    "a\r\n.\r\nMAIL FROM:<evil@x.example>\r\n" },
	};
	struct program_run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program_run(&result, WORDS(TO_SERVER, "-f", "s@a.example", "r@b.example"),
		    cases[i].raw);
		assert_int_equal(result.status, EX_OK);
		assert_string_equal(buf_text(&program_seen.content), cases[i].content);
	}
}

static void
test_big_content(void **state)
{
	static const char digits[] = "0123456789.123456789.123456789.123456789.123456789";
	struct buf raw = { 0 }, content = { 0 };
	struct program_run result;
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
	program_run_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"),
	    program_file(raw.data, raw.length));
	assert_int_equal(result.status, EX_OK);
	assert_int_equal(program_seen.content.length, content.length);
	assert_memory_equal(program_seen.content.data, content.data, content.length);
	buf_free(&raw);
	/* Too much: the size is announced, and nothing is sent. */
	program_seen.groups = 0;
	assert_true(content.length < 3000000);
	while (content.length <= 3000000)
		buf_printf(&content, "%s\n", digits);
	program_run_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"),
	    program_file(content.data, content.length));
	assert_int_equal(result.status, EX_NOPERM);
	assert_memory_equal(result.out, "552 5.3.4 ", 10);
	assert_int_equal(program_seen.groups, 0);
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
	struct program_run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program_run(&result, WORDS(TO_SERVER, "-f", cases[i].sender, cases[i].rcpt),
		    cases[i].message);
		assert_int_equal(result.status, EX_OK);
		assert_string_equal(program_seen.envelope, cases[i].envelope);
	}
}

static void
test_no_injection(void **state)
{
	static const char *const bad[] = {
		"a@b.example>\r\nRCPT TO:<evil@x.example",
		"a@b.example\nDATA",
		"a@b.example> SIZE=1",
		"<a@b.example",
		"\"a@b.example>",
		"a\x7f@b.example",
	};
	struct program_run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		program_run(&result, WORDS(TO_SERVER, "-f", bad[i], "r@b.example"), MESSAGE);
		assert_int_equal(result.status, EX_NOUSER);
		assert_memory_equal(result.out, "553 5.1.7 ", 10);
		program_run(&result, WORDS(TO_SERVER, "-f", "s@a.example", bad[i]), MESSAGE);
		assert_int_equal(result.status, EX_NOUSER);
		assert_memory_equal(result.out, "553 5.1.3 ", 10);
	}
	assert_int_equal(program_seen.groups, 0);
}

static void
test_usage(void **state)
{
	static const char *const cases[][6] = {
		{ NULL },
		{ "a@b.example" },
		{ "-f", "a@b.example" },
		{ "-f" },
		{ "-f", "a@b.example", "c@d.example", "e@f.example" },
		{ "-x", "-f", "a@b.example", "c@d.example" },
		{ "--all-or-nothing", "-f", "a@b.example", "c@d.example" },
		{ "-s", "nonsense:x", "-f", "a@b.example", "c@d.example" },
		{ "-s", "inet:127.0.0.1", "-f", "a@b.example", "c@d.example" },
		{ "--lmtp", "c@d.example" },
		{ "--lmtp", "-f", "a@b.example" },
		/* What follows a recipient is a recipient: options end there. */
		{ "-f", "a@b.example", "c@d.example", "--all-or-none" },
	};
	struct program_run result;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		program_run(&result, cases[i], MESSAGE);
		assert_int_equal(result.status, EX_USAGE);
		assert_string_not_equal(result.errors, "");
	}
	program_run(&result, WORDS(TO_SERVER, "-f", "s@a.example", "--", "-odd@b.example"),
	    MESSAGE);
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
		child = program_spawn(WORDS("-s",
					  servers[i] != NULL ? servers[i] : program_server_path,
					  "-f", "", i == 0 ? "r@b.example" : "a>b"),
		    fds[0], null, null);
		close(fds[0]);
		for (written = 0; written < 500; written++)
			assert_int_equal(write(fds[1], block, sizeof(block)), sizeof(block));
		close(fds[1]);
		assert_int_equal(program_await(child), i == 0 ? EX_TEMPFAIL : EX_NOUSER);
	}
	close(null);
}

static void
test_stsgated_is_away(void **state)
{
	struct program_run result;

	(void)state;
	program_run(&result, WORDS("-s", "unix:/nonexistent/sock", "-f", "", "r@b.example"),
	    MESSAGE);
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_memory_equal(result.out, "451 4.3.2 ", 10);
	program_run(&result, WORDS("--lmtp", "-s", "unix:/nonexistent/sock"), "LHLO x\r\nQUIT\r\n");
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_memory_equal(result.out, "421 4.3.2 ", 10);
	assert_non_null(strstr(result.out, "\r\n"));
}

static void
test_stdin_that_cannot_be_read(void **state)
{
	struct program_run result;

	(void)state;
	program_run_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"),
	    open(program_directory, O_RDONLY | O_DIRECTORY));
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_int_equal(program_seen.groups, 0);
}

/* A disk that is full, played by the limit on a file's size, which the program inherits. */
static void
test_no_room_for_the_message(void **state)
{
	struct rlimit old, small;
	struct program_run result;
	char *message = xcalloc(1, 2000001);
	int in;

	(void)state;
	memset(message, 'x', 2000000);
	in = program_file(message, 2000000);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){ 1500000, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	program_run_stdin(&result, WORDS(TO_SERVER, "-f", "", "r@b.example"), in);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(result.status, EX_TEMPFAIL);
	assert_memory_equal(result.out, "452 4.3.1 ", 10);
	assert_int_equal(program_seen.groups, 0);
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
		if (i > 0 &&
		    (poll(&ready, 1, PATIENCE_MS) != 1 ||
			recv(ready.fd, heard, sizeof(heard), 0) <= 0))
			break;
		(void)send(ready.fd, script->pieces[i], strlen(script->pieces[i]), MSG_NOSIGNAL);
	}
	close(ready.fd);
	return NULL;
}

static void
run_against(struct program_run *result, const char *const *pieces)
{
	struct endpoint where;
	struct script script = { .pieces = pieces };
	pthread_t thread;
	const char *why;
	char path[100];

	snprintf(path, sizeof(path), "%s/script", program_directory);
	assert_int_equal(endpoint_parse(path, &where, &why), 0);
	script.listener = endpoint_listen(&where, 0600, (gid_t)-1, 1);
	assert_true(script.listener >= 0);
	fcntl(script.listener, F_SETFL, 0);	/* blocking */
	assert_int_equal(pthread_create(&thread, NULL, play, &script), 0);
	program_run(result,
	    WORDS("-s", path, "--all-or-none", "-f", "", "r@b.example", "t@b.example"), MESSAGE);
	pthread_join(thread, NULL);
	close(script.listener);
	unlink(path);
}

#define HELLO	"220 x\r\n", "250-x\r\n250 PIPELINING\r\n"

static void
test_servers_that_leave_doubt(void **state)
{
	static const char *const cases[][9] = {
		{ NULL },
		{ "" },
		{ "220 " },
		{ "hello\r\n" },
		{ "999 what\r\n" },
		{ "99\r\n" },
		{ "220x\r\n" },
		{ "421 4.3.2 full\r\n" },
		{ "554 5.3.2 not here\r\n" },
		{ "250 x\r\n" },
		{ "220 x\r\n" },
		{ "220 x\r\n", "250-x\r\n" },
		{ "220 x\r\n", "500 5.5.1 no LMTP\r\n" },
		{ HELLO },
		{ HELLO, "250 ok\r\n" },
		{ HELLO, "354 what\r\n" },
		{ HELLO, "220\r\n" },
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
	struct program_run result;
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
	struct program_run result;

	(void)state;
	run_against(&result, taken);
	assert_int_equal(result.status, EX_OK);
	assert_string_equal(result.out, "250-two\n250 lines\n250 2.0.0 ok\n");
	run_against(&result, refused);
	assert_int_equal(result.status, EX_NOUSER);
	assert_string_equal(result.out, "550 5.1.8 bad sender\n");
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
		program_seen.groups = 0;
		program_seen.abandoned = false;
		in = program_file(MESSAGE, strlen(MESSAGE));
		child = program_spawn(WORDS(TO_SERVER, "-f", "", "wait@b.example"), in, null, null);
		close(in);
		assert_true(program_sees(&program_seen.groups));
		kill(child, signals[i]);
		assert_int_equal(program_await(child), EX_TEMPFAIL);
		assert_true(program_sees_flag(&program_seen.abandoned));
	}
	close(null);
}

static void
test_nobody_reads_the_replies(void **state)
{
	int fds[2], null = open("/dev/null", O_RDWR), in = program_file(MESSAGE, strlen(MESSAGE));
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	child = program_spawn(WORDS(TO_SERVER, "-f", "", "ok@b.example"), in, fds[1], null);
	close(fds[1]);
	close(in);
	assert_int_equal(program_await(child), EX_OK);
	close(null);
}

/* An MTA runs it once a message: nothing is linked but libc, and what a sanitizer brings along. */
static void
test_it_links_libc_alone(void **state)
{
	static const char *const known[] = {
		"linux-vdso.",
		"linux-gate.",
		"libc.so",
		"/lib",
		"libasan",
		"libubsan",
		"libtsan",
		"libm.so",
		"libgcc_s",
		"libpthread",
		"libdl",
		"librt",
		"libresolv",
		"libstdc++",
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

#define TEST(name)	cmocka_unit_test_setup_teardown(name, program_setup, program_teardown)

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
		cmocka_unit_test(test_it_links_libc_alone),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open("test", false, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
