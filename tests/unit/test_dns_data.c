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

#include "base/limits.h"
#include "policy/dns/dns_data.h"

#define W(wire)	wire, sizeof(wire) - 1

/* On the heap at its exact size, so that a sanitizer sees any step too far. */
static uint8_t *
copy_of(const char *wire, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);

	memcpy(copy, wire, length);
	return copy;
}

static const struct {
	const char *name;
	const char *wire;
	size_t length;
	const char *text;	/* NULL: malformed */
} names[] = {
	{ "a name", W("\4mail\7example\3com\0"), "mail.example.com" },
	{ "capitals", W("\4MAIL\7Example\3cOm\0"), "mail.example.com" },
	{ "the root", W("\0"), "" },
	{ "one label", W("\3mx1\0"), "mx1" },
	{ "underscore", W("\7_mta-st\1a\0"), "_mta-st.a" },
	{ "dot in a label", W("\3a.b\3com\0"), "a\\046b.com" },
	{ "backslash", W("\3a\\b\0"), "a\\092b" },
	{ "space", W("\5ev il\0"), "ev\\032il" },
	{ "NUL", W("\13example\0com\3net\0"), "example\\000com.net" },
	{ "control and DEL", W("\2\x01\x7f\0"), "\\001\\127" },
	{ "8 bit", W("\2\xc3\xb8\0"), "\\195\\184" },
	{ "wildcard", W("\1*\1e\0"), "*.e" },
	{ "nothing", W(""), NULL },
	{ "no root", W("\3com"), NULL },
	{ "label cut", W("\4com"), NULL },
	{ "label cut before the root", W("\3com\1"), NULL },
	{ "octets behind", W("\3com\0x"), NULL },
	{ "a second root", W("\0\0"), NULL },
	{ "compression pointer", W("\3com\xc0\x00"), NULL },
	{ "label type 01",
	    W("\x41"
	      "a\0"),
	    NULL },
	{ "label type 10",
	    W("\x80"
	      "a\0"),
	    NULL },
};

static void
test_names(void **state)
{
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint8_t *wire = copy_of(names[i].wire, names[i].length);
		int result = dns_name_text(wire, names[i].length, text, sizeof(text));

		free(wire);
		if ((result == 0) != (names[i].text != NULL))
			fail_msg("%s: %d", names[i].name, result);
		if (result == 0 && strcmp(text, names[i].text) != 0)
			fail_msg("%s: %s", names[i].name, text);
	}
}

/* Four labels make 255 octets on the wire and 253 in text. */
static size_t
longest_name(uint8_t wire[256], uint8_t last)
{
	size_t at = 0;
	int label;

	for (label = 0; label < 4; label++) {
		wire[at] = label < 3 ? 63 : last;
		memset(wire + at + 1, 'a', wire[at]);
		at += (size_t)wire[at] + 1;
	}
	wire[at] = 0;
	return at + 1;
}

static void
test_name_lengths(void **state)
{
	char text[DOMAIN_MAX], large[400];
	uint8_t wire[300];
	size_t length, room;

	(void)state;
	length = longest_name(wire, 61);
	assert_int_equal(length, 255);
	assert_int_equal(dns_name_text(wire, length, text, sizeof(text)), 0);
	assert_int_equal(strlen(text), 253);
	assert_int_equal(dns_name_text(wire, length, text, sizeof(text) - 1), -1);
	length = longest_name(wire, 62);
	assert_int_equal(dns_name_text(wire, length, large, sizeof(large)), -1);
	memset(wire, 'a', sizeof(wire));
	wire[0] = 64;
	wire[65] = 0;
	assert_int_equal(dns_name_text(wire, 66, large, sizeof(large)), -1);
	wire[0] = 63;
	wire[64] = 0;
	assert_int_equal(dns_name_text(wire, 65, large, sizeof(large)), 0);
	length = longest_name(wire, 61);
	wire[1] = '\0';	/* escaped it no longer fits */
	assert_int_equal(dns_name_text(wire, length, text, sizeof(text)), -1);
	for (room = 0; room < 4; room++)
		assert_int_equal(dns_name_text((const uint8_t *)"\1a\1b", 5, text, room), -1);
	assert_int_equal(dns_name_text((const uint8_t *)"\1a\1b", 5, text, 4), 0);
	assert_int_equal(dns_name_text((const uint8_t *)"", 1, text, 1), 0);
}

