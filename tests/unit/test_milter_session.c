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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/limits.h"
#include "base/netstring.h"
#include "base/stream.h"
#include "integration/milter/milter_session.h"
#include "tests/unit/conf_file.h"

/* Answers by the domain's first label; a label it does not know gets "use". */
static const struct {
	const char *label, *answer;	/* NULL: says nothing */
} answers[] = {
	{ "defer.", "OK {\"verdict\":\"defer\",\"reply\":\"451 4.7.5 no MX\",\"hosts\":[]}" },
	{ "refuse.", "OK {\"verdict\":\"refuse\",\"reply\":\"556 5.1.10 null MX\",\"hosts\":[]}" },
	{ "temp.", "TEMP slow" },
	{ "garbage.", NULL },
	{ "", "OK {\"verdict\":\"use\",\"hosts\":[{\"policy\":\"none\",\"use\":true}]}" },
};

/* One stand-in for stsgated. */
static struct server {
	int listener;
	_Atomic unsigned connections, questions;
	unsigned per_connection;	/* then it hangs up; 0: never */
	char last[400];	/* question */
	pthread_t thread;
} server;

static void
answer(struct stream *stream, const char *question)
{
	const char *domain = strchr(question, ' ');
	struct buf frame = { 0 };
	size_t i = 0;

	assert_non_null(domain);
	while (strncmp(domain + 1, answers[i].label, strlen(answers[i].label)) != 0)
		i++;
	if (answers[i].answer != NULL)
		netstring_add(&frame, answers[i].answer, strlen(answers[i].answer));
	else
		buf_add_text(&frame, "not a netstring");
	stream_write(stream, frame.data, frame.length, deadline_in(5000), 0);
	stream_flush(stream, deadline_in(5000));
	buf_free(&frame);
}

/* False: the client has gone. */
static bool
receive(struct stream *stream, char question[400])
{
	size_t got = 0, length = 0, used;
	const char *payload;
	char octets[400];

	while (netstring_parse(octets, length, sizeof(octets), &payload, &got, &used) !=
	    NETSTRING_OK) {
		if (stream_read(stream, octets + length, sizeof(octets) - length, &got,
			deadline_in(30000)) != STREAM_OK)
			return false;
		length += got;
	}
	snprintf(question, 400, "%.*s", (int)got, payload);
	return true;
}

static void
converse(struct stream *stream)
{
	unsigned left = server.per_connection;

	while (receive(stream, server.last)) {
		server.questions++;
		answer(stream, server.last);
		if (left > 0 && --left == 0)
			return;
	}
}

static void *
serve(void *context)
{
	struct stream *stream;
	int fd;

	(void)context;
	while ((fd = accept(server.listener, NULL, NULL)) >= 0) {
		server.connections++;
		stream = stream_new_fd(fd);
		converse(stream);
		stream_free(stream);
	}
	return NULL;
}

