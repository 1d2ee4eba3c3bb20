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
#include <stdlib.h>
#include <string.h>

#include "integration/milter/milter_conn.h"
#include "integration/milter/milter_route.h"

static void
test_conn(void **state)
{
	static const struct {
		const char *text, *conn;
	} cases[] = {
		{ "unix:/run/stsgate/milter.sock", "unix:/run/stsgate/milter.sock" },
		{ "/run/m", "unix:/run/m" },
		{ "inet:127.0.0.1:2425", "inet:2425@[127.0.0.1]" },
		{ "inet6:[::1]:2425", "inet6:2425@[::1]" },
		{ "inet:[::1]:65535", "inet6:65535@[::1]" },
	};
	char conn[MILTER_CONN_MAX];
	struct endpoint endpoint;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(endpoint_parse(cases[i].text, &endpoint, &why), 0);
		milter_conn(&endpoint, conn);
		assert_string_equal(conn, cases[i].conn);
	}
}

static void
test_longest_path(void **state)
{
	char text[] = "unix:/"
		      "123456789 123456789 123456789 123456789 123456789 "
		      "123456789 123456789 123456789 123456789 123456789 123456";
	char conn[MILTER_CONN_MAX];
	struct endpoint endpoint;
	const char *why;

	(void)state;
	assert_int_equal(strlen(text), 5 + 107);
	assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
	milter_conn(&endpoint, conn);
	assert_string_equal(conn, text);
}

/* The listeners of the cases below. */
static struct conf_listener
lmtp_listeners(struct endpoint endpoints[3])
{
	static const char *const texts[] = { "unix:/var/spool/postfix/stsgate/lmtp.sock",
		"inet:127.0.0.1:2424", "inet6:[::1]:2424" };
	const char *why;

	for (size_t i = 0; i < 3; i++)
		assert_int_equal(endpoint_parse(texts[i], &endpoints[i], &why), 0);
	return (struct conf_listener){ .listen = endpoints, .count = 3 };
}

static void
test_route(void **state)
{
	static const struct {
		const char *argument, *mailer, *host, *address;
		const char *domain;	/* NULL: not remote */
	} cases[] = {
		/* nothing known of the mailer: Postfix's cleanup, and MTAs that send no macros */
		{ "<u@example.com>", NULL, NULL, NULL, "example.com" },
		{ "u@Example.COM", NULL, NULL, NULL, "example.com" },
		{ "<u@example.com>", NULL, NULL, "u@other.example", "other.example" },
		{ "<u>", NULL, NULL, NULL, NULL },
		{ "<u@>", NULL, NULL, NULL, NULL },
		{ "<u@[192.0.2.1]>", NULL, NULL, NULL, NULL },
		{ "<u@[IPv6:2001:db8::1]>", NULL, NULL, NULL, NULL },
		{ "<\"u@a.example\"@b.example>", NULL, NULL, NULL, "b.example" },
		{ "<u@b\303\274cher.example>", NULL, NULL, NULL, "xn--bcher-kva.example" },
		/* Sendmail */
		{ "<u@x.example>", "esmtp", "d5.example.", "u@d5.example.", "d5.example" },
		{ "<u@x.example>", "relay", "[10.0.0.1]", "u@x.example", NULL },
		{ "<u@x.example>", "smtp8", "", "u@x.example", "x.example" },
		{ "<u@x.example>", "local", "", "u", NULL },
		{ "<u@x.example>", "prog", "", "|cat", NULL },
		{ "<u@x.example>", "*file*", "", "/dev/null", NULL },
		{ "<u@x.example>", "cyrusv2", "", "u@x.example", NULL },
		{ "<u@x.example>", "stsgate", "127.0.0.1", "u@d.example.", "d.example" },
		{ "<u@x.example>", "stsgatefile", "x.example", "<u@d.example.>", "d.example" },
		/* Postfix */
		{ "<u@x.example>", "smtp", "x.example", "u@x.example", "x.example" },
		{ "<u@x.example>", "smtp", "relay.example:587", "u@x.example", "relay.example" },
		{ "<u@x.example>", "smtp", "[relay.example]:587", "u@x.example", NULL },
		{ "<u@x.example>", "slow-smtp", "x.example", "u@x.example", "x.example" },
		{ "<u@x.example>", "local", "x.example", "u@x.example", NULL },
		{ "<u@x.example>", "virtual", "x.example", "u@x.example", NULL },
		{ "<u@x.example>", "error", "5.1.1 no", "u@x.example", NULL },
		{ "<u@x.example>", "lmtp", "unix:private/dovecot-lmtp", "u@x.example", NULL },
		{ "<u@x.example>", "lmtp", "inet:127.0.0.1:2424", "u@x.example", "x.example" },
		{ "<u@x.example>", "lmtp", "127.0.0.1:2424", "u@x.example", "x.example" },
		{ "<u@x.example>", "lmtp", "[127.0.0.1]:2424", "u@x.example", "x.example" },
		{ "<u@x.example>", "lmtp", "inet:[::1]:2424", "u@x.example", "x.example" },
		{ "<u@x.example>", "lmtp", "inet:127.0.0.1:24", "u@x.example", NULL },
		{ "<u@x.example>", "lmtp", "inet:127.0.0.1:24240", "u@x.example", NULL },
		{ "<u@x.example>", "lmtp", "unix:stsgate/lmtp.sock", "u@x.example", "x.example" },
		{ "<u@x.example>", "lmtp", "unix:/stsgate/lmtp.sock", "u@x.example", "x.example" },
		{ "<u@x.example>", "lmtp", "unix:gate/lmtp.sock", "u@x.example", NULL },
		{ "<u@x.example>", "lmtp", "unix:", "u@x.example", NULL },
		{ "<u@x.example>", "lmtp", NULL, "u@x.example", NULL },
	};
	struct endpoint endpoints[3];
	struct conf_listener lmtp = lmtp_listeners(endpoints);
	struct domain domain;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct milter_rcpt rcpt = { cases[i].argument, cases[i].mailer, cases[i].host,
			cases[i].address };
		bool remote = milter_route(&rcpt, &lmtp, &domain);

		assert_string_equal(remote ? domain.name : "(passed over)",
		    cases[i].domain != NULL ? cases[i].domain : "(passed over)");
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_conn),
		cmocka_unit_test(test_longest_path),
		cmocka_unit_test(test_route),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
