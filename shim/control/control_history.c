/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/domain.h"
#include "base/number.h"
#include "base/utc.h"
#include "shim/control/control_history.h"

#define PAGE_DEFAULT	1000
#define PAGE_MAX	10000
#define PAGE_OCTETS	(4 * 1024 * 1024)	/* a page that is longer takes no further entry */

struct page {
	struct buf text;
	unsigned count, limit;
	char last[HISTORY_KEY_MAX];
	bool more;
};

static void
set_text(json_t *json, const char *name, const char *value)
{
	if (value != NULL)
		json_object_set_new(json, name, json_string(value));
}

static void
set_time(json_t *json, const char *name, int64_t wall_s)
{
	char text[UTC_TEXT_MAX];

	utc_text(wall_s, text);
	set_text(json, name, text);
}

void *
control_history_entry(const struct history_entry *entry)
{
	json_t *json = json_object();

	set_text(json, "kind", history_kind_name(entry->kind));
	set_text(json, "domain", entry->domain);
	set_time(json, "first", entry->first_s);
	set_time(json, "last", entry->last_s);
	json_object_set_new(json, "count", json_integer((json_int_t)entry->count));
	json_object_set_new(json, "recipients", json_integer((json_int_t)entry->recipients));
	set_text(json, "policy", entry->policy);
	set_text(json, "mode", entry->mode);
	set_text(json, "policy-id", entry->policy_id);
	set_text(json, "host", entry->host);
	set_text(json, "address", entry->address);
	set_text(json, "result", entry->result);
	set_text(json, "reason", entry->reason);
	set_text(json, "reply", entry->reply);
	set_text(json, "chain", entry->chain);
	return json;
}

static bool
add_entry(void *context, const char *key, const struct history_entry *entry)
{
	struct page *page = context;
	json_t *json;
	char *text;

	page->more = page->count >= page->limit || page->text.length >= PAGE_OCTETS;
	if (page->more)
		return false;
	json = control_history_entry(entry);
	text = json_dumps(json, JSON_COMPACT);
	if (text != NULL) {
		buf_printf(&page->text, "%s%s", page->count > 0 ? "," : "", text);
		page->count++;
	}
	(void)snprintf(page->last, sizeof(page->last), "%s", key);
	free(text);
	json_decref(json);
	return true;
}

static bool
read_limit(const char *text, unsigned *limit)
{
	uint64_t number;

	if (!number_take(&text, PAGE_MAX, &number) || *text != '\0' || number == 0)
		return false;
	*limit = (unsigned)number;
	return true;
}

/* false: refused. */
static bool
read_query(const struct control_history_query *asked, struct history_query *query,
    struct domain *domain, unsigned *limit, struct control_answer *answer)
{
	const char *wrong = NULL;

	query->of_kind = asked->kind != NULL;
	if (query->of_kind && !history_kind_of(asked->kind, &query->kind))
		wrong = "kind must be refused, would or alarm";
	else if (asked->since != NULL &&
	    utc_read_since(asked->since, clock_wall_s(), &query->since_s) != 0)
		wrong = "since must be a time as 2026-01-31T12:00:00Z, or a span as 7d";
	else if (asked->limit != NULL && !read_limit(asked->limit, limit))
		wrong = "limit must be 1 to 10000";
	else if (asked->after != NULL && asked->after[0] != '\0' && !history_is_key(asked->after))
		wrong = "after must be the next of an earlier answer";
	if (wrong != NULL) {
		control_refuse(answer, 400, wrong);
		return false;
	}
	query->after = asked->after;
	query->chains = asked->chains == NULL || strcmp(asked->chains, "no") != 0;
	if (asked->domain == NULL)
		return true;
	if (control_domain(asked->domain, domain, answer) != 0)
		return false;
	query->domain = domain->name;
	return true;
}

void
control_history(struct history *history, const struct control_history_query *asked,
    struct control_answer *answer)
{
	struct history_query query = { .of_kind = false };
	struct page page = { .limit = PAGE_DEFAULT };
	struct domain domain;

	if (!read_query(asked, &query, &domain, &page.limit, answer))
		return;
	buf_add_text(&page.text, "{\"entries\":[");
	if (history_scan(history, &query, add_entry, &page) == STORE_FAILED) {
		buf_free(&page.text);
		control_refuse(answer, 500, "the store cannot be read; the log says why");
		return;
	}
	buf_add_char(&page.text, ']');
	if (page.more)
		buf_printf(&page.text, ",\"next\":\"%s\"", page.last);
	buf_add_char(&page.text, '}');
	answer->status = 200;
	answer->text = page.text.data;
}