static void
test_mx(void **state)
{
	char host[DOMAIN_MAX];
	uint16_t preference = 7;

	(void)state;
	assert_int_equal(dns_mx_parse((const uint8_t *)W("\x12\x34\2mx\1e\0"), &preference, host,
			     sizeof(host)),
	    0);
	assert_int_equal(preference, 0x1234);
	assert_string_equal(host, "mx.e");
	assert_int_equal(dns_mx_parse((const uint8_t *)W("\0\0\0"), &preference, host,
			     sizeof(host)),
	    0);	/* null MX, RFC 7505 */
	assert_int_equal(preference, 0);
	assert_string_equal(host, "");
	assert_int_equal(dns_mx_parse((const uint8_t *)W("\0\12"), &preference, host, sizeof(host)),
	    -1);
	assert_int_equal(dns_mx_parse((const uint8_t *)W("\0"), &preference, host, sizeof(host)),
	    -1);
	assert_int_equal(dns_mx_parse((const uint8_t *)W(""), &preference, host, sizeof(host)), -1);
	assert_int_equal(dns_mx_parse((const uint8_t *)W("\0\12\2mx"), &preference, host,
			     sizeof(host)),
	    -1);
}

static void
test_addresses(void **state)
{
	static const uint8_t v4[] = { 192, 0, 2, 1 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	char text[IP_TEXT_MAX];
	struct ip ip;
	size_t length;

	(void)state;
	assert_int_equal(dns_address_parse(v4, 4, &ip), 0);
	ip_format(&ip, text);
	assert_string_equal(text, "192.0.2.1");
	assert_int_equal(dns_address_parse(v6, 16, &ip), 0);
	ip_format(&ip, text);
	assert_string_equal(text, "2001:db8::1");
	for (length = 0; length < 16; length++)
		if (length != 4)
			assert_int_equal(dns_address_parse(v6, length, &ip), -1);
}

static const struct {
	const char *name;
	const char *wire;
	size_t length;
	const char *text;	/* NULL: malformed */
	size_t text_length;
} txts[] = {
	{ "A1", W("\x0dv=STSv1; id=a"), W("v=STSv1; id=a") },
	{ "A6", W("\x0cv=STSv1; id=\x08policy1;"), W("v=STSv1; id=policy1;") },
	{ "empty string", W("\0"), W("") },
	{ "empty strings between", W("\1a\0\0\1b\0"), W("ab") },
	{ "NUL", W("\3a\0b"), W("a\0b") },
	{ "nothing", W(""), NULL, 0 },
	{ "string cut", W("\4abc"), NULL, 0 },
	{ "second string cut", W("\3abc\1"), NULL, 0 },
};

static void
test_txt(void **state)
{
	struct arena *arena = arena_new();
	const char *octets;
	size_t i, joined;

	(void)state;
	for (i = 0; i < sizeof(txts) / sizeof(txts[0]); i++) {
		uint8_t *wire = copy_of(txts[i].wire, txts[i].length);
		int result = dns_txt_join(arena, wire, txts[i].length, &octets, &joined);

		free(wire);
		if ((result == 0) != (txts[i].text != NULL))
			fail_msg("%s: %d", txts[i].name, result);
		if (result == 0 &&
		    (joined != txts[i].text_length || memcmp(octets, txts[i].text, joined) != 0))
			fail_msg("%s: %.*s", txts[i].name, (int)joined, octets);
	}
	arena_free(arena);
}

/* A38. */
static void
test_long_txt(void **state)
{
	static uint8_t wire[65536];
	struct arena *arena = arena_new();
	const char *octets;
	size_t at, joined;

	(void)state;
	for (at = 0; at < sizeof(wire); at += 256)
		wire[at] = 255;
	assert_int_equal(dns_txt_join(arena, wire, 16 * 256, &octets, &joined), 0);
	assert_int_equal(joined, 16 * 255);
	assert_int_equal(dns_txt_join(arena, wire, 17 * 256, &octets, &joined), 0);
	assert_int_equal(joined, LIMIT_TXT_RECORD + 1);
	assert_int_equal(dns_txt_join(arena, wire, sizeof(wire), &octets, &joined), 0);
	assert_int_equal(joined, LIMIT_TXT_RECORD + 1);
	memset(wire, 0, sizeof(wire));
	assert_int_equal(dns_txt_join(arena, wire, sizeof(wire), &octets, &joined), 0);
	assert_int_equal(joined, 0);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_name_lengths),
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_txt),
		cmocka_unit_test(test_long_txt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
