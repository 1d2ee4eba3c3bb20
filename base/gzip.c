/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>
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

bool
gzip_is(const void *octets, size_t length)
{
	static const unsigned char magic[] = { 0x1f, 0x8b };

	return length >= sizeof(magic) && memcmp(octets, magic, sizeof(magic)) == 0;
}

/* Further members follow the first. */
int
gzip_unpack(const void *packed, size_t length, size_t most, struct buf *octets)
{
	unsigned char chunk[CHUNK];
	z_stream stream = { .next_in = NULL };
	size_t start = octets->length;
	int result;

	if (length > INPUT_MAX || inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
		return -1;
	memcpy(&stream.next_in, &packed, sizeof(packed));	/* zlib reads only */
	stream.avail_in = (unsigned)length;
	do {
		stream.next_out = chunk;
		stream.avail_out = sizeof(chunk);
		result = inflate(&stream, Z_NO_FLUSH);
		buf_add(octets, chunk, sizeof(chunk) - stream.avail_out);
		if (result == Z_STREAM_END && gzip_is(stream.next_in, stream.avail_in))
			result = inflateReset(&stream);
	} while (result == Z_OK && octets->length - start <= most);
	(void)inflateEnd(&stream);
	return result == Z_STREAM_END && octets->length - start <= most ? 0 : -1;
}
