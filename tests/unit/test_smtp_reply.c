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
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "shim/smtp/smtp_reply.h"

/* Feeds lines separated by \n; every line but the last must ask for more. */
static enum smtp_reply_state
feed_at(bool after_dot, struct smtp_reply *reply, const char *lines)
{
	enum smtp_reply_state state = SMTP_REPLY_MORE;
	const char *end;

	smtp_reply_begin(reply);
	reply->after_dot = after_dot;
	for (;;) {
		end = strchr(lines, '\n');
		assert_int_equal(state, SMTP_REPLY_MORE);
		state = smtp_reply_add(reply, lines,
		    end != NULL ? (size_t)(end - lines) : strlen(lines));
		if (end == NULL)
			return state;
		lines = end + 1;
	}
}

static enum smtp_reply_state
feed(struct smtp_reply *reply, const char *lines)
{
	return feed_at(false, reply, lines);
}

static void
test_replies(void **state)
{
	static const struct {
		const char *lines;
		int code;
		const char *enhanced, *text;
	} cases[] = {
		{ "250 2.1.5 Ok", 250, "2.1.5", "Ok" },
		{ "250 Ok", 250, "", "Ok" },
		{ "250", 250, "", "" },
		{ "250 ", 250, "", "" },
		{ "250  2.0.0 two spaces", 250, "", "2.0.0 two spaces" },
		{ "250 2.0.0", 250, "2.0.0", "" },
		{ "550-5.1.1 First line\n550 5.1.1 second line", 550, "5.1.1",
		    "First line second line" },
		{ "550-First line\n550 5.1.1 second line", 550, "5.1.1", "First line second line" },
		{ "550-5.1.1 a\n550-\n550 5.7.1 b", 550, "5.1.1", "a b" },
		{ "450-\n450 later ", 450, "", "later" },
		{ "421 4.3.2 Closing", 421, "4.3.2", "Closing" },
		{ "354 Go on", 354, "", "Go on" },
		{ "354 3.0.0 Go on", 354, "", "3.0.0 Go on" },
		{ "550 4.2.2 Wrong class", 550, "", "4.2.2 Wrong class" },
		{ "450 5.2.2 Wrong class", 450, "", "5.2.2 Wrong class" },
		{ "550 2.1.5 Wrong class", 550, "", "2.1.5 Wrong class" },
		{ "550 5.1", 550, "", "5.1" },
		{ "550 5.1.", 550, "", "5.1." },
		{ "550 5..1 x", 550, "", "5..1 x" },
		{ "550 5.1.1.1 x", 550, "", "5.1.1.1 x" },
		{ "550 5.1234.1 x", 550, "", "5.1234.1 x" },
		{ "550 5.1.1234 x", 550, "", "5.1.1234 x" },
		{ "550 5.999.999 x", 550, "5.999.999", "x" },
		{ "550 55.1.1 x", 550, "", "55.1.1 x" },
		{ "550 5.1.1: x", 550, "", "5.1.1: x" },
		{ "550 5.1.1 a\x01"
		  "b\x7f"
		  "c\xc3\xa9"
		  "d\te",
		    550, "5.1.1", "a?b?c??d?e" },
		{ "599 x", 599, "", "x" },
		{ "200 x", 200, "", "x" },
		{ "250OK", 250, "", "OK" },
		{ "250\tqueued", 250, "", "queued" },
		{ "250\t2.0.0\tqueued", 250, "", "2.0.0?queued" },
		{ "550,5.1.1 x", 550, "", ",5.1.1 x" },
		{ "250-a\n251 b", 251, "", "a b" },
		{ "250-2.0.0 yes\n251 perhaps", 251, "2.0.0", "yes perhaps" },
		{ "450-4.2.1 a\n452 4.2.2 b", 452, "4.2.1", "a b" },
	};
	struct smtp_reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed(&reply, cases[i].lines), SMTP_REPLY_COMPLETE);
		assert_int_equal(reply.reply.code, cases[i].code);
		assert_string_equal(reply.reply.enhanced, cases[i].enhanced);
		assert_string_equal(reply.reply.text, cases[i].text);
		assert_true(reply.reply.remote);
	}
}

