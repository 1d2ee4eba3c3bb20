/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/domain.h"
#include "base/utc.h"
#include "base/conf/conf.h"
#include "policy/sts.h"
#include "shim/control/control_history.h"
#include "shim/control/control_why.h"

#define ENTRIES_MAX	50	/* the last ones are shown */
#define DAY_S	86400
#define ALIKE	3	/* so many other domains without a common host are a sign */
#define OTHERS_MAX	1000	/* refused domains that are looked at */

struct why {
	struct arena *arena;
	const struct gatherer *gatherer;
	struct history *history;
	const char *domain;
	json_t *entries, *signs, *advice;
	bool cached;
	struct sts_entry policy;
	struct history_last last;
	const struct conf_destination *destination;
	/* of the history, 0: none */
	int64_t refused_s, would_s;	/* the last one */
	int64_t since_s;	/* the first one after the last success */
	const char *host, *result, *leaf, *dane;	/* of the last one; leaf: its chain */
	bool new_chain;	/* the host showed another chain before */
	/* other domains within a day */
	unsigned at_host, elsewhere;
	const char *before;
};

static bool
see_entry(void *context, const char *key, const struct history_entry *entry)
{
	struct why *why = context;
	int64_t *last = entry->kind == HISTORY_REFUSED ? &why->refused_s : &why->would_s;

	(void)key;
	if (entry->kind == HISTORY_ALARM)
		return true;
	if (entry->last_s > *last)
		*last = entry->last_s;
	if (entry->last_s >= why->last.verified_s &&
	    (why->since_s == 0 || entry->first_s < why->since_s))
		why->since_s = entry->first_s;
	if (why->leaf != NULL && entry->chain != NULL && why->host != NULL && entry->host != NULL &&
	    strcmp(why->host, entry->host) == 0 && strcmp(why->leaf, entry->chain) != 0)
		why->new_chain = true;
	why->host = entry->host != NULL ? arena_strdup(why->arena, entry->host) : NULL;
	why->result = entry->result != NULL ? arena_strdup(why->arena, entry->result) : "";
	why->leaf = entry->chain != NULL ? arena_strdup(why->arena, entry->chain) : NULL;
	why->dane = entry->policy != NULL && strcmp(entry->policy, "dane") == 0 ? "dane" : NULL;
	json_array_append_new(why->entries, control_history_entry(entry));
	if (json_array_size(why->entries) > ENTRIES_MAX)
		json_array_remove(why->entries, 0);
	return true;
}

static bool
see_other(void *context, const char *key, const struct history_entry *entry)
{
	struct why *why = context;

	(void)key;
	if (strcmp(entry->domain, why->domain) == 0 || entry->domain[0] == '\0' ||
	    (why->before != NULL && strcmp(why->before, entry->domain) == 0))
		return true;
	why->before = arena_strdup(why->arena, entry->domain);
	if (why->host != NULL && entry->host != NULL && strcmp(why->host, entry->host) == 0)
		why->at_host++;
	else
		why->elsewhere++;
	return why->at_host + why->elsewhere < OTHERS_MAX;
}

static void
say(json_t *list, const char *text)
{
	json_array_append_new(list, json_string(text));
}

static const char *
time_text(struct why *why, int64_t wall_s)
{
	char *text = arena_alloc(why->arena, UTC_TEXT_MAX);

	utc_text(wall_s, text);
	return text;
}

static bool
is_result(const struct why *why, const char *result)
{
	return why->result != NULL && strcmp(why->result, result) == 0;
}

static void
find_signs(struct why *why)
{
	struct arena *arena = why->arena;
	const char *host = why->host != NULL ? why->host : "the host";

	if (is_result(why, "starttls-not-supported") && why->last.verified_s != 0)
		say(why->signs,
		    arena_printf(arena,
			"STARTTLS was offered, and a certificate was verified at %s, until %s: it "
			"may be stripped on the way",
			why->last.host, time_text(why, why->last.verified_s)));
	else if (why->last.verified_s != 0)
		say(why->signs,
		    arena_printf(arena, "the last verified delivery went to %s, at %s",
			why->last.host, time_text(why, why->last.verified_s)));
	if (why->new_chain)
		say(why->signs, arena_printf(arena, "the certificate of %s has changed", host));
	if (is_result(why, "validation-failure") && why->leaf == NULL)
		say(why->signs,
		    arena_printf(arena,
			"%s is not listed by the policy: a new MX host, or a forged "
			"answer",
			host));
	if (why->cached && why->policy.last_error[0] != '\0')
		say(why->signs,
		    arena_printf(arena, "the last fetch of the policy failed: %s",
			why->policy.last_error));
	if (why->at_host > 0)
		say(why->signs,
		    arena_printf(arena, "%u other domains were refused at %s within a day",
			why->at_host, host));
	if (why->elsewhere >= ALIKE)
		say(why->signs,
		    arena_printf(arena,
			"%u domains at other hosts were refused within a day: look at this site's "
			"network and resolver first",
			why->elsewhere));
}

