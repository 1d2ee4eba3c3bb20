/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does a host's TLSA record set ask for (RFC 6698, 7671, 7672)? Plain values; pure.
 */
#ifndef POLICY_TLSA_H
#define POLICY_TLSA_H

#include <stddef.h>
#include <stdint.h>

struct tlsa {
	uint8_t usage;	/* 2 DANE-TA, 3 DANE-EE; others are unusable for SMTP (RFC 7672 3.1.3) */
	uint8_t selector;	/* 0 certificate, 1 public key */
	uint8_t matching;	/* 0 in full, 1 SHA-256, 2 SHA-512 */
	const uint8_t *data;	/* certificate association data */
	size_t length;
};

#endif
