/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "report/report_mail.h"

#define ID	"20260101.0123456789abcdef0123.example.com@sender.example"
#define FILE_NAME	"sender.example!example.com!1767225600!1767311999.json.gz"

static struct reporter_name
name_of(const char *organization, const char *sender)
{
	struct reporter_name name = {
		.organization = organization, .contact = "tls@sender.example", .sender = sender
	};

	(void)snprintf(name.submitter, sizeof(name.submitter), "sender.example");
	return name;
}

static void
write_mail(const struct reporter_name *name, const char *to, struct buf *message)
{
	struct tally_policy policy = { .policy = { .type = OUTCOME_STS, .domain = "example.com" },
		.succeeded = 7,
		.failed = 2 };
	const struct tally_report report = {
		.day = 20454, .domain = "example.com", .policies = &policy, .policy_count = 1
	};
	char packed[200];
	const struct report_mail mail = { name, &report, ID, to, FILE_NAME, packed, sizeof(packed),
		1767330000 };

	memset(packed, 0xff, sizeof(packed));
	report_mail_write(&mail, message);
}

static void
assert_line(const struct buf *message, const char *line)
{
	char sought[256];

	(void)snprintf(sought, sizeof(sought), "\r\n%s\r\n", line);
	if (strstr(buf_text((struct buf *)(uintptr_t)message), sought) == NULL)
		fail_msg("no line \"%s\" in\n%s", line, message->data);
}

static void
headers_and_parts(void **state)
{
	struct reporter_name name = name_of("Sender", "reports@sender.example");
	struct buf message = { 0 };
	const char *line, *end;

	(void)state;
	write_mail(&name, "t,wo@r.example", &message);
	assert_memory_equal(buf_text(&message), "From: \"Sender\"\r\n <reports@sender.example>\r\n",
	    42);
	assert_line(&message, "To: <\"t,wo\"@r.example>");
	assert_line(&message,
	    "Subject: Report Domain: example.com\r\n Submitter: sender.example\r\n"
	    " Report-ID: <" ID ">");
	assert_line(&message, "Date: Fri, 2 Jan 2026 05:00:00 +0000");
	assert_line(&message, "TLS-Report-Domain: example.com");
	assert_line(&message, "TLS-Report-Submitter: sender.example");
	assert_line(&message, "TLS-Required: No");
	assert_line(&message, "Auto-Submitted: auto-generated");
	assert_line(&message, "Content-Type: application/tlsrpt+gzip");
	assert_line(&message, " filename=\"" FILE_NAME "\"");
	assert_line(&message, "7 sessions succeeded, 2 failed.");
	for (line = buf_text(&message); *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		assert_non_null(end);
		assert_true(end - line <= 100);
		assert_null(memchr(line, '\n', (size_t)(end - line)));
	}
	buf_free(&message);
}

/* DMARC and DKIM look at From: it is of the domain that reports. */
static void
a_sender_of_another_domain(void **state)
{
	struct reporter_name name = name_of("Sender", "tls-reports@mx.elsewhere.example");
	struct buf message = { 0 };

	(void)state;
	write_mail(&name, "r@r.example", &message);
	assert_memory_equal(buf_text(&message), "From: \"Sender\"\r\n <tls@sender.example>\r\n",
	    37);
	assert_line(&message, "Sender: <tls-reports@mx.elsewhere.example>");
	buf_free(&message);
}

static void
names_that_need_care(void **state)
{
	static const struct {
		const char *organization, *from;
	} table[] = {
		{ "A \"B\" \\ C", "From: \"A \\\"B\\\" \\\\ C\"\r\n <r@sender.example>\r\n" },
		{ "B\303\274cher", "From: <r@sender.example>\r\n" },
		{ "", "From: <r@sender.example>\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct reporter_name name = name_of(table[i].organization, "r@sender.example");
		struct buf message = { 0 };

		write_mail(&name, "r@r.example", &message);
		assert_memory_equal(buf_text(&message), table[i].from, strlen(table[i].from));
		buf_free(&message);
	}
}

/* The same on every try, and another for another address. */
static void
message_ids(void **state)
{
	struct reporter_name name = name_of("Sender", "r@sender.example");
	struct buf one = { 0 }, again = { 0 }, other = { 0 };
	const char *id;

	(void)state;
	write_mail(&name, "one@r.example", &one);
	write_mail(&name, "one@r.example", &again);
	write_mail(&name, "two@r.example", &other);
	assert_string_equal(buf_text(&one), buf_text(&again));
	id = strstr(buf_text(&one), "Message-ID: <");
	assert_non_null(id);
	assert_memory_not_equal(id, strstr(buf_text(&other), "Message-ID: <"), strcspn(id, "\r"));
	buf_free(&one);
	buf_free(&again);
	buf_free(&other);
}

static void
addresses(void **state)
{
	static const char *const table[][2] = {
		{ "a@b.example", "a@b.example" },
		{ "a.b+c@b.example", "a.b+c@b.example" },
		{ "a,b@b.example", "\"a,b\"@b.example" },
		{ ".a@b.example", "\".a\"@b.example" },
		{ "a..b@b.example", "\"a..b\"@b.example" },
		{ "a.@b.example", "\"a.\"@b.example" },
		{ "a;!b@b.example", "\"a;!b\"@b.example" },
	};
	struct arena *arena = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(report_mail_address(arena, table[i][0]), table[i][1]);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_and_parts),
		cmocka_unit_test(a_sender_of_another_domain),
		cmocka_unit_test(names_that_need_care),
		cmocka_unit_test(message_ids),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
