/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The octets that follow DATA: where they end and what is kept of them must not depend on how they
 * are cut, and what is kept holds no line end but CRLF. The first octet says where to cut.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "shim/message/body.h"
#include "shim/lmtp/lmtp_dot.h"
#include "tests/fuzz/fuzz.h"

struct result {
	size_t taken;
	bool ended;
	struct buf content;
};

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static void
take(struct body_spool *spool, const char *wire, size_t length, size_t piece, struct result *result)
{
	struct lmtp_dot dot = { LMTP_DOT_LINE_START };
	struct body *body = body_new(spool);
	char *out = xmalloc(piece + LMTP_DOT_HELD), octets[61];
	size_t part, made;
	ssize_t got;

	*result = (struct result){ 0 };
	while (result->taken < length && dot.state != LMTP_DOT_END) {
		part = length - result->taken < piece ? length - result->taken : piece;
		result->taken += lmtp_dot_decode(&dot, wire + result->taken, part, out, &made);
		require(body_add(body, out, made) == 0);
	}
	require(body_end(body) == 0);
	while ((got = body_read(body, result->content.length, octets, sizeof(octets))) > 0)
		buf_add(&result->content, octets, (size_t)got);
	require(got == 0 && result->content.length == body_size(body));
	result->ended = dot.state == LMTP_DOT_END;
	body_free(body);
	free(out);
}

static void
check_line_ends(const struct buf *content)
{
	size_t i;

	for (i = 0; i < content->length; i++) {
		if (content->data[i] == '\r')
			require(content->data[i + 1] == '\n');
		if (content->data[i] == '\n')
			require(i > 0 && content->data[i - 1] == '\r');
	}
	require(content->length == 0 || content->data[content->length - 1] == '\n');
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct result whole, cut;
	struct body_spool *spool;
	const char *wire;

	if (length < 2)
		return 0;
	wire = (const char *)input + 1;
	length--;
	spool = body_spool_new("/nonexistent", 8 << 20);
	if (length <= 100000) {
		take(spool, wire, length, length, &whole);
		take(spool, wire, length, (size_t)input[0] % 16 + 1, &cut);
		require(whole.taken == cut.taken && whole.ended == cut.ended);
		require(whole.content.length == cut.content.length &&
		    (whole.content.length == 0 ||
			memcmp(whole.content.data, cut.content.data, whole.content.length) == 0));
		if (whole.ended)
			require(whole.taken >= 3 &&
			    memcmp(wire + whole.taken - 3, ".\r\n", 3) == 0 &&
			    (whole.taken == 3 ||
				(whole.taken >= 5 &&
				    memcmp(wire + whole.taken - 5, "\r\n", 2) == 0)));
		check_line_ends(&whole.content);
		buf_free(&whole.content);
		buf_free(&cut.content);
	}
	body_spool_free(spool);
	return 0;
}
