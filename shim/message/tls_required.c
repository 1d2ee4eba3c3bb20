/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "shim/message/tls_required.h"

static const char name[] = "tls-required", value[] = "no";
#define NAME_LENGTH	(sizeof(name) - 1)
#define VALUE_LENGTH	(sizeof(value) - 1)

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* RFC 5322 2.2: a field's name is printable. */
static bool
is_name_octet(char c)
{
	return c > ' ' && c <= '~' && c != ':';
}

static void
name_octet(struct tls_required *scan, char c)
{
	scan->ours = scan->ours && scan->name_length < NAME_LENGTH &&
	    lower(c) == name[scan->name_length];
	scan->name_length++;
}

static void
value_octet(struct tls_required *scan, char c)
{
	if (is_blank(c))	/* around the word, and not in it */
		scan->wrong = scan->wrong ||
		    (scan->value_matched > 0 && scan->value_matched < VALUE_LENGTH);
	else if (scan->value_matched < VALUE_LENGTH && lower(c) == value[scan->value_matched])
		scan->value_matched++;
	else
		scan->wrong = true;
}

static void
begin_line(struct tls_required *scan, char c)
{
	if (is_blank(c) && scan->any) {
		scan->state = TLS_REQUIRED_VALUE;
		if (scan->ours)
			value_octet(scan, c);
	} else if (is_name_octet(c)) {
		scan->state = TLS_REQUIRED_NAME;
		scan->ours = true;
		scan->name_length = 0;
		name_octet(scan, c);
	} else {
		scan->state = TLS_REQUIRED_OVER;
	}
}

static void
end_name(struct tls_required *scan)
{
	scan->state = TLS_REQUIRED_VALUE;
	scan->any = true;
	scan->ours = scan->ours && scan->name_length == NAME_LENGTH;
	if (scan->ours) {
		scan->twice = scan->twice || scan->seen;
		scan->seen = true;
	}
}

static void
octet(struct tls_required *scan, char c)
{
	switch (scan->state) {
	case TLS_REQUIRED_LINE:
		begin_line(scan, c);
		break;
	case TLS_REQUIRED_NAME:
	case TLS_REQUIRED_GAP:
		if (c == ':')
			end_name(scan);
		else if (is_blank(c))
			scan->state = TLS_REQUIRED_GAP;
		else if (scan->state == TLS_REQUIRED_NAME && is_name_octet(c))
			name_octet(scan, c);
		else
			scan->state = TLS_REQUIRED_OVER;
		break;
	case TLS_REQUIRED_VALUE:
		if (c == '\n')
			scan->state = TLS_REQUIRED_LINE;
		else if (scan->ours)
			value_octet(scan, c);
		break;
	case TLS_REQUIRED_OVER:
		break;
	}
}

void
tls_required_scan(struct tls_required *scan, const char *octets, size_t length)
{
	size_t i;

	for (i = 0; i < length && scan->state != TLS_REQUIRED_OVER; i++)
		if (octets[i] != '\r')
			octet(scan, octets[i]);
}

bool
tls_required_is_no(const struct tls_required *scan)
{
	return scan->seen && !scan->twice && !scan->wrong && scan->value_matched == VALUE_LENGTH;
}
