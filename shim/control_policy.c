/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/log.h"
#include "policy/plan_text.h"
#include "shim/control_policy.h"

#define ANSWER_TIME_MS	(60 * 1000)	/* for one request's look-ups and fetch */

static char *
json_text(json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	return text == NULL ? xstrdup("{}") : text;
}

/* 0 with the A-label form, or -1 with 400 answered. */
static int
parse_domain(const char *text, struct domain *domain, struct control_answer *answer)
{
	if (domain_parse(text, strlen(text), domain) == 0)
		return 0;
	control_refuse(answer, 400, "not a domain name");
	return -1;
}

void
control_show_policy(const struct gatherer *gatherer, const char *text,
    struct control_answer *answer)
{
	struct domain domain;
	struct arena *arena;
	struct facts *facts;
	const struct plan *plan;

	if (parse_domain(text, &domain, answer) != 0)
		return;
	arena = arena_new();
	plan = gather_plan(gatherer, arena, domain.name, NULL, deadline_in(ANSWER_TIME_MS),
	    &facts);
	answer->status = 200;
	answer->text = plan_text_json(facts, plan);
	arena_free(arena);
}

static void
add_time(json_t *object, const char *key, int64_t wall_s)
{
	char text[TIME_TEXT_MAX];

	if (wall_s == 0)
		return;
	time_text(wall_s, text);
	json_object_set_new(object, key, json_string(text));
}

static json_t *
entry_json(const struct sts_entry *entry)
{
	json_t *object = json_pack("{s:s, s:s, s:s, s:I}", "domain", entry->domain,
	    "mode", sts_mode_name(entry->policy.mode), "id", entry->policy.id,
	    "max_age", (json_int_t)entry->policy.max_age);
	json_t *mx = json_array();

	for (size_t i = 0; i < entry->policy.mx_count; i++)
		json_array_append_new(mx, json_string(entry->policy.mx[i]));
	json_object_set_new(object, "mx", mx);
	add_time(object, "fetched", entry->fetched);
	add_time(object, "expires", entry->expires);
	add_time(object, "refresh", entry->refresh);
	if (entry->last_error[0] != '\0')
		json_object_set_new(object, "last_error", json_string(entry->last_error));
	return object;
}

struct page {
	json_t *policies;
	unsigned limit;
	bool more;
};

static bool
add_entry(void *context, const struct sts_entry *entry)
{
	struct page *page = context;

	page->more = json_array_size(page->policies) >= page->limit;
	if (page->more)
		return false;
	json_array_append_new(page->policies, entry_json(entry));
	return true;
}

void
control_list_cache(const struct gatherer *gatherer, const char *after, unsigned limit,
    struct control_answer *answer)
{
	struct page page = { json_array(), limit, false };
	json_t *object = json_pack("{s:o}", "policies", page.policies);
	const json_t *last;

	if (sts_cache_list(gatherer->sts_cache, after, add_entry, &page) == STORE_FAILED) {
		json_decref(object);
		control_refuse(answer, 500, "the store cannot be read; the log says why");
		return;
	}
	if (page.more && limit > 0) {
		last = json_array_get(page.policies, json_array_size(page.policies) - 1);
		json_object_set(object, "next", json_object_get(last, "domain"));
	}
	answer->status = 200;
	answer->text = json_text(object);
}

void
control_show_entry(const struct gatherer *gatherer, const char *text,
    struct control_answer *answer)
{
	struct domain domain;
	struct sts_entry entry;
	struct arena *arena;
	enum store_result found;

	if (parse_domain(text, &domain, answer) != 0)
		return;
	arena = arena_new();
	found = sts_cache_peek(gatherer->sts_cache, arena, domain.name, &entry);
	if (found == STORE_OK) {
		answer->status = 200;
		answer->text = json_text(entry_json(&entry));
	} else if (found == STORE_ABSENT) {
		control_refuse(answer, 404, "no policy is cached for this domain");
	} else {
		control_refuse(answer, 500, "the store cannot be read; the log says why");
	}
	arena_free(arena);
}

static void
log_change(const char *what, const char *domain, int64_t uid)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "cache");
	log_text(&line, "change", what);
	log_text(&line, "domain", domain);
	if (uid >= 0)
		log_number(&line, "uid", uid);
	log_end(&line);
}

void
control_refresh(const struct gatherer *gatherer, const char *text, int64_t uid,
    struct control_answer *answer)
{
	struct domain domain;
	struct sts_facts sts;
	struct arena *arena;
	int failed;

	if (parse_domain(text, &domain, answer) != 0)
		return;
	log_change("refresh", domain.name, uid);
	arena = arena_new();
	failed = sts_cache_refresh(gatherer->sts_cache, arena, domain.name,
	    deadline_in(ANSWER_TIME_MS), &sts);
	answer->status = failed == 0 ? 200 : 502;
	answer->text = sts_text_json(&sts);
	arena_free(arena);
}

void
control_forget(const struct gatherer *gatherer, const char *text, int64_t uid,
    struct control_answer *answer)
{
	struct domain domain;
	enum store_result result;

	if (parse_domain(text, &domain, answer) != 0)
		return;
	result = sts_cache_forget(gatherer->sts_cache, domain.name);
	if (result == STORE_OK) {
		log_change("forget", domain.name, uid);
		answer->status = 204;
		answer->text = NULL;
	} else if (result == STORE_ABSENT) {
		control_refuse(answer, 404, "no policy is cached for this domain");
	} else {
		control_refuse(answer, 500, "the store cannot be written; the log says why");
	}
}
