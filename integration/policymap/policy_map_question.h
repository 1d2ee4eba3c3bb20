/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One question to the policy map, from its words to the octets of its answer. Any thread; a
 * question belongs to one.
 */
#ifndef INTEGRATION_POLICYMAP_POLICY_MAP_QUESTION_H
#define INTEGRATION_POLICYMAP_POLICY_MAP_QUESTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "integration/policymap/plan_map.h"
#include "integration/policymap/policy_map_answers.h"
#include "integration/policymap/policy_map_lookups.h"

/* What answering takes, for all sessions. */
struct policy_map_service {
	struct gatherer gatherer;
	struct policy_map_answers *answers;
	struct policy_map_lookups *lookups;
	int64_t answer_ms;	/* within which every question is answered */
};

struct policy_map_question {
	const char *text;	/* "postfix example.com"; the caller's, until it is answered */
	size_t length;
	bool line;	/* of Exim: "policy example.com", "mx example.com mx.example.com" */
	bool known;	/* map, or the line's verb, is one of ours */
	enum plan_map map;
	enum sender_wish wish;	/* of a message that the question is about; MAP_JSON alone */
	enum plan_map_key key;
	struct domain domain;	/* MAP_KEY_DOMAIN */
	struct domain host;	/* of a line */
	bool has_host;
	struct policy_map_lookup *lookup;	/* NULL: none is needed, or none could be started */
	struct deadline deadline;
};

/* Is it a question of a map that was answered just now? Then its answer is added to out. */
bool policy_map_question_answer_again(struct policy_map_service *service, const char *text,
    size_t length, struct buf *out);
/* Parses its words; looks nothing up. Pure. */
void policy_map_question_read(const char *text, size_t length, bool line,
    struct policy_map_question *question);
/* Reads it and sends for what is not known. To be followed by policy_map_question_answer(). */
void policy_map_question_ask(struct policy_map_service *service, const char *text, size_t length,
    bool line, struct policy_map_question *question);
/* Is all known that the answer takes? Waits for it, at most until deadline; false before that when
 * stsgated stops. A deadline of 0 does not wait. */
bool policy_map_question_wait(struct policy_map_service *service,
    const struct policy_map_question *question, struct deadline deadline);
/* Waits, and adds the answer, a netstring or a line, to out. */
void policy_map_question_answer(struct policy_map_service *service,
    struct policy_map_question *question, struct buf *out);

#endif
