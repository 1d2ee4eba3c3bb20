/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * MTA-STS on paper (RFC 8461): what a TXT record and a policy file say, and whether they list an
 * MX host. Pure: no clock, no network. Results live in the caller's arena.
 */
#ifndef POLICY_STS_H
#define POLICY_STS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/limits.h"
#include "policy/finding.h"

/* One TXT record, its strings joined without space (RFC 8461 3.1). */
struct sts_text {
	const char *octets;
	size_t length;
};

enum sts_txt_state {
	STS_TXT_NONE,	/* no record that begins with v=STSv1 */
	STS_TXT_VALID,
	STS_TXT_INVALID	/* several, or one that breaks the grammar: as if there were none */
};

/* id is written for STS_TXT_VALID; why (a constant text for the log) for STS_TXT_INVALID, which is
 * sts_txt_several for several records. */
extern const char sts_txt_several[];
enum sts_txt_state sts_txt_parse(const struct sts_text *records, size_t count,
    char id[LIMIT_STS_ID + 1], const char **why);
/* What makes a record none that was most likely meant as one: a constant text, or NULL. */
const char *sts_txt_near_miss(const struct sts_text *records, size_t count);

enum sts_mode { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };
const char *sts_mode_name(enum sts_mode mode);	/* "none", "testing", "enforce" */

struct sts_policy {
	enum sts_mode mode;
	uint32_t max_age;	/* seconds, capped at LIMIT_STS_MAX_AGE */
	bool max_age_capped;	/* the file asked for more */
	char id[LIMIT_STS_ID + 1];	/* of the TXT record that announced it; not in the file */
	char **mx;	/* patterns in file order, lower case, no trailing dot; what is no pattern
			   matches nothing, and may be UTF-8 */
	size_t mx_count;
	const char *body;	/* the file exactly as served */
	size_t body_length;
};

/* 0, or -1 with why: sts-policy-invalid and the line that breaks the grammar (RFC 8461 3.2), or
 * sts-policy-fetch-error for more patterns than LIMIT_STS_MX_PATTERNS. id is left empty. */
int sts_policy_parse(struct arena *arena, const char *body, size_t length,
    struct sts_policy *policy, struct finding *why);
/* Is host (A-labels, any case, with or without its trailing dot) listed (RFC 8461 4.1)? */
bool sts_mx_match(const struct sts_policy *policy, const char *host);
/* One pattern, for tests and for what has no whole policy. */
bool sts_pattern_match(const char *pattern, const char *host);

#endif
