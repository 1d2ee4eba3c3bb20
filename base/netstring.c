/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "base/netstring.h"

/* The number before the colon. *digits is how many octets it has; all of them are digits when it
 * reaches the end of what is there. */
static enum netstring_status
parse_length(const char *octets, size_t length, size_t limit, size_t *number, size_t *digits)
{
	size_t i;

	*number = 0;
	for (i = 0; i < length && octets[i] >= '0' && octets[i] <= '9'; i++) {
		if (i > 0 && *number == 0)
			return NETSTRING_BAD;
		*number = *number * 10 + (size_t)(octets[i] - '0');
		if (*number > limit)
			return NETSTRING_BAD;
	}
	*digits = i;
	if (i == length)
		return NETSTRING_MORE;
	return i > 0 && octets[i] == ':' ? NETSTRING_OK : NETSTRING_BAD;
}

enum netstring_status
netstring_parse(const char *octets, size_t length, size_t limit, const char **payload,
    size_t *payload_length, size_t *used)
{
	enum netstring_status status;
	size_t number, digits, start;

	status = parse_length(octets, length, limit, &number, &digits);
	if (status != NETSTRING_OK)
		return status;
	start = digits + 1;
	if (length - start <= number)
		return NETSTRING_MORE;
	if (octets[start + number] != ',')
		return NETSTRING_BAD;
	*payload = octets + start;
	*payload_length = number;
	*used = start + number + 1;
	return NETSTRING_OK;
}

void
netstring_add(struct buf *buf, const char *payload, size_t length)
{
	buf_printf(buf, "%zu:", length);
	buf_add(buf, payload, length);
	buf_add_char(buf, ',');
}