static void
find_advice(struct why *why, const char *state)
{
	struct arena *arena = why->arena;

	if (strcmp(state, "unknown") == 0 || strcmp(state, "flowing") == 0) {
		say(why->advice,
		    arena_printf(arena, "to try its hosts now: stsgate check %s", why->domain));
		return;
	}
	say(why->advice,
	    arena_printf(arena, "see whether it still fails: stsgate check %s", why->domain));
	say(why->advice,
	    arena_printf(arena, "tell the postmaster of %s, with the host, time and reply above",
		why->domain));
	if (is_result(why, "validation-failure") && why->cached)
		say(why->advice,
		    arena_printf(arena, "if the domain has a new policy: stsgate cache refresh %s",
			why->domain));
	if (strcmp(state, "refused") == 0)
		say(why->advice,
		    arena_printf(arena,
			"to deliver without proof, if that is acceptable: destination \"%s\" { tls "
			"= \"audit\" } in stsgate.conf, then SIGHUP",
			why->domain));
}

static void
set_text(json_t *json, const char *name, const char *value)
{
	if (value != NULL && value[0] != '\0')
		json_object_set_new(json, name, json_string(value));
}

/* What decides at this domain, and where it is written. */
static json_t *
rule_json(const struct why *why)
{
	const struct conf *conf = why->gatherer->conf;
	const char *published = why->cached ? sts_mode_name(why->policy.policy.mode) : NULL;
	const char *mode = published;
	json_t *rule = json_object();
	const char *source = why->dane != NULL ? "dane" : why->cached ? "sts" : "none";

	if (why->destination != NULL && why->destination->tls != TLS_POLICY) {
		source = "destination";
		mode = conf_tls_name(why->destination->tls);
	} else if (conf->sts.enforce != ENFORCE_ON && why->cached) {
		source = "audit";
		mode = conf->sts.enforce == ENFORCE_AUDIT ? "audit" : "off";
	} else if (why->dane != NULL) {
		mode = "enforce";
	}
	set_text(rule, "source", source);
	if (why->destination != NULL)
		set_text(rule, "where", why->destination->where);
	set_text(rule, "mode", mode);
	if (published != NULL && mode != NULL && strcmp(published, mode) != 0)
		set_text(rule, "published", published);
	if (why->cached)
		set_text(rule, "id", why->policy.policy.id);
	return rule;
}

/* After a restart the history alone tells. */
static enum history_end
end_of(const struct why *why)
{
	if (why->last.end != HISTORY_END_NONE)
		return why->last.end;
	if (why->refused_s == 0 && why->would_s == 0)
		return HISTORY_END_NONE;
	return why->refused_s >= why->would_s ? HISTORY_END_REFUSED : HISTORY_END_WOULD;
}

static const char *
state_of(const struct why *why, int64_t *since_s)
{
	*since_s = why->since_s;
	switch (end_of(why)) {
	case HISTORY_END_REFUSED:
		return "refused";
	case HISTORY_END_WOULD:
		return "would-refuse";
	case HISTORY_END_SENT:
		*since_s = why->last.sent_since_s;
		return "flowing";
	case HISTORY_END_NONE:
		break;
	}
	*since_s = 0;
	return "unknown";
}

static enum store_result
gather_why(struct why *why)
{
	const struct history_query own = { .domain = why->domain, .chains = true };
	const struct history_query others = {
		.of_kind = true, .kind = HISTORY_REFUSED, .since_s = clock_wall_s() - DAY_S
	};
	enum store_result result;

	why->destination = conf_destination_find(why->gatherer->conf, why->domain);
	why->cached = sts_cache_peek(why->gatherer->sts_cache, why->arena, why->domain,
			  &why->policy) == STORE_OK;
	(void)history_last(why->history, why->domain, &why->last);
	result = history_scan(why->history, &own, see_entry, why);
	if (result != STORE_FAILED && why->refused_s != 0)
		result = history_scan(why->history, &others, see_other, why);
	return result;
}

static void
write_answer(struct why *why, struct control_answer *answer)
{
	int64_t since_s;
	const char *state = state_of(why, &since_s);
	json_t *json = json_object();

	if (strcmp(state, "refused") == 0 || strcmp(state, "would-refuse") == 0)
		find_signs(why);
	find_advice(why, state);
	set_text(json, "domain", why->domain);
	set_text(json, "state", state);
	if (since_s != 0)
		set_text(json, "since", time_text(why, since_s));
	if (why->last.verified_s != 0)
		set_text(json, "last_verified", time_text(why, why->last.verified_s));
	json_object_set_new(json, "rule", rule_json(why));
	json_object_set(json, "signs", why->signs);
	json_object_set(json, "entries", why->entries);
	json_object_set(json, "advice", why->advice);
	answer->status = 200;
	answer->text = json_dumps(json, JSON_COMPACT);
	if (answer->text == NULL)
		answer->text = xstrdup("{}");
	json_decref(json);
}

void
control_why(const struct gatherer *gatherer, struct history *history, const char *text,
    struct control_answer *answer)
{
	struct why why = { .gatherer = gatherer, .history = history };
	struct domain domain;

	if (control_domain(text, &domain, answer) != 0)
		return;
	why.domain = domain.name;
	why.arena = arena_new();
	why.entries = json_array();
	why.signs = json_array();
	why.advice = json_array();
	if (gather_why(&why) == STORE_FAILED)
		control_refuse(answer, 500, "the store cannot be read; the log says why");
	else
		write_answer(&why, answer);
	json_decref(why.entries);
	json_decref(why.signs);
	json_decref(why.advice);
	arena_free(why.arena);
}
