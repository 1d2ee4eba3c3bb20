/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is this UTF-8 (RFC 3629 4)? Overlong forms, surrogates and what lies beyond U+10FFFF are not.
 * Pure; any thread.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Octets of the character that text begins with, ASCII included; 0 when it is none or cut. */
size_t utf8_length(const char *text, size_t left);
bool utf8_is_valid(const char *text, size_t length);

#endif
