/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Reports sent by hand: a page of a day's domains at a time, by the threads that send the others.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "report/report.h"
#include "report/reporter_inside.h"
#include "report/take_up.h"

#define PAGE	16	/* domains tried at a time */

/* One rua of one report. */
struct item {
	struct item *next;
	struct outbox_entry entry;
	const char *id, *rua, *key;
	bool beyond;	/* nothing is sent */
	bool taken;
	const char *why;
};

struct page {
	struct reporter *reporter;
	struct arena *arena;
	struct reporter_name name;
	bool running;
	char domain[DOMAIN_MAX];	/* seen last */
	size_t domains;
	struct item *items, **end;
	size_t count;
	bool more;	/* there are domains after the last one */
	enum store_result result;
};

static void
add_item(struct page *page, const struct tally_report *report, const struct rua *rua)
{
	struct item *item = arena_alloc(page->arena, sizeof(*item));

	take_up_entry(report, rua, &item->entry);
	item->id = report_id(page->arena, report, &page->name, page->running);
	item->rua = rua->scheme == RUA_HTTPS ? item->entry.target
					     : arena_printf(page->arena, "mailto:%s", rua->target);
	item->key = outbox_key(page->arena, &item->entry);
	page->result = take_up_report(reporter_plan_of(page->reporter), report, rua, page->running,
	    &item->beyond);
	item->why = item->beyond ? "it gets no more reports about that day "
				   "(tlsrpt.max-per-receiver)"
				 : "";
	*page->end = item;
	page->end = &item->next;
	page->count++;
}

static bool
add_report(void *context, const struct tally_report *report)
{
	struct page *page = context;
	struct bundles bundles;
	size_t i, j;

	if (strcmp(page->domain, report->domain) != 0) {
		page->more = page->domains == PAGE;
		if (page->more)
			return false;
		page->domains++;
		(void)snprintf(page->domain, sizeof(page->domain), "%s", report->domain);
	}
	if (take_up_bundles(reporter_plan_of(page->reporter), page->arena, report, &bundles) ==
	    STORE_FAILED)
		page->result = STORE_FAILED;
	for (i = 0; i < bundles.count; i++)
		for (j = 0; j < bundles.at[i].count && page->result == STORE_OK; j++)
			add_item(page, &bundles.at[i].report, &bundles.at[i].at[j]);
	return page->result == STORE_OK;
}

static enum store_result
gather(struct page *page, const struct reporter_request *request)
{
	struct tally *tally = reporter_plan_of(page->reporter)->tally;
	struct tally_report *reports;
	size_t i, count;
	enum store_result result;

	if (request->domain[0] == '\0')
		result = tally_scan(tally, request->day, request->after, add_report, page);
	else
		result = tally_read(tally, request->day, request->domain, page->arena, &reports,
		    &count);
	for (i = 0; request->domain[0] != '\0' && result == STORE_OK && i < count; i++)
		(void)add_report(page, &reports[i]);
	return result == STORE_OK ? page->result : result;
}

/* Those that no receiver has accepted yet. */
static size_t
find_open(struct page *page, struct item **open)
{
	struct store *store = reporter_plan_of(page->reporter)->store;
	struct outbox_entry entry;
	struct item *item;
	size_t count = 0;

	for (item = page->items; item != NULL; item = item->next) {
		entry = item->entry;
		if (!page->running && outbox_read(store, page->arena, &entry) == STORE_OK)
			item->taken = entry.state == OUTBOX_TAKEN;
		if (!item->taken && !item->beyond)
			open[count++] = item;
	}
	return count;
}

static enum reporter_answer
try_open(struct page *page, const struct reporter_request *request)
{
	struct item **open = arena_array(page->arena, page->count + 1, sizeof(struct item *));
	size_t i, count = find_open(page, open);
	struct job *done = arena_array(page->arena, count + 1, sizeof(*done));

	for (i = 0; i < count; i++) {
		done[i].key = open[i]->key;
		if (page->running)
			done[i].about = take_up_entry_copy(&open[i]->entry);
	}
	if (!jobs_do(reporter_jobs(page->reporter), done, count, &request->watch))
		return REPORTER_GONE;
	for (i = 0; i < count; i++) {
		open[i]->taken = done[i].taken;
		open[i]->why = done[i].why;
	}
	return REPORTER_DONE;
}

static enum reporter_answer
send_page(struct page *page, const struct reporter_request *request,
    void (*each)(void *context, const struct reporter_result *result), void *context,
    struct domain *next)
{
	enum store_result gathered = gather(page, request);
	enum reporter_answer answer;
	const struct item *item;

	next->name[0] = '\0';
	if (page->more)
		memcpy(next->name, page->domain, sizeof(next->name));
	if (gathered == STORE_FAILED)
		return REPORTER_FAILED;
	if (page->count == 0 && !page->more)
		return REPORTER_NOTHING;
	answer = try_open(page, request);
	for (item = page->items; answer == REPORTER_DONE && item != NULL; item = item->next) {
		const struct reporter_result result = { item->entry.domain, item->rua, item->id,
			item->taken, item->why };

		each(context, &result);
	}
	return answer;
}

enum reporter_answer
reporter_send(struct reporter *reporter, const struct reporter_request *request,
    void (*each)(void *context, const struct reporter_result *result), void *context,
    struct domain *next)
{
	struct page page = { .reporter = reporter, .arena = arena_new() };
	struct conf_now *now = reporter_plan_of(reporter)->now;
	enum reporter_answer answer;
	const struct conf *conf;

	page.end = &page.items;
	page.running = request->day >= day_of(clock_wall_s());
	conf = conf_now_take(now);
	reporter_name_from(page.arena, conf, &page.name);
	answer = send_page(&page, request, each, context, next);
	conf_now_give(now, conf);
	arena_free(page.arena);
	return answer;
}
