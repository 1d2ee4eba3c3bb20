/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "shim/smtp/smtp_reply.h"
#include "tests/fuzz/fuzz.h"

static void
require(int truth)
{
	if (!truth)
		abort();
}

/* The guarantees for all users of a reply. */
static void
check(const struct smtp_reply *reply, enum smtp_reply_state state)
{
	const struct reply *made = &reply->reply;
	const char *c;

	require(memchr(made->text, '\0', sizeof(made->text)) != NULL);
	require(memchr(made->enhanced, '\0', sizeof(made->enhanced)) != NULL);
	for (c = made->text; *c != '\0'; c++)
		require(*c >= 0x20 && *c <= 0x7e);
	require((state == SMTP_REPLY_GARBLED) == (made->code == 0));
	require(made->code == 0 || (made->code >= 200 && made->code <= 599));
	require(made->enhanced[0] == '\0' || made->enhanced[0] - '0' == made->code / 100);
	require(state != SMTP_REPLY_MORE || reply->octets <= LIMIT_SMTP_REPLY);
}

static void
read_lines(const uint8_t *input, size_t length, bool after_dot)
{
	enum smtp_reply_state state = SMTP_REPLY_MORE;
	struct smtp_features features = { 0 };
	struct smtp_reply reply;
	const char *at = (const char *)input, *end;
	size_t line;

	smtp_reply_begin(&reply);
	reply.after_dot = after_dot;
	while (length > 0 && state == SMTP_REPLY_MORE) {
		end = memchr(at, '\n', length);
		line = end != NULL ? (size_t)(end - at) : length;
		state = smtp_reply_add(&reply, at, line);
		check(&reply, state);
		if (state != SMTP_REPLY_GARBLED)
			smtp_features_add(&features, at, line);
		at += end != NULL ? line + 1 : line;
		length -= end != NULL ? line + 1 : line;
	}
	require(features.size_limit == 0 || features.size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	read_lines(input, length, false);
	read_lines(input, length, true);
	return 0;
}
