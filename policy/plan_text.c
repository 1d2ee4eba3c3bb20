/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/utc.h"
#include "policy/plan_text.h"

/* Only printable ASCII goes in: the text may come from a peer, and JSON must be UTF-8. */
static json_t *
ascii(const char *text)
{
	char *copy = xstrdup(text), *c;
	json_t *string;

	for (c = copy; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

/* Unknown values are left out: NULL and "" are unknown. */
static void
set_text(json_t *object, const char *key, const char *text)
{
	if (text != NULL && text[0] != '\0')
		json_object_set_new(object, key, ascii(text));
}

static void
set_time(json_t *object, const char *key, int64_t wall_s)
{
	char text[UTC_TEXT_MAX];

	utc_text(wall_s, text);
	set_text(object, key, text);
}

static const char *
sts_state_name(enum sts_state state)
{
	switch (state) {
	case STS_NOT_ASKED:
		break;
	case STS_NONE:
		return "none";
	case STS_VALID:
		return "valid";
	case STS_FETCH_FAILED:
	case STS_TXT_FAILED:
	case STS_TXT_GIVEN_UP:
	case STS_TXT_BOGUS:
	case STS_HOST_FAILED:
	case STS_HOST_BOGUS:
	case STS_UNKNOWN:
	case STS_STORE_FAILED:
		return "error";
	}
	return NULL;
}

static void
set_policy(json_t *object, const struct sts_facts *sts)
{
	const struct sts_policy *policy = sts->policy;
	json_t *mx = json_array();
	size_t i;

	for (i = 0; i < policy->mx_count; i++)
		json_array_append_new(mx, ascii(policy->mx[i]));
	set_text(object, "mode", sts_mode_name(policy->mode));
	set_text(object, "id", policy->id);
	json_object_set_new(object, "mx", mx);
	json_object_set_new(object, "max_age", json_integer(policy->max_age));
	set_time(object, "fetched", sts->fetched);
	set_time(object, "expires", sts->expires);
	set_text(object, "from", sts->from_cache ? "cache" : "fetch");
}

static void
set_error(json_t *object, const struct sts_facts *sts)
{
	json_t *error = json_object();

	if (sts->finding.type != RESULT_OK)
		set_text(error, "type", result_type_name(sts->finding.type));
	set_text(error, "reason", sts->why[0] != '\0' ? sts->why : sts->finding.reason);
	json_object_set_new(object, "error", error);
}

static json_t *
sts_object(const struct sts_facts *sts)
{
	json_t *object = json_object();
	const char *state = sts_state_name(sts->state);

	set_text(object, "state", state);
	if (sts->state == STS_VALID && sts->policy != NULL)
		set_policy(object, sts);
	if (sts->finding.type != RESULT_OK || (state != NULL && strcmp(state, "error") == 0))
		set_error(object, sts);
	return object;
}

/* The demand of a destination or a sender is not a policy of the host. */
static enum policy_source
host_policy(const struct plan_host *host)
{
	const struct demand *policy = plan_host_policy(host);

	return policy != NULL ? policy->source : SOURCE_NONE;
}

static bool
is_under_sts(const struct plan_host *host)
{
	size_t i;

	for (i = 0; i < host->demand_count; i++)
		if (host->demands[i].source == SOURCE_STS)
			return true;
	return false;
}

/* The known state: the records, or that there are none. */
static void
set_tlsa(json_t *object, const struct plan_host *host)
{
	json_t *array;
	struct arena *arena;
	size_t i;

	if (host->tlsa_state == TLSA_NOT_ASKED || host->tlsa_state == TLSA_UNKNOWN)
		return;
	arena = arena_new();
	array = json_array();
	for (i = 0; i < host->tlsa_count; i++)
		json_array_append_new(array, ascii(tlsa_text(arena, &host->tlsa[i])));
	json_object_set_new(object, "tlsa", array);
	arena_free(arena);
}

static json_t *
address_array(const struct plan_host *host)
{
	json_t *array = json_array();
	char text[IP_TEXT_MAX];
	size_t i;

	for (i = 0; i < host->address_count; i++) {
		ip_format(&host->addresses[i], text);
		json_array_append_new(array, ascii(text));
	}
	return array;
}

static json_t *
host_object(const struct facts *facts, const struct plan_host *host)
{
	json_t *object = json_object();
	bool known = host->address_state == DNS_SECURE || host->address_state == DNS_INSECURE;

	set_text(object, "name", host->name);
	if (facts->mx == MX_LISTED)
		json_object_set_new(object, "preference", json_integer(host->preference));
	if (known || host->address_count > 0)
		json_object_set_new(object, "addresses", address_array(host));
	set_text(object, "dnssec", dns_state_name(host->address_state));
	set_text(object, "policy", policy_source_name(host_policy(host)));
	if (is_under_sts(host))
		json_object_set_new(object, "mx_match", json_boolean(host->mx_match));
	set_tlsa(object, host);
	json_object_set_new(object, "use", json_boolean(host->use));
	set_text(object, "reason", host->reason);
	return object;
}

static char *
dump(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	if (text == NULL)	/* no memory: see base/arena.h */
		abort();
	return text;
}

char *
plan_text_sts(const struct sts_facts *sts)
{
	return dump(sts_object(sts));
}

char *
plan_text_json(const char *domain, const struct facts *facts, const struct plan *plan)
{
	json_t *object = json_object(), *hosts = json_array();
	char line[REPLY_LINE_MAX + 1];
	size_t i;

	set_text(object, "domain", domain);
	set_text(object, "verdict", plan_verdict_name(plan->verdict));
	if (plan->verdict != PLAN_USE) {
		reply_line(&plan->reply, line);
		set_text(object, "reply", line);
	}
	if (facts->sts.state != STS_NOT_ASKED)
		json_object_set_new(object, "sts", sts_object(&facts->sts));
	for (i = 0; i < plan->host_count; i++)
		json_array_append_new(hosts, host_object(facts, &plan->hosts[i]));
	json_object_set_new(object, "hosts", hosts);
	return dump(object);
}