static void
test_garbled(void **state)
{
	static const struct {
		const char *lines, *text;
	} cases[] = {
		{ "", "" },
		{ "55", "55" },
		{ "hello there", "hello there" },
		{ " 250 Ok", "250 Ok" },
		{ "2500 Ok", "2500 Ok" },
		{ "000 What?", "000 What?" },
		{ "150 What?", "150 What?" },
		{ "199 What?", "199 What?" },
		{ "600 What?", "600 What?" },
		{ "999 What?", "999 What?" },
		{ "-50 What?", "-50 What?" },
		{ "2x0 What?", "2x0 What?" },
		{ "250-yes\n550 no", "yes 550 no" },
		{ "550-no\n250 yes", "no 250 yes" },
		{ "450-later\n550 no", "later 550 no" },
		{ "250-yes\n550-no", "yes 550-no" },
		{ "250-yes\n", "yes" },
		{ "250-yes\nand so on", "yes and so on" },
	};
	struct smtp_reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed(&reply, cases[i].lines), SMTP_REPLY_GARBLED);
		assert_int_equal(reply.reply.code, 0);
		assert_string_equal(reply.reply.enhanced, "");
		assert_string_equal(reply.reply.text, cases[i].text);
	}
}

static void
test_a_nul_is_text(void **state)
{
	struct smtp_reply reply;

	(void)state;
	smtp_reply_begin(&reply);
	assert_int_equal(smtp_reply_add(&reply, "250 a\0b", 7), SMTP_REPLY_COMPLETE);
	assert_string_equal(reply.reply.text, "a?b");
	smtp_reply_begin(&reply);
	assert_int_equal(smtp_reply_add(&reply, "25\0 x", 5), SMTP_REPLY_GARBLED);
}

/* The host has the message, and sends it to its recipients: any other word makes us send it
 * again. */
static void
test_a_2_after_the_dot_is_a_yes(void **state)
{
	static const struct {
		const char *lines;
		int code;
		const char *enhanced, *text;
	} cases[] = {
		{ "250 2.0.0 Ok", 250, "2.0.0", "Ok" },
		{ "250OK", 250, "", "OK" },
		{ "250\tqueued", 250, "", "queued" },
		{ "250", 250, "", "" },
		{ "2500 queued", 250, "", "2500 queued" },
		{ "2", 250, "", "2" },
		{ "25 queued", 250, "", "25 queued" },
		{ "2.0.0 queued", 250, "2.0.0", "queued" },
		{ "2x0 queued", 250, "", "2x0 queued" },
		{ "250-a\n251 b", 251, "", "a b" },
		{ "550-5.1.1 scanned\n250 2.0.0 queued", 250, "2.0.0", "scanned queued" },
		{ "250-2.0.0 a\n550-5.1.1 b\n250 queued", 250, "", "a b queued" },
		{ "250-scanned\nby a scanner\n\n250 queued", 250, "",
		    "scanned by a scanner queued" },
		{ "550 5.7.1 Spam", 550, "5.7.1", "Spam" },
		{ "450-a\n451 b", 451, "", "a b" },
		{ "354 Go on", 354, "", "Go on" },
	};
	static const char *const garbled[] = { "", "what?", " 250 Ok", "x2", "250-yes\n550 no",
		"550-no\n450 later", "600 What?", "150 What?" };
	struct smtp_reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(feed_at(true, &reply, cases[i].lines), SMTP_REPLY_COMPLETE);
		assert_int_equal(reply.reply.code, cases[i].code);
		assert_string_equal(reply.reply.enhanced, cases[i].enhanced);
		assert_string_equal(reply.reply.text, cases[i].text);
	}
	for (i = 0; i < sizeof(garbled) / sizeof(garbled[0]); i++) {
		assert_int_equal(feed_at(true, &reply, garbled[i]), SMTP_REPLY_GARBLED);
		assert_int_equal(reply.reply.code, 0);
	}
}

/* The text has a bound, the lines that say no more than the code have none but the octets. */
static void
test_text_beyond_the_bound_is_dropped(void **state)
{
	struct smtp_reply reply;
	unsigned i;

	(void)state;
	smtp_reply_begin(&reply);
	for (i = 1; i <= 10000; i++)
		assert_int_equal(smtp_reply_add(&reply, "250-more", 8), SMTP_REPLY_MORE);
	assert_int_equal(smtp_reply_add(&reply, "250 last", 8), SMTP_REPLY_COMPLETE);
	assert_int_equal(reply.reply.code, 250);
	assert_int_equal(strlen(reply.reply.text), sizeof(reply.reply.text) - 1);
}

