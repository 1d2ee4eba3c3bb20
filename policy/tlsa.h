/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does a host's TLSA record set ask for (RFC 6698, 7671, 7672)? Plain values; pure: results
 * are the arena's, data stays where the record lies. Any thread.
 */
#ifndef POLICY_TLSA_H
#define POLICY_TLSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum tlsa_usage { TLSA_USAGE_DANE_TA = 2, TLSA_USAGE_DANE_EE = 3 };
enum tlsa_selector { TLSA_SELECTOR_CERTIFICATE = 0, TLSA_SELECTOR_KEY = 1 };
enum tlsa_matching { TLSA_MATCHING_FULL = 0, TLSA_MATCHING_SHA256 = 1, TLSA_MATCHING_SHA512 = 2 };

struct tlsa {
	uint8_t usage;	/* 2 DANE-TA, 3 DANE-EE; others are unusable for SMTP (RFC 7672 3.1.3) */
	uint8_t selector;	/* 0 certificate, 1 public key */
	uint8_t matching;	/* 0 in full, 1 SHA-256, 2 SHA-512 */
	const uint8_t *data;	/* certificate association data */
	size_t length;
};

/* The wire data of one record (RFC 6698 2.1). What is too short for one becomes a record that
 * nothing can use: a broken record is not the same as none. */
void tlsa_parse(const uint8_t *wire, size_t length, struct tlsa *tlsa);
/* Can a certificate be held against it (RFC 7672 3.1)? */
bool tlsa_is_usable(const struct tlsa *tlsa);
/* Those that a certificate is to be matched with, in their order: the usable ones, and among
 * digests of the same usage and selector the strongest alone (RFC 7671 9). Returns how many;
 * *usable is the arena's. 0 with count > 0: TLS with anyone (RFC 7672 2.2). */
size_t tlsa_select(struct arena *arena, const struct tlsa *all, size_t count, struct tlsa **usable);
/* "3 1 1 HEX", with the data in capitals, as reports have it (RFC 8460 4.4). */
const char *tlsa_text(struct arena *arena, const struct tlsa *tlsa);

#endif
