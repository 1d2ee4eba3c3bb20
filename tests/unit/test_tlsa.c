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

#include <openssl/x509.h>

#include "policy/tlsa.h"
#include "tests/unit/mx_certs.h"

static struct arena *arena;
static uint8_t *certificate, *key;	/* DER */
static size_t certificate_length, key_length;

static int
setup(void **state)
{
	struct cert *cert = cert_make(&(struct cert_wish){ .names = { "mx.example" } });
	int length;

	(void)state;
	arena = arena_new();
	length = i2d_X509(cert_x509(cert), &certificate);
	assert_true(length > 0);
	certificate_length = (size_t)length;
	length = i2d_PUBKEY(cert_key(cert), &key);
	assert_true(length > 0);
	key_length = (size_t)length;
	cert_free(cert);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	OPENSSL_free(certificate);
	OPENSSL_free(key);
	arena_free(arena);
	return 0;
}

/* On the heap at its exact size, so that a sanitizer sees any step too far. */
static uint8_t *
wire_of(int usage, int selector, int matching, const uint8_t *data, size_t length)
{
	uint8_t *wire = malloc(3 + length);

	wire[0] = (uint8_t)usage;
	wire[1] = (uint8_t)selector;
	wire[2] = (uint8_t)matching;
	if (length > 0)
		memcpy(wire + 3, data, length);
	return wire;
}

static void
test_usable(void **state)
{
	static const struct {
		const char *name;
		int usage, selector, matching;
		size_t length;	/* of zeros */
		bool usable;
	} cases[] = {
		{ "3 1 1", 3, 1, 1, 32, true },
		{ "3 0 1", 3, 0, 1, 32, true },
		{ "3 1 2", 3, 1, 2, 64, true },
		{ "2 0 1", 2, 0, 1, 32, true },
		{ "2 1 1", 2, 1, 1, 32, true },
		{ "2 0 2", 2, 0, 2, 64, true },
		{ "G8 PKIX-TA", 0, 0, 1, 32, false },
		{ "G8 PKIX-EE", 1, 1, 1, 32, false },
		{ "G8 usage 4", 4, 1, 1, 32, false },
		{ "G8 PrivCert", 255, 1, 1, 32, false },
		{ "G8 selector 2", 3, 2, 1, 32, false },
		{ "G8 PrivSel", 3, 255, 1, 32, false },
		{ "G8 matching 3", 3, 1, 3, 32, false },
		{ "G8 PrivMatch", 3, 1, 255, 32, false },
		{ "no data", 3, 1, 1, 0, false },
		{ "a digest cut", 3, 1, 1, 31, false },
		{ "a digest too long", 3, 1, 1, 33, false },
		{ "a SHA-256 as a SHA-512", 3, 1, 2, 32, false },
		{ "a SHA-512 as a SHA-256", 3, 1, 1, 64, false },
		{ "3 0 0 without data", 3, 0, 0, 0, false },
		{ "3 0 0 of zeros", 3, 0, 0, 300, false },
		{ "3 1 0 of zeros", 3, 1, 0, 91, false },
	};
	static const uint8_t zeros[300];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *wire = wire_of(cases[i].usage, cases[i].selector, cases[i].matching, zeros,
		    cases[i].length);
		struct tlsa tlsa;

		tlsa_parse(wire, 3 + cases[i].length, &tlsa);
		assert_int_equal(tlsa.usage, cases[i].usage);
		assert_int_equal(tlsa.length, cases[i].length);
		if (tlsa_is_usable(&tlsa) != cases[i].usable)
			fail_msg("%s", cases[i].name);
		free(wire);
	}
}

static bool
usable_full(int usage, int selector, const uint8_t *data, size_t length)
{
	uint8_t *wire = wire_of(usage, selector, 0, data, length);
	struct tlsa tlsa;
	bool usable;

	tlsa_parse(wire, 3 + length, &tlsa);
	usable = tlsa_is_usable(&tlsa);
	free(wire);
	return usable;
}

static void
test_full_data(void **state)
{
	uint8_t *longer = calloc(1, certificate_length + key_length + 1);

	(void)state;
	assert_true(usable_full(3, 0, certificate, certificate_length));
	assert_true(usable_full(2, 0, certificate, certificate_length));
	assert_true(usable_full(3, 1, key, key_length));
	assert_true(usable_full(2, 1, key, key_length));
	/* One for the other, cut, and with octets behind. */
	assert_false(usable_full(3, 0, key, key_length));
	assert_false(usable_full(3, 1, certificate, certificate_length));
	assert_false(usable_full(3, 0, certificate, certificate_length - 1));
	assert_false(usable_full(3, 1, key, key_length - 1));
	memcpy(longer, certificate, certificate_length);
	assert_false(usable_full(3, 0, longer, certificate_length + 1));
	memcpy(longer, key, key_length);
	assert_false(usable_full(3, 1, longer, key_length + 1));
	free(longer);
}