static struct conf *
start(const char *refuse, unsigned per_connection)
{
	char text[400];
	const char *why;
	struct endpoint endpoint;
	struct conf *conf;

	snprintf(text, sizeof(text),
	    "policy-map { listen = {\"unix:%s/map\"} }\n"
	    "milter { refuse = %s }\n",
	    conf_file_directory(), refuse);
	conf = conf_file_load_text(text);
	assert_non_null(conf);
	snprintf(text, sizeof(text), "unix:%s/map", conf_file_directory());
	assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
	server.connections = server.questions = 0;
	server.per_connection = per_connection;
	server.listener = endpoint_listen(&endpoint, 0600, (gid_t)-1, 10);
	assert_true(server.listener >= 0);
	assert_int_equal(fcntl(server.listener, F_SETFL, 0), 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	return conf;
}

static void
halt(void)
{
	char path[200];

	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	snprintf(path, sizeof(path), "%s/map", conf_file_directory());
	unlink(path);
}

static void
mail(struct milter_session *session, const char *parameter, const char *id)
{
	char sender[] = "<a@here.example>", copy[32] = "";
	char *arguments[] = { sender, parameter == NULL ? NULL : copy, NULL };

	snprintf(copy, sizeof(copy), "%s", parameter == NULL ? "" : parameter);
	milter_session_mail(session, arguments, id);
}

static enum milter_action
rcpt(struct milter_session *session, const char *address, const char *mailer)
{
	struct milter_rcpt recipient = { .argument = address, .mailer = mailer };
	struct reply reply = { 0 };
	enum milter_action action = milter_session_rcpt(session, &recipient, NULL, &reply);

	switch (action) {
	case ACTION_CONTINUE:
		break;
	case ACTION_TEMPFAIL:
		assert_int_equal(reply.code, 451);
		break;
	case ACTION_REJECT:
		assert_int_equal(reply.code, 556);
		break;
	}
	return action;
}

static void
test_refusals(void **state)
{
	static const struct {
		const char *refuse;
		enum milter_action defer, refused;
	} cases[] = {
		{ "never", ACTION_CONTINUE, ACTION_CONTINUE },
		{ "tempfail", ACTION_TEMPFAIL, ACTION_CONTINUE },
		{ "reject", ACTION_TEMPFAIL, ACTION_REJECT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct conf *conf = start(cases[i].refuse, 0);
		struct milter_session *session = milter_session_new(conf);

		mail(session, NULL, NULL);
		assert_int_equal(rcpt(session, "<u@use.example>", "smtp"), ACTION_CONTINUE);
		assert_int_equal(rcpt(session, "<u@defer.example>", "smtp"), cases[i].defer);
		assert_int_equal(rcpt(session, "<u@refuse.example>", "smtp"), cases[i].refused);
		assert_int_equal(rcpt(session, "<u@temp.example>", "smtp"), ACTION_CONTINUE);
		assert_int_equal(server.connections, 1);
		milter_session_free(session);
		halt();
		conf_free(conf);
	}
}

static void
test_simulated_sessions_are_never_refused(void **state)
{
	static const struct {
		const char *address, *mailer, *id;
		enum milter_action action;
	} cases[] = {
		{ "u@defer.example", NULL, "4ABC", ACTION_CONTINUE },
		{ "u@defer.example", NULL, NULL, ACTION_CONTINUE },
		{ "<u@defer.example>", NULL, "4ABC", ACTION_CONTINUE },
		{ "<u@defer.example>", NULL, NULL, ACTION_TEMPFAIL },
		{ "<u@defer.example>", "esmtp", "4ABC", ACTION_TEMPFAIL },
		{ "u@defer.example", "smtp", NULL, ACTION_TEMPFAIL },
	};
	struct conf *conf = start("tempfail", 0);
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		mail(session, NULL, cases[i].id);
		assert_int_equal(rcpt(session, cases[i].address, cases[i].mailer), cases[i].action);
	}
	milter_session_free(session);
	halt();
	conf_free(conf);
}

static void
test_one_question_for_a_domain_in_a_row(void **state)
{
	struct conf *conf = start("never", 0);
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	mail(session, NULL, NULL);
	rcpt(session, "<a@one.example>", "smtp");
	rcpt(session, "<b@one.example>", "smtp");
	assert_int_equal(server.questions, 1);
	assert_string_equal(server.last, "json one.example");
	mail(session, "REQUIRETLS", NULL);
	rcpt(session, "<a@one.example>", "smtp");
	assert_int_equal(server.questions, 2);
	assert_string_equal(server.last, "json one.example requiretls");
	mail(session, "BODY=8BITMIME", NULL);
	rcpt(session, "<a@one.example>", "smtp");
	assert_string_equal(server.last, "json one.example");
	milter_session_free(session);
	halt();
	conf_free(conf);
}

static void
test_connects_again(void **state)
{
	struct conf *conf = start("tempfail", 2);	/* two questions a connection */
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	for (int i = 0; i < 5; i++) {
		mail(session, NULL, NULL);
		assert_int_equal(rcpt(session, "<a@defer.example>", "smtp"), ACTION_TEMPFAIL);
	}
	assert_int_equal(server.connections, 3);
	milter_session_free(session);
	halt();
	conf_free(conf);
}

static void
test_away(void **state)
{
	struct conf *conf = start("reject", 0);
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	halt();
	mail(session, NULL, NULL);
	assert_int_equal(rcpt(session, "<a@defer.example>", "smtp"), ACTION_CONTINUE);
	assert_null(milter_session_value(session));
	milter_session_free(session);
	conf_free(conf);
}

static void
test_nonsense_ends_the_connection(void **state)
{
	struct conf *conf = start("reject", 0);
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	mail(session, NULL, NULL);
	assert_int_equal(rcpt(session, "<a@garbage.example>", "smtp"), ACTION_CONTINUE);
	/* the others of this message are not asked about, those of the next are */
	assert_int_equal(rcpt(session, "<a@defer.example>", "smtp"), ACTION_CONTINUE);
	assert_int_equal(server.questions, 1);
	mail(session, NULL, NULL);
	assert_int_equal(rcpt(session, "<a@defer.example>", "smtp"), ACTION_TEMPFAIL);
	assert_int_equal(server.connections, 2);
	milter_session_free(session);
	halt();
	conf_free(conf);
}

static void
test_header_only_where_one_domain_is_told_of_itself(void **state)
{
	static const struct {
		const char *recipients[4];
		bool header;
	} cases[] = {
		{ { "<a@one.example>" }, true },
		{ { "<a@one.example>", "<b@ONE.example>" }, true },
		{ { "<a@one.example>", "<b@two.example>" }, false },
		{ { "<a@one.example>", "<b@two.example>", "<c@one.example>" }, false },
		{ { "<a@one.example>", "<local>" }, false },
		{ { "<local>", "<a@one.example>" }, false },
		{ { "<local>" }, false },
		{ { "<a@one.example>", "<b@defer.example>" }, true },	/* which is refused */
		{ { "<b@defer.example>", "<a@one.example>" }, true },
		{ { "<b@defer.example>" }, false },
		{ { "<a@temp.example>" }, false },
	};
	struct conf *conf = start("tempfail", 0);
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *value;

		mail(session, NULL, NULL);
		for (size_t j = 0; cases[i].recipients[j] != NULL; j++)
			rcpt(session, cases[i].recipients[j], NULL);
		value = milter_session_value(session);
		if (cases[i].header)
			assert_string_equal(value, "use; domain=one.example; policy=none");
		else
			assert_null(value);
	}
	milter_session_free(session);
	halt();
	conf_free(conf);
}

static void
test_forged_headers_are_counted(void **state)
{
	struct conf *conf = start("never", 0);
	struct milter_session *session = milter_session_new(conf);

	(void)state;
	mail(session, NULL, NULL);
	milter_session_header(session, "X-STS-Verdict");
	milter_session_header(session, "Subject");
	milter_session_header(session, "x-sts-verdict ");
	milter_session_header(session, "X-STS-Verdicts");
	milter_session_header(session, "X-STS");
	assert_int_equal(milter_session_forged(session), 2);
	mail(session, NULL, NULL);
	assert_int_equal(milter_session_forged(session), 0);
	milter_session_free(session);
	halt();
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_simulated_sessions_are_never_refused),
		cmocka_unit_test(test_one_question_for_a_domain_in_a_row),
		cmocka_unit_test(test_connects_again),
		cmocka_unit_test(test_away),
		cmocka_unit_test(test_nonsense_ends_the_connection),
		cmocka_unit_test(test_header_only_where_one_domain_is_told_of_itself),
		cmocka_unit_test(test_forged_headers_are_counted),
	};

	return cmocka_run_group_tests(tests, conf_file_setup, conf_file_teardown);
}
