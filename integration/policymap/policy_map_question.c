/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/netstring.h"
#include "policy/plan_text.h"
#include "integration/policymap/policy_map_question.h"

static const char too_late[] =
    "the look-up takes longer than the time for an answer and continues: ask again";

static void
count(const struct policy_map_question *question, enum plan_map_answer kind)
{
	const char *name = "unknown";

	if (question->known)
		name = question->line ? "line" : plan_map_name(question->map);
	metrics_count(METRIC_MAP_QUERIES, name, plan_map_answer_name(kind));
}

bool
policy_map_question_answer_again(struct policy_map_service *service, const char *text,
    size_t length, struct buf *out)
{
	const char *space = memchr(text, ' ', length);
	struct policy_map_question question = { .known = true };
	enum plan_map_answer kind;

	if (space == NULL || plan_map_find(text, (size_t)(space - text), &question.map) != 0 ||
	    !policy_map_answers_find(service->answers, text, length, clock_monotonic_ms(), out,
		&kind))
		return false;
	count(&question, kind);
	return true;
}

/* The next word of a line, "" at its end. */
static const char *
next_word(const char **at, const char *end, size_t *length)
{
	const char *word;

	while (*at < end && (**at == ' ' || **at == '\t'))
		(*at)++;
	for (word = *at; *at < end && **at != ' ' && **at != '\t'; (*at)++)
		continue;
	*length = (size_t)(*at - word);
	return word;
}

/* The host that an MTA is about to use. That of an address literal may be an address. */
static bool
take_host(struct policy_map_question *question, const char *host, size_t length)
{
	struct domain other;

	question->has_host = domain_parse(host, length, &question->host) == 0;
	return question->has_host ||
	    (length > 0 && question->key == MAP_KEY_WITHOUT_POLICY &&
		plan_map_next_hop(host, length, &other) == MAP_KEY_WITHOUT_POLICY);
}

static void
read_line(struct policy_map_question *question)
{
	const char *at = question->text, *end = at + question->length, *verb, *domain, *host;
	size_t verb_length, domain_length, host_length, rest;

	verb = next_word(&at, end, &verb_length);
	domain = next_word(&at, end, &domain_length);
	host = next_word(&at, end, &host_length);
	(void)next_word(&at, end, &rest);
	question->key = plan_map_next_hop(domain, domain_length, &question->domain);
	if (verb_length == 6 && memcmp(verb, "policy", 6) == 0)
		question->known = domain_length > 0 && host_length == 0;
	else if (verb_length == 2 && memcmp(verb, "mx", 2) == 0)
		question->known = take_host(question, host, host_length) && rest == 0;
}

/* "example.com requiretls" is about a message with that wish. Gives the length of the domain. */
static size_t
read_wish(struct policy_map_question *question, const char *key, size_t length)
{
	static const char wish[] = " requiretls";
	const size_t wish_length = sizeof(wish) - 1;

	if (question->map != MAP_JSON || length < wish_length ||
	    memcmp(key + length - wish_length, wish, wish_length) != 0)
		return length;
	question->wish = WISH_REQUIRETLS;
	return length - wish_length;
}

static void
read_map(struct policy_map_question *question)
{
	const char *space = memchr(question->text, ' ', question->length);
	size_t name_length, key_length;

	if (space == NULL)
		return;
	name_length = (size_t)(space - question->text);
	question->known = plan_map_find(question->text, name_length, &question->map) == 0;
	key_length = read_wish(question, space + 1, question->length - name_length - 1);
	question->key = plan_map_next_hop(space + 1, key_length, &question->domain);
}

/* JSON describes stsgated's own deliveries. */
static bool
is_about_mta(const struct policy_map_question *question)
{
	return question->line || question->map != MAP_JSON;
}

void
policy_map_question_read(const char *text, size_t length, bool line,
    struct policy_map_question *question)
{
	*question = (struct policy_map_question){
		.text = text, .length = length, .line = line, .key = MAP_KEY_BAD
	};
	if (line)
		read_line(question);
	else
		read_map(question);
}

void
policy_map_question_ask(struct policy_map_service *service, const char *text, size_t length,
    bool line, struct policy_map_question *question)
{
	policy_map_question_read(text, length, line, question);
	question->deadline = deadline_in(service->answer_ms);
	if (question->known && question->key == MAP_KEY_DOMAIN)
		question->lookup = policy_map_lookups_join(service->lookups, question->domain.name,
		    is_about_mta(question));
}

bool
policy_map_question_wait(struct policy_map_service *service,
    const struct policy_map_question *question, struct deadline deadline)
{
	return question->lookup == NULL ||
	    policy_map_lookup_wait(service->lookups, question->lookup, deadline);
}

/* By the configuration that the look-up gathered for: another would have asked other questions. */
static void
weigh(struct arena *arena, const struct policy_map_question *question,
    struct plan_map_policy *policy)
{
	const struct policy_map_lookup *lookup = question->lookup;
	const struct conf *conf = lookup->gatherer->conf;
	const struct conf_destination *destination = conf_destination_find(conf,
	    question->domain.name);
	struct plan_map_rules rules = { .tls = destination != NULL ? destination->tls : TLS_POLICY,
		.sts_enforce = conf->sts.enforce,
		.dane_enforce = conf->dane.enforce,
		.dane_by_mta = conf->policy_map.dane_by_mta };

