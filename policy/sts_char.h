/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The character classes of RFC 8461's grammars, whatever the locale. For sts.c and sts_policy.c
 * alone.
 */
#ifndef POLICY_STS_CHAR_H
#define POLICY_STS_CHAR_H

#include <stdbool.h>

static inline bool
sts_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static inline bool
sts_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool
sts_is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || sts_is_digit(c);
}

static inline char
sts_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

#endif
