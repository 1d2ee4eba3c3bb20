/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "policy/dns/dns_data.h"
#include "tests/fuzz/fuzz.h"

static void
check_name(const char *text, size_t room)
{
	const unsigned char *at = (const unsigned char *)text;

	if (memchr(text, '\0', room) == NULL)
		abort();
	for (; *at != '\0'; at++)
		if (*at <= 0x20 || *at >= 0x7f || (*at >= 'A' && *at <= 'Z'))
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	char text[DOMAIN_MAX], small[8];
	size_t joined;
	const char *octets;
	uint16_t preference;
	struct ip ip;

	if (dns_name_text(input, length, text, sizeof(text)) == 0)
		check_name(text, sizeof(text));
	if (dns_name_text(input, length, small, sizeof(small)) == 0)
		check_name(small, sizeof(small));
	if (dns_mx_parse(input, length, &preference, text, sizeof(text)) == 0)
		check_name(text, sizeof(text));
	if (dns_address_parse(input, length, &ip) == 0 && length != (ip.v6 ? 16 : 4))
		abort();
	if (dns_txt_join(arena, input, length, &octets, &joined) == 0 &&
	    (joined > LIMIT_TXT_RECORD + 1 || joined >= length))
		abort();
	arena_free(arena);
	return 0;
}