static void
test_a_reply_without_an_end(void **state)
{
	char line[LIMIT_SMTP_REPLY_LINE];
	struct smtp_reply reply;
	int after_dot;
	size_t taken;

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "250-", 4);
	for (after_dot = 0; after_dot < 2; after_dot++) {
		smtp_reply_begin(&reply);
		reply.after_dot = after_dot;
		for (taken = 0; taken + sizeof(line) <= LIMIT_SMTP_REPLY; taken += sizeof(line))
			assert_int_equal(smtp_reply_add(&reply, line, sizeof(line)),
			    SMTP_REPLY_MORE);
		assert_int_equal(smtp_reply_add(&reply, line, sizeof(line)), SMTP_REPLY_GARBLED);
		assert_int_equal(strlen(reply.reply.text), sizeof(reply.reply.text) - 1);
	}
}

static struct smtp_features
features_of(const char *lines)
{
	struct smtp_features features = { 0 };
	const char *end;

	for (; *lines != '\0'; lines = end + 1) {
		end = strchr(lines, '\n');
		assert_non_null(end);
		smtp_features_add(&features, lines, (size_t)(end - lines));
	}
	return features;
}

static void
test_features(void **state)
{
	struct smtp_features f;

	(void)state;
	f = features_of("250-PIPELINING\n250-8BITMIME\n250-SIZE 52428800\n250-SMTPUTF8\n"
			"250-STARTTLS\n250 REQUIRETLS\n");
	assert_true(f.pipelining && f.eightbitmime && f.smtputf8 && f.starttls && f.requiretls);
	assert_true(f.size);
	assert_int_equal(f.size_limit, 52428800);

	f = features_of("250-pipelining\n250-Size\n250 StartTLS now\n");
	assert_true(f.pipelining && f.size && f.starttls);
	assert_false(f.eightbitmime || f.smtputf8 || f.requiretls);
	assert_int_equal(f.size_limit, 0);

	f = features_of("250-PIPELININGX\n250-XSTARTTLS\n250-STARTTLS=1\n250-HELP STARTTLS\n"
			"250\n250 \n");
	assert_false(f.pipelining || f.eightbitmime || f.smtputf8 || f.starttls || f.size);
}

static void
test_features_that_are_dropped(void **state)
{
	struct smtp_features f = features_of("250-PIPELINING\n250-SIZE 52428800\n250 8BITMIME\n");

	(void)state;
	smtp_features_drop(&f, "DSN");
	smtp_features_drop(&f, "PIPELININ");
	assert_true(f.pipelining && f.size && f.eightbitmime);
	smtp_features_drop(&f, "pipelining");
	assert_true(!f.pipelining && f.size && f.eightbitmime);
	smtp_features_drop(&f, "SIZE");
	assert_false(f.size);
	assert_int_equal(f.size_limit, 0);
}

static void
test_size_limits(void **state)
{
	static const struct {
		const char *line;
		uint64_t limit;
	} cases[] = {
		{ "250 SIZE 1000\n", 1000 },
		{ "250 SIZE 0\n", 0 },
		{ "250 SIZE\n", 0 },
		{ "250 SIZE 18446744073709551615\n", UINT64_MAX },
		{ "250 SIZE 18446744073709551616\n", 0 },
		{ "250 SIZE -1\n", 0 },
		{ "250 SIZE 10k\n", 0 },
		{ "250 SIZE  7 x\n", 7 },
	};
	struct smtp_features f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f = features_of(cases[i].line);
		assert_true(f.size);
		assert_true(f.size_limit == cases[i].limit);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_garbled),
		cmocka_unit_test(test_a_nul_is_text),
		cmocka_unit_test(test_a_2_after_the_dot_is_a_yes),
		cmocka_unit_test(test_text_beyond_the_bound_is_dropped),
		cmocka_unit_test(test_a_reply_without_an_end),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_features_that_are_dropped),
		cmocka_unit_test(test_size_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
