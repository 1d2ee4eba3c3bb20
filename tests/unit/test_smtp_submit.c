/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "report/smtp_submit.h"

#define MESSAGE	"Subject: x\r\n\r\n.leading dot\r\nlast\r\n"

/* An MTA for one connection, on a thread of its own: no assertions there. */
struct mta {
	const char *at;	/* the verb that is answered with reply; "." for the content */
	const char *reply;	/* NULL: nothing is said for as long as the client stays */
	int listener;
	char server[32];
	pthread_t thread;
	char heard[2048];
};

static void
say(int fd, const char *text)
{
	(void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void
serve(struct mta *mta, FILE *in, int fd)
{
	char line[512], verb[16];
	bool content = false;

	while (fgets(line, sizeof(line), in) != NULL) {
		strncat(mta->heard, line, sizeof(mta->heard) - strlen(mta->heard) - 1);
		if (content && strcmp(line, ".\r\n") != 0)
			continue;
		(void)snprintf(verb, sizeof(verb), "%.*s", content ? 1 : (int)strcspn(line, " :\r"),
		    line);
		if (strcasecmp(verb, mta->at) == 0) {
			if (mta->reply != NULL)
				say(fd, mta->reply);
			content = false;
			continue;
		}
		content = !content && strcasecmp(verb, "DATA") == 0;
		say(fd, content ? "354 go on\r\n" : "250 2.0.0 fine\r\n");
	}
}

static void *
mta_run(void *context)
{
	struct mta *mta = context;
	int fd = accept(mta->listener, NULL, NULL);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");

	if (in == NULL)
		return NULL;
	if (strcmp(mta->at, "greeting") == 0)
		say(fd, mta->reply);
	else
		say(fd, "220 mta.example ESMTP\r\n");
	serve(mta, in, fd);
	(void)fclose(in);
	return NULL;
}

static void
mta_listen(struct mta *mta)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);

	mta->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(mta->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(mta->listener, 5), 0);
	assert_int_equal(getsockname(mta->listener, (struct sockaddr *)&address, &length), 0);
	(void)snprintf(mta->server, sizeof(mta->server), "127.0.0.1:%d", ntohs(address.sin_port));
}

static bool
over(void *context)
{
	return context != NULL;
}

static int
submit(struct mta *mta, int64_t ms, void *is_over, char why[256])
{
	const struct smtp_submission submission = { mta->server, "out.example", "s@out.example",
		"\"t,o\"@in.example", MESSAGE, strlen(MESSAGE), deadline_in(ms),
		{ over, is_over } };
	int result;

	mta_listen(mta);
	assert_int_equal(pthread_create(&mta->thread, NULL, mta_run, mta), 0);
	why[0] = '\0';
	result = smtp_submit(&submission, why, 256);
	(void)shutdown(mta->listener, SHUT_RDWR);
	pthread_join(mta->thread, NULL);
	close(mta->listener);
	return result;
}

static void
what_is_taken(void **state)
{
	struct mta mta = { .at = "" };
	char why[256];

	(void)state;
	assert_int_equal(submit(&mta, 30000, NULL, why), 0);
	assert_memory_equal(mta.heard, "EHLO out.example\r\n", 18);
	assert_non_null(strstr(mta.heard, "\r\nMAIL FROM:<s@out.example>"));
	assert_non_null(strstr(mta.heard, "\r\nRCPT TO:<\"t,o\"@in.example>"));
	assert_non_null(strstr(mta.heard, "\r\n..leading dot\r\nlast\r\n.\r\n"));
	assert_null(strstr(mta.heard, "STARTTLS"));
}

static void
what_is_refused(void **state)
{
	static const struct mta table[] = {
		{ .at = "greeting", .reply = "554 5.7.1 no\r\n" },
		{ .at = "MAIL", .reply = "451 4.3.0 later\r\n" },
		{ .at = "RCPT", .reply = "550 5.1.1 nobody\r\n" },
		{ .at = "DATA", .reply = "452 4.3.1 full\r\n" },
		{ .at = ".", .reply = "554 5.6.0 spam\001\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct mta mta = table[i];
		char why[256], said[64];

		assert_int_equal(submit(&mta, 30000, NULL, why), -1);
		(void)snprintf(said, sizeof(said), "it said: %.*s",
		    (int)strcspn(mta.reply, "\001\r"), mta.reply);
		if (strstr(why, said) == NULL)
			fail_msg("%s: %s", mta.at, why);
		assert_null(strchr(why, '\001'));
	}
}

static void
who_is_silent(void **state)
{
	struct mta mta = { .at = ".", .reply = NULL }, stopped = { .at = "MAIL", .reply = NULL };
	char why[256];

	(void)state;
	assert_int_equal(submit(&mta, 300, NULL, why), -1);
	assert_int_equal(submit(&stopped, 60000, &stopped, why), -1);
}

static void
who_is_away(void **state)
{
	struct mta mta = { .at = "" };
	char why[256] = "";
	struct smtp_submission submission = { mta.server, "out.example", "s@out.example",
		"t@in.example", MESSAGE, strlen(MESSAGE), deadline_in(30000), { over, NULL } };

	(void)state;
	mta_listen(&mta);
	close(mta.listener);
	assert_int_equal(smtp_submit(&submission, why, sizeof(why)), -1);
	assert_non_null(strstr(why, mta.server));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(who_is_silent),
		cmocka_unit_test(who_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