static void
test_broken_records(void **state)
{
	static const uint8_t wire[] = { 3, 1 };
	struct tlsa tlsa;

	(void)state;
	for (size_t length = 0; length <= sizeof(wire); length++) {
		tlsa_parse(wire, length, &tlsa);
		assert_false(tlsa_is_usable(&tlsa));
		assert_int_equal(tlsa.length, 0);
		assert_string_equal(tlsa_text(arena, &tlsa), "255 255 255 ");
	}
}

static const char *
set_text(const struct tlsa *set, size_t count)
{
	const char *text = "";

	for (size_t i = 0; i < count; i++)
		text = arena_printf(arena, "%s%s%u %u %u", text, i > 0 ? ", " : "", set[i].usage,
		    set[i].selector, set[i].matching);
	return text;
}

/* RFC 7671 9, and G9: those that are usable decide. */
static void
test_sets(void **state)
{
	static const struct {
		const char *name;
		uint8_t set[6][3];
		size_t count;
		const char *selected;
	} cases[] = {
		{ "none", { { 0 } }, 0, "" },
		{ "one", { { 3, 1, 1 } }, 1, "3 1 1" },
		{ "both digests: the stronger", { { 3, 1, 1 }, { 3, 1, 2 } }, 2, "3 1 2" },
		{ "the other order", { { 3, 1, 2 }, { 3, 1, 1 } }, 2, "3 1 2" },
		{ "by selector", { { 3, 1, 1 }, { 3, 0, 2 } }, 2, "3 1 1, 3 0 2" },
		{ "by usage", { { 3, 1, 1 }, { 2, 1, 2 } }, 2, "3 1 1, 2 1 2" },
		{ "roll-over", { { 3, 1, 1 }, { 3, 1, 1 } }, 2, "3 1 1, 3 1 1" },
		{ "in full beside digests", { { 3, 1, 0 }, { 3, 1, 1 }, { 3, 1, 2 } }, 3,
		    "3 1 0, 3 1 2" },
		{ "G9 mixed", { { 0, 0, 1 }, { 3, 1, 1 }, { 1, 1, 1 }, { 3, 9, 1 } }, 4, "3 1 1" },
		{ "G9 the stronger is unusable", { { 3, 1, 1 }, { 1, 1, 2 } }, 2, "3 1 1" },
		{ "G8 all unusable", { { 0, 0, 1 }, { 1, 1, 1 }, { 255, 0, 0 } }, 3, "" },
	};
	static const uint8_t zeros[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tlsa set[6], *usable;
		size_t selected;

		for (size_t j = 0; j < cases[i].count; j++) {
			const uint8_t *fields = cases[i].set[j];

			set[j] = (struct tlsa){ fields[0], fields[1], fields[2],
				fields[2] == 0 ? key : zeros,
				fields[2] == 0       ? key_length
				    : fields[2] == 1 ? 32
						     : 64 };
		}
		selected = tlsa_select(arena, set, cases[i].count, &usable);
		if (strcmp(set_text(usable, selected), cases[i].selected) != 0)
			fail_msg("%s: %s", cases[i].name, set_text(usable, selected));
	}
}

static void
test_a_cut_digest_outdoes_nothing(void **state)
{
	static const uint8_t zeros[64];
	struct tlsa set[] = { { 3, 1, 1, zeros, 32 }, { 3, 1, 2, zeros, 63 } }, *usable;

	(void)state;
	assert_int_equal(tlsa_select(arena, set, 2, &usable), 1);
	assert_int_equal(usable[0].matching, 1);
}

static void
test_text(void **state)
{
	static const uint8_t data[] = { 0x00, 0x0a, 0xff };
	struct tlsa tlsa = { 3, 1, 1, data, sizeof(data) };

	(void)state;
	assert_string_equal(tlsa_text(arena, &tlsa), "3 1 1 000AFF");
	tlsa = (struct tlsa){ 255, 255, 255, data, 1 };
	assert_string_equal(tlsa_text(arena, &tlsa), "255 255 255 00");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usable),
		cmocka_unit_test(test_full_data),
		cmocka_unit_test(test_broken_records),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_a_cut_digest_outdoes_nothing),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
