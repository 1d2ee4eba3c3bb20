/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/plan_facts.h"

/* The words of text, which may be NULL. */
static struct conf_strings
split(struct arena *arena, const char *text)
{
	struct conf_strings words = { 0 };
	char *copy = arena_strdup(arena, text != NULL ? text : ""), *rest = copy, *word;

	words.at = arena_array(arena, strlen(copy) + 1, sizeof(char *));
	while ((word = strtok_r(rest, " ", &rest)) != NULL)
		words.at[words.count++] = word;
	return words;
}

static void
fill_host(struct arena *arena, const struct test_host *test, struct host_facts *host)
{
	struct conf_strings words = split(arena, test->addresses);
	size_t i;

	host->name = test->name;
	host->preference = test->preference;
	host->address_state = test->state;
	host->addresses = arena_array(arena, words.count, sizeof(struct ip));
	host->address_count = words.count;
	for (i = 0; i < words.count; i++)
		if (ip_parse(words.at[i], &host->addresses[i]) != 0)
			abort();
	if (test->state == DNS_FAILED)
		strcpy(host->why, "SERVFAIL");
}

/* "3 1 1" with a digest of the right length. */
static void
add_tlsa(struct arena *arena, const char *text, struct host_facts *host)
{
	unsigned usage, selector, matching;
	struct tlsa *tlsa = &host->tlsa[host->tlsa_count++];

	if (sscanf(text, "%u %u %u", &usage, &selector, &matching) != 3)
		abort();
	tlsa->usage = (uint8_t)usage;
	tlsa->selector = (uint8_t)selector;
	tlsa->matching = (uint8_t)matching;
	tlsa->length = matching == 2 ? 64 : 32;
	tlsa->data = arena_alloc(arena, tlsa->length);
}

static void
fill_tlsa(struct arena *arena, const struct test_tlsa *test, struct host_facts *host)
{
	const char *at = test->records;

	host->tlsa_state = test->state;
	if (test->state == TLSA_NOT_ASKED)
		return;
	host->tlsa_base = test->base != NULL ? test->base : host->name;
	host->tlsa_answer = test->answer;
	if (test->state == TLSA_UNKNOWN)
		strcpy(host->tlsa_why, "SERVFAIL");
	if (test->state == TLSA_USABLE && at == NULL)
		at = "3 1 1";
	host->tlsa = arena_array(arena, TEST_HOSTS_MAX, sizeof(struct tlsa));
	for (; at != NULL; at = strchr(at, ',')) {
		at += strspn(at, ", ");
		add_tlsa(arena, at, host);
	}
}

static const struct sts_policy *
make_policy(struct arena *arena, const struct test_facts *test)
{
	struct sts_policy *policy = arena_alloc(arena, sizeof(*policy));
	struct conf_strings words = split(arena, test->patterns);

	policy->mode = test->mode;
	policy->max_age = 604800;
	strcpy(policy->id, "2016Z");
	policy->mx = words.at;
	policy->mx_count = words.count;
	policy->body = "";
	return policy;
}

struct facts *
test_facts_make(struct arena *arena, const struct test_facts *test)
{
	struct facts *facts = arena_alloc(arena, sizeof(*facts));

	facts->domain = test->domain != NULL ? test->domain : "example.com";
	facts->mx = test->mx;
	facts->mx_state = test->mx_state;
	facts->mx_canonical = test->mx_canonical;
	facts->relay_address = test->relay_address;
	facts->hosts = arena_array(arena, TEST_HOSTS_MAX, sizeof(struct host_facts));
	while (facts->host_count < TEST_HOSTS_MAX && test->hosts[facts->host_count].name != NULL) {
		fill_host(arena, &test->hosts[facts->host_count], &facts->hosts[facts->host_count]);
		fill_tlsa(arena, &test->tlsa[facts->host_count], &facts->hosts[facts->host_count]);
		facts->host_count++;
	}
	facts->resolver = test->resolver;
	snprintf(facts->resolver_fault, sizeof(facts->resolver_fault), "%s",
	    test->resolver_fault != NULL ? test->resolver_fault : "");
	facts->sts.state = test->sts;
	if (test->sts == STS_VALID)
		facts->sts.policy = make_policy(arena, test);
	if (test->sts_finding != RESULT_OK)
		finding_set(&facts->sts.finding, test->sts_finding, "http-404");
	return facts;
}

struct plan *
test_plan_from(struct arena *arena, const struct test_facts *test, const struct facts *facts)
{
	struct conf_strings match = split(arena, test->match);
	struct conf_strings own_names = split(arena, test->own_names);
	struct plan_rules rules = { .sts_enforce = test->enforce,
		.dane_enforce = test->dane,
		.tls = test->tls,
		.match = &match,
		.hostname = "out.example.net",
		.own_names = &own_names,
		.allow_private = !test->refuse_private,
		.ipv6_first = !test->ipv4_first,
		.plaintext_retry = !test->no_plaintext_retry,
		.min_protocol = test->min_protocol,
		.wish = test->wish,
		.seed = test->seed };

	return plan_make(arena, facts, &rules);
}

struct plan *
test_plan_make(struct arena *arena, const struct test_facts *test)
{
	return test_plan_from(arena, test, test_facts_make(arena, test));
}

const char *
test_plan_used(struct arena *arena, const struct plan *plan)
{
	const char *names = "";
	size_t i;

	for (i = 0; i < plan->host_count && plan->hosts[i].use; i++)
		names = arena_printf(arena, "%s%s%s", names, i > 0 ? " " : "", plan->hosts[i].name);
	return names;
}

const struct plan_host *
test_plan_host(const struct plan *plan, const char *name)
{
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		if (strcmp(plan->hosts[i].name, name) == 0)
			return &plan->hosts[i];
	return NULL;
}
