/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/gzip.h"

#define GZIP_WINDOW	(15 + 16)	/* the largest, in a gzip member */
#define MEMORY_LEVEL	8
#define CHUNK	4096
#define INPUT_MAX	(1U << 30)	/* zlib counts octets in unsigned int */

/* zlib sets neither time nor name in the header when it is not told to. */
void
gzip(const void *octets, size_t length, struct buf *packed)
{
	unsigned char chunk[CHUNK];
	z_stream stream = { .next_in = NULL };
	int result;

	if (length > INPUT_MAX ||
	    deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MEMORY_LEVEL,
		Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	memcpy(&stream.next_in, &octets, sizeof(octets));	/* zlib reads only */
	stream.avail_in = (unsigned)length;
	do {
		stream.next_out = chunk;
		stream.avail_out = sizeof(chunk);
		result = deflate(&stream, Z_FINISH);
		buf_add(packed, chunk, sizeof(chunk) - stream.avail_out);
	} while (result == Z_OK || result == Z_BUF_ERROR);
	(void)deflateEnd(&stream);
}
