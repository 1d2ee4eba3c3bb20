/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Octets as gzip members (RFC 1952). Pure; any thread.
 */
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Adds one member to packed, the same for the same octets. */
void gzip(const void *octets, size_t length, struct buf *packed);

bool gzip_is(const void *octets, size_t length);	/* by the first octets */
/* Adds what the members hold to octets. 0, or -1: they are damaged, cut, or hold more than most. */
int gzip_unpack(const void *packed, size_t length, size_t most, struct buf *octets);

#endif
