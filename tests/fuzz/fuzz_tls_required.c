/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What a header says of TLS must not depend on where it is cut, and a second field takes back what
 * the first said. The first octet says where to cut.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "shim/message/tls_required.h"
#include "tests/fuzz/fuzz.h"

static const char field[] = "TLS-Required: No\r\n";

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static bool
is_no(const char *before, const char *header, size_t length, size_t piece)
{
	struct tls_required scan = { .state = TLS_REQUIRED_LINE };
	size_t at, part;

	tls_required_scan(&scan, before, strlen(before));
	for (at = 0; at < length; at += part) {
		part = length - at < piece ? length - at : piece;
		tls_required_scan(&scan, header + at, part);
	}
	return tls_required_is_no(&scan);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	const char *header = (const char *)input + 1;
	struct tls_required scan = { .state = TLS_REQUIRED_LINE };
	bool no;

	if (length < 2)
		return 0;
	length--;
	tls_required_scan(&scan, header, length);
	no = tls_required_is_no(&scan);
	require(is_no("", header, length, (size_t)input[0] % 7 + 1) == no);
	require(!no || scan.seen);
	if (scan.seen)
		require(!is_no(field, header, length, length));
	else if (header[0] != ' ' && header[0] != '\t' && header[0] != '\r')
		require(is_no(field, header, length, length));
	return 0;
}
