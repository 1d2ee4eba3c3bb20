/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <openssl/sha.h>

#include "base/digest.h"

void
digest(const void *octets, size_t length, char text[DIGEST_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char sum[SHA256_DIGEST_LENGTH];
	size_t i;

	(void)SHA256(octets, length, sum);
	for (i = 0; i < (DIGEST_TEXT - 1) / 2; i++) {
		text[2 * i] = digits[sum[i] >> 4];
		text[2 * i + 1] = digits[sum[i] & 15];
	}
	text[DIGEST_TEXT - 1] = '\0';
}
