/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Octets as one gzip member (RFC 1952), the same for the same octets. Pure; any thread.
 */
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include <stddef.h>

#include "base/buf.h"

void gzip(const void *octets, size_t length, struct buf *packed);	/* added to packed */

#endif
