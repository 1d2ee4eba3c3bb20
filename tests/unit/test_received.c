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
#include <string.h>

#include "base/buf.h"
#include "base/gzip.h"
#include "base/limits.h"
#include "report/received.h"

#define REPORT(id, policies)	\
	"{\"organization-name\":\"Sender\",\"report-id\":\"" id "\"," \
	"\"date-range\":{\"start-datetime\":\"2026-11-29T00:00:00Z\"," \
	"\"end-datetime\":\"2026-11-29T23:59:59Z\"},\"policies\":[" policies "]}"
#define POLICY(good, bad, details)	\
	"{\"policy\":{\"policy-type\":\"sts\",\"policy-domain\":\"d.example\"}," \
	"\"summary\":{\"total-successful-session-count\":" #good "," \
	"\"total-failure-session-count\":" #bad "},\"failure-details\":[" details "]}"
#define DETAIL(count, more)	"{\"failed-session-count\":" #count more "}"
#define WHO	"\"organization\":\"Sender\",\"domain\":\"d.example\",\"policy\":\"sts\","
#define DAYS	",\"first\":\"2026-11-29\",\"last\":\"2026-11-29\"}"

static int
add(struct received *received, const char *text)
{
	const char *why = NULL;
	int status = received_add(received, text, strlen(text), &why);

	assert_true(status == 0 || why != NULL);
	return status;
}

static void
assert_rows(const struct received *received, const char *wanted)
{
	json_t *rows = received_rows(received), *expected = json_loads(wanted, 0, NULL);
	char *text = json_dumps(rows, JSON_COMPACT);

	assert_non_null(expected);
	if (!json_equal(rows, expected))
		fail_msg("%s", text);
	free(text);
	json_decref(expected);
	json_decref(rows);
}

