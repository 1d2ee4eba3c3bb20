/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * FNV-1a, 64 bits: for tables, and for checksums against accidents. Pure. Peers can find
 * collisions, so that a table whose keys they choose is bounded or starts from a random seed.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_START	0xcbf29ce484222325U

/* hash: HASH_START, with or without a seed in it, or the hash of what came before. */
uint64_t hash_add(uint64_t hash, const void *octets, size_t length);
uint64_t hash_text(const char *text);

#endif
