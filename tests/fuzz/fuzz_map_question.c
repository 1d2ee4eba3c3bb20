/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A question to the policy map, a line where the first octet is no digit as on the wire, else what
 * a netstring holds. What is looked up for it is a name, and one that names no next hop is known to
 * be none.
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "integration/policymap/policy_map_question.h"
#include "tests/fuzz/fuzz.h"

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static void
read_question(const char *text, size_t length, bool line)
{
	struct policy_map_question question;

	policy_map_question_read(text, length, line, &question);
	require(question.text == text && question.length == length && question.line == line);
	if (question.key == MAP_KEY_DOMAIN)
		require(domain_is_host(question.domain.name));
	if (question.has_host)
		require(line && domain_is_host(question.host.name));
	if (question.known && line && length > 2 && memcmp(text, "mx ", 3) == 0)
		require(question.has_host || question.key == MAP_KEY_WITHOUT_POLICY);
	if (question.known && memchr(text, '\0', length) != NULL)
		require(question.key == MAP_KEY_BAD);
	require(question.wish == WISH_NONE || question.map == MAP_JSON);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	const char *text = (const char *)input;

	if (length > 0 && text[0] >= '0' && text[0] <= '9')
		read_question(text + 1, length - 1, false);
	else
		read_question(text, length, true);
	return 0;
}
