/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* A stream and the descriptor of its peer; an io that reads prepared octets. For tests. */
#ifndef TESTS_UNIT_STREAM_PAIR_H
#define TESTS_UNIT_STREAM_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/stream.h"

#define SOON	20000	/* ms, more than a loaded machine needs */

/* The stream under test and the descriptor of its peer. */
struct pair {
	struct stream *stream;
	int peer;
};

struct pair pair_new(void);
struct pair pair_new_tcp(void);
void pair_free(struct pair pair);
void peer_says(struct pair pair, const char *octets, size_t length);
void peer_leaves(struct pair *pair);
/* The next line must be octets, or what has come of it by status, in a buffer of room octets. */
void expect_line(struct stream *stream, size_t room, enum stream_status status, const char *octets,
    size_t length);

/* An io that hands out prepared octets in segments of chosen sizes. */
struct script {
	const char *octets;
	size_t length, at;
	unsigned seed;
	size_t most;	/* octets a read */
	bool closed;
};

extern const struct stream_ops script_ops;	/* of a struct script; cannot be written to */
ssize_t script_read(void *io, void *octets, size_t room, struct deadline deadline);
void upgrade_to_script(struct pair pair, struct script *script);

#endif
