/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A short name for a long text: the first 80 bits of its SHA-256, so that who chooses the texts is
 * hard put to make two of them meet. Pure; any thread.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>

#define DIGEST_TEXT	21	/* 20 hexadecimal digits, lower case, and the NUL */

void digest(const void *octets, size_t length, char text[DIGEST_TEXT]);

#endif
