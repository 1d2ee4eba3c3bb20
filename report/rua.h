/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Does a domain want TLS reports, and where (RFC 8460 3)? Parses its _smtp._tls TXT records. Pure;
 * any thread. Results live in the caller's arena.
 */
#ifndef REPORT_RUA_H
#define REPORT_RUA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "policy/sts.h"

enum rua_scheme { RUA_MAILTO, RUA_HTTPS };
const char *rua_scheme_name(enum rua_scheme scheme);	/* "mailto", "https" */

struct rua {
	enum rua_scheme scheme;
	/* RUA_MAILTO: the address, %-decoded and without ?query, its domain in A-labels; printable
	 * ASCII without space, but the local part may need quotes: "a,b@example.com".
	 * RUA_HTTPS: the URI as it stands in the record. */
	const char *target;
};

struct rua_list {
	struct rua *at;	/* at most LIMIT_RUAS, in the order of the record, none twice */
	size_t count;
	const char *record;	/* the record that counts, its strings joined */
	const char *why;	/* none counts: what is wrong, in words; "": there is none */
};

/* true: exactly one record counts, and at least one of its URIs can be used. The others are
 * ignored, each by itself; a record that is not as the grammar has it counts for nothing. A record
 * that was stored is read as the only one. */
bool rua_parse(struct arena *arena, const struct sts_text *records, size_t count,
    struct rua_list *list);
/* One URI, as in a destination's reports = "mailto:...". */
bool rua_parse_uri(struct arena *arena, const char *uri, size_t length, struct rua *rua);

/* Would the same report come to the same place twice? */
bool rua_equal(const struct rua *a, const struct rua *b);
/* The address, or the host of the URI, in lower case. */
const char *rua_receiver(struct arena *arena, const struct rua *rua);

#endif