	plan_map_weigh(arena, lookup->facts, lookup->plan, &rules, policy);
}

/* The facts about the domain, for a message with REQUIRETLS. */
static const struct plan *
plan_for_wish(struct arena *arena, const struct policy_map_question *question)
{
	const struct policy_map_lookup *lookup = question->lookup;
	struct plan_rules rules;

	if (question->wish == WISH_NONE)
		return lookup->plan;
	gather_rules(lookup->gatherer, question->domain.name, &rules);
	rules.wish = question->wish;
	return plan_make(arena, lookup->facts, &rules);
}

static enum plan_map_answer
answer_json(struct arena *arena, const struct policy_map_question *question, struct buf *answer)
{
	char *text = plan_text_json(question->domain.name, question->lookup->facts,
	    plan_for_wish(arena, question));
	enum plan_map_answer kind = MAP_ANSWER_OK;

	if (strlen(text) + 3 <= LIMIT_NETSTRING_OUT)
		buf_printf(answer, "OK %s", text);
	else
		kind = plan_map_answer_temp(answer, "the answer would be too long");
	free(text);
	return kind;
}

static enum plan_map_answer
answer_by_plan(const struct policy_map_question *question, struct buf *answer)
{
	struct plan_map_policy policy;
	enum plan_map_answer kind;
	struct arena *arena;

	arena = arena_new();
	if (is_about_mta(question))
		weigh(arena, question, &policy);
	if (question->line)
		kind = plan_map_line(&policy, question->has_host ? question->host.name : NULL,
		    answer);
	else if (question->map == MAP_JSON)
		kind = answer_json(arena, question, answer);
	else
		kind = plan_map_answer(question->map, &policy, answer);
	arena_free(arena);
	return kind;
}

static enum plan_map_answer
answer_unknown(const struct policy_map_question *question, const char *why, struct buf *answer)
{
	if (!question->line)
		return plan_map_answer_temp(answer, why);
	buf_add_text(answer, "mode=error");
	return MAP_ANSWER_TEMP;
}

static enum plan_map_answer
answer_without_policy(const struct policy_map_service *service,
    const struct policy_map_question *question, struct buf *answer)
{
	struct gatherer gatherer;
	enum plan_map_answer kind = MAP_ANSWER_NOTFOUND;

	if (!question->line) {
		buf_add_text(answer, "NOTFOUND ");
		return kind;
	}
	gatherer = gatherer_take(&service->gatherer);
	kind = plan_map_line_without_policy(gatherer.conf->policy_map.dane_by_mta, answer);
	gatherer_give(&gatherer);
	return kind;
}

static enum plan_map_answer
answer(struct policy_map_service *service, const struct policy_map_question *question,
    struct buf *answer)
{
	if (!question->known)
		return answer_unknown(question,
		    "unknown map: the maps are postfix, "
		    "postfix-tlsrpt, sts and json",
		    answer);
	if (question->key == MAP_KEY_BAD)
		return answer_unknown(question, "the next hop is not a domain name", answer);
	if (question->key == MAP_KEY_WITHOUT_POLICY)
		return answer_without_policy(service, question, answer);
	if (question->lookup == NULL)
		return answer_unknown(question, "too many look-ups are under way", answer);
	if (!policy_map_lookup_wait(service->lookups, question->lookup, question->deadline)) {
		metrics_count(METRIC_MAP_TIMEOUTS, NULL, NULL);
		return answer_unknown(question, too_late, answer);
	}
	return answer_by_plan(question, answer);
}

static void
log_wait(const struct policy_map_question *question, const struct buf *answer)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "policy-map");
	log_format(&line, "question", "%.*s", (int)question->length, question->text);
	log_text(&line, "answer", buf_text(answer));
	log_end(&line);
}

/* An answer that makes mail wait is made again for every question. */
static void
keep(struct policy_map_service *service, const struct policy_map_question *question,
    enum plan_map_answer kind, const char *octets, size_t length)
{
	const struct policy_map_lookup *lookup = question->lookup;

	if (question->line || lookup == NULL || kind == MAP_ANSWER_TEMP)
		return;
	policy_map_answers_keep(service->answers, question->text, question->length,
	    lookup->until_ms, lookup->watched, lookup->changes, octets, length, kind);
}

void
policy_map_question_answer(struct policy_map_service *service, struct policy_map_question *question,
    struct buf *out)
{
	struct buf payload = { 0 };
	size_t before = out->length;
	enum plan_map_answer kind = answer(service, question, &payload);

	count(question, kind);
	if (kind == MAP_ANSWER_TEMP)
		log_wait(question, &payload);
	if (question->line) {
		buf_add(out, payload.data, payload.length);
		buf_add_char(out, '\n');
	} else {
		netstring_add(out, payload.data, payload.length);
	}
	keep(service, question, kind, out->data + before, out->length - before);
	if (question->lookup != NULL)
		policy_map_lookup_leave(service->lookups, question->lookup);
	question->lookup = NULL;
	buf_free(&payload);
}
