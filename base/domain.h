/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A domain name as everything inside sees it: A-labels (RFC 5890, by libidn2), lower case, no
 * trailing dot, at most 253 octets.
 */
#ifndef BASE_DOMAIN_H
#define BASE_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#define DOMAIN_MAX	254	/* octets with the NUL */

struct domain {
	char name[DOMAIN_MAX];
};

/* 0, or -1: empty, too long, an empty or over-long label, or no valid IDN. One trailing dot is
 * dropped; UTF-8 U-labels become A-labels, also those with emoji; only letters, digits, '-' and '_'
 * may be left. */
int domain_parse(const char *text, size_t length, struct domain *domain);
/* Is this a name that may be dialled and logged: labels of 1 to 63 letters, digits, '-' and '_',
 * 253 octets in all, and no trailing dot? */
bool domain_is_host(const char *name);
/* ASCII case and one trailing dot do not count. */
bool domain_equal(const char *a, const char *b);

#endif
