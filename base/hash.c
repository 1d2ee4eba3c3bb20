/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/hash.h"

uint64_t
hash_add(uint64_t hash, const void *octets, size_t length)
{
	const unsigned char *at = octets;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ at[i]) * 0x100000001b3U;
	return hash;
}

uint64_t
hash_text(const char *text)
{
	return hash_add(HASH_START, text, strlen(text));
}