static void
test_one_report(void **state)
{
	static const struct {
		const char *report, *rows;
	} table[] = {
		{ REPORT("1", ""), "" },
		{ REPORT("1", POLICY(3, 0, "")), "{" WHO "\"result\":\"ok\",\"count\":3" DAYS },
		{ REPORT("1", POLICY(0, 2, "")),
		    "{" WHO "\"result\":\"not-detailed\",\"count\":2" DAYS },
		{ REPORT("1",
		      POLICY(0, 3,
			  DETAIL(2,
			      ",\"result-type\":\"starttls-not-supported\""
			      ",\"receiving-mx-hostname\":\"mx.example\""))),
		    "{" WHO "\"result\":\"starttls-not-supported\",\"host\":\"mx.example\","
		    "\"count\":2" DAYS ",{" WHO "\"result\":\"not-detailed\",\"count\":1" DAYS },
		{ REPORT("1", POLICY(0, 0, DETAIL(1, ""))),
		    "{" WHO "\"result\":\"unknown\",\"count\":1" DAYS },
		/* counts that are no counts */
		{ REPORT("1", POLICY(-3, "2", "")), "" },
		{ REPORT("1", POLICY(1.5, null, DETAIL([], ",\"result-type\":\"x\""))),
		    "{" WHO "\"result\":\"x\",\"count\":0" DAYS },
		/* entries that are no entries */
		{ REPORT("1", "null,[],7,\"x\""), "" },
		/* controls, and a sender that gives another name */
		{ "{\"contact-info\":\"a\\u001b[2Jb\\u009b\\u00e9\",\"policies\":["
		  "{\"summary\":{\"total-successful-session-count\":1}}]}",
		    "{\"organization\":\"a?[2Jb?\u00e9\",\"result\":\"ok\",\"count\":1}" },
		{ "{\"policies\":[{\"summary\":{\"total-successful-session-count\":1}}],"
		  "\"date-range\":{\"start-datetime\":\"2026-02-30T\",\"end-datetime\":7}}",
		    "{\"organization\":\"unknown\",\"result\":\"ok\",\"count\":1}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct received *received = received_new();
		struct buf wanted = { 0 };

		assert_int_equal(add(received, table[i].report), 0);
		buf_printf(&wanted, "{\"reports\":1,\"rows\":[%s]}", table[i].rows);
		assert_rows(received, buf_text(&wanted));
		buf_free(&wanted);
		received_free(received);
	}
}

static void
test_what_is_no_report(void **state)
{
	static const char *const table[] = { "", "{", "[]", "7", "{}", "{\"policies\":null}",
		"{\"policies\":{}}", "{\"policies\":[]}x", "{\"policies\":[],\"policies\":[]}",
		"{\"policies\":[\"\xff\"]}" };
	struct received *received = received_new();

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_int_equal(add(received, table[i]), -1);
	assert_rows(received, "{\"reports\":0,\"rows\":[]}");
	received_free(received);
}

/* Equal rows are one over all days; failures come first, the same report counts once. */
static void
test_several_reports(void **state)
{
	struct received *received = received_new();

	(void)state;
	add(received, REPORT("1", POLICY(9, 1, DETAIL(1, ",\"result-type\":\"x\""))));
	add(received, REPORT("1", POLICY(9, 1, DETAIL(1, ",\"result-type\":\"x\""))));
	add(received,
	    "{\"organization-name\":\"Sender\",\"report-id\":\"2\",\"date-range\":"
	    "{\"start-datetime\":\"2026-11-27T\",\"end-datetime\":\"2026-11-28T\"},"
	    "\"policies\":[" POLICY(4, 2, DETAIL(2, ",\"result-type\":\"y\"")) "]}");
	assert_rows(received,
	    "{\"reports\":2,\"rows\":["
	    "{" WHO
	    "\"result\":\"y\",\"count\":2,\"first\":\"2026-11-27\",\"last\":\"2026-11-28\"},"
	    "{" WHO "\"result\":\"x\",\"count\":1" DAYS ","
	    "{" WHO
	    "\"result\":\"ok\",\"count\":13,\"first\":\"2026-11-27\",\"last\":\"2026-11-29\"}"
	    "]}");
	received_free(received);
}

static void
test_bounds(void **state)
{
	struct received *received = received_new();
	struct buf report = { 0 }, name = { 0 };
	json_t *all, *rows;

	(void)state;
	for (size_t i = 0; i < LIMIT_RECEIVED_TEXT; i++)
		buf_add_text(&name, "\xc3\xa9");
	buf_printf(&report, "{\"organization-name\":\"%s\",\"policies\":[", buf_text(&name));
	for (size_t i = 0; i < LIMIT_RECEIVED_ROWS + 5; i++)
		buf_printf(&report,
		    "%s{\"policy\":{\"policy-domain\":\"d%zu\"},\"summary\":"
		    "{\"total-successful-session-count\":9223372036854775807}}",
		    i > 0 ? "," : "", i);
	buf_add_text(&report, "]}");
	assert_int_equal(add(received, buf_text(&report)), -1);
	all = received_rows(received);
	rows = json_object_get(all, "rows");
	assert_int_equal(json_array_size(rows), LIMIT_RECEIVED_ROWS);
	assert_int_equal(json_string_length(json_object_get(json_array_get(rows, 0),
			     "organization")),
	    LIMIT_RECEIVED_TEXT - 1);
	json_decref(all);
	received_free(received);
	buf_free(&report);
	buf_free(&name);
}

static void
test_unpacking(void **state)
{
	struct buf packed = { 0 }, octets = { 0 };

	(void)state;
	gzip("hello ", 6, &packed);
	gzip("world", 5, &packed);
	assert_true(gzip_is(packed.data, packed.length));
	assert_false(gzip_is("\x1f", 1));
	assert_int_equal(gzip_unpack(packed.data, packed.length, 11, &octets), 0);
	assert_string_equal(buf_text(&octets), "hello world");
	buf_clear(&octets);
	assert_int_equal(gzip_unpack(packed.data, packed.length, 10, &octets), -1);
	for (size_t i = 0; i < packed.length; i++) {
		buf_clear(&octets);
		if (gzip_unpack(packed.data, i, 11, &octets) == 0)	/* the first member alone */
			assert_string_equal(buf_text(&octets), "hello ");
	}
	packed.data[packed.length - 6] ^= 1;	/* the checksum of the second */
	assert_int_equal(gzip_unpack(packed.data, packed.length, 11, &octets), -1);
	buf_free(&octets);
	buf_free(&packed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_report),
		cmocka_unit_test(test_what_is_no_report),
		cmocka_unit_test(test_several_reports),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_unpacking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
