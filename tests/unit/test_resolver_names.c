/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/dns/resolver_names.h"

#define LONG	"abcdefghijklmnopqrstuvwxyz0123456789"

/* The texts are libunbound's. */
static const struct {
	const char *text, *token;
} reasons[] = {
	{ "validation failure <d1.example. MX IN>: no signatures from 127.0.0.53",
	    "no-signatures" },
	{ "validation failure <. SOA IN>: no signatures from 127.0.0.53 for trust anchor . while "
	  "building chain of trust",
	    "no-signatures-for-trust-anchor" },
	{ "validation failure <d1.example. MX IN>: key for validation . is marked as invalid "
	  "because of a previous validation failure <. SOA IN>: no signatures from 127.0.0.53 for "
	  "trust anchor . while building chain of trust",
	    "no-signatures-for-trust-anchor" },
	{ "validation failure <. SOA IN>: no DNSKEY rrset for trust anchor . while building chain "
	  "of trust",
	    "no-dnskey-rrset-for-trust-anchor" },
	{ "validation failure <d2.plain. MX IN>: no DNSSEC records from 127.0.0.53 for DS plain. "
	  "while building chain of trust",
	    "no-dnssec-records-for-ds-plain" },
	{ "validation failure <nope.d1.example. MX IN>: no NSEC3 records from 2001:db8::53 and "
	  "192.0.2.1 for DS nope.d1.example. while building chain of trust",
	    "no-nsec3-records-for-ds-nope-d1-example" },
	{ "validation failure <a.example. A IN>: signature expired from 192.0.2.1",
	    "signature-expired" },
	{ "validation failure <a.example. A IN>: key for validation example. is marked as invalid",
	    "key-for-validation-example-is-marked-as-invalid" },
	{ "validation failure <a.example. A IN>: from 192.0.2.1", "bogus" },
	{ "validation failure <a.example. A IN>: from", "bogus" },
	{ "validation failure <a.example. A IN>: ", "bogus" },
	{ "\"\r\n\x1b[31m  no\tsignatures\xff", "31m-no-signatures" },
	{ "", "bogus" },
	{ NULL, "bogus" },
	/* A word that has no room is left out whole, and so is what follows. */
	{ LONG " " LONG " is " LONG " short", LONG "-" LONG "-is" },
	{ LONG LONG LONG LONG, "bogus" },
};

static void
test_reasons(void **state)
{
	char token[DNS_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		resolver_bogus_token(reasons[i].text, token);
		assert_string_equal(token, reasons[i].token);
	}
}

static void
test_faults(void **state)
{
	static const struct {
		enum resolver_health health;
		const char *server, *why, *has, *hint;
	} rows[] = {
		{ RESOLVER_VALIDATES, "192.0.2.1@53", "", "", "" },
		{ RESOLVER_RECURSES, "192.0.2.1@53", "no-signatures", "", "" },
		{ RESOLVER_UNTESTED, "192.0.2.1@53", "", "", "" },
		{ RESOLVER_UNANCHORED, "192.0.2.1@53", "", "", "" },
		{ RESOLVER_BROKEN, "192.0.2.1@53", "no-signatures-for-trust-anchor",
		    "(192.0.2.1) drop DNSSEC records (no-signatures-for-trust-anchor)",
		    "dns.mode to recurse" },
		{ RESOLVER_BROKEN, "192.0.2.1@53", "signature-expired",
		    "do not validate at the sending site (signature-expired)",
		    "(192.0.2.1), dns.trust-anchor or clock" },
		{ RESOLVER_BROKEN, NULL, "signature-expired", "do not validate",
		    "dns.trust-anchor or clock" },
		{ RESOLVER_SILENT, "2001:db8::1@53", "", "(2001:db8::1) do not answer", "" },
		{ RESOLVER_SILENT, NULL, "", "does not answer", "" },
	};
	char words[RESOLVER_FAULT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		resolver_fault_words(rows[i].health, rows[i].server, rows[i].why, words);
		if (strstr(words, rows[i].has) == NULL || strstr(words, rows[i].hint) == NULL ||
		    (words[0] == '\0') != (rows[i].has[0] == '\0'))
			fail_msg("%zu: %s", i, words);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
