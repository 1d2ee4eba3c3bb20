/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/domain.h"
#include "base/log.h"
#include "policy/plan_text.h"
#include "policy/facts/sts_json.h"
#include "shim/control/control_cache.h"

#define ANSWER_TIME_MS	(60 * 1000)	/* for one request's look-ups and fetch */
#define PAGE_OCTETS	(4 * 1024 * 1024)	/* a page that is longer takes no further policy */
#define REASONS_MAX	1000

struct page {
	struct buf text;
	unsigned count, limit;
	char last[DOMAIN_MAX];	/* on this page */
	bool more;
};

static bool
add_entry(void *context, const struct sts_entry *entry)
{
	struct page *page = context;
	char *text;

	page->more = page->count >= page->limit || page->text.length >= PAGE_OCTETS;
	if (page->more)
		return false;
	text = sts_json_write(entry);
	buf_printf(&page->text, "%s%s", page->count > 0 ? "," : "", text);
	free(text);
	page->count++;
	snprintf(page->last, sizeof(page->last), "%s", entry->domain);
	return true;
}

void
control_list_cache(const struct gatherer *gatherer, const char *after, unsigned limit,
    struct control_answer *answer)
{
	struct page page = { .limit = limit };

	buf_add_text(&page.text, "{\"policies\":[");
	if (sts_cache_list(gatherer->sts_cache, after, add_entry, &page) == STORE_FAILED) {
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

void
control_show_entry(const struct gatherer *gatherer, const char *text, struct control_answer *answer)
{
	struct domain domain;
	struct sts_entry entry;
	struct arena *arena;
	enum store_result found;

	if (control_domain(text, &domain, answer) != 0)
		return;
	arena = arena_new();
	found = sts_cache_peek(gatherer->sts_cache, arena, domain.name, &entry);
	if (found == STORE_OK) {
		answer->status = 200;
		answer->text = sts_json_write(&entry);
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

	if (control_domain(text, &domain, answer) != 0)
		return;
	log_change("refresh", domain.name, uid);
	arena = arena_new();
	failed = gather_refresh(gatherer, arena, domain.name, deadline_in(ANSWER_TIME_MS), &sts);
	answer->status = failed == 0 ? 200 : 502;
	answer->text = plan_text_sts(&sts);
	arena_free(arena);
}

void
control_forget(const struct gatherer *gatherer, const char *text, int64_t uid,
    struct control_answer *answer)
{
	struct domain domain;
	enum store_result result;

	if (control_domain(text, &domain, answer) != 0)
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

struct import {
	const struct gatherer *gatherer;
	size_t line;	/* counted from 1 */
	size_t imported, unwritten, rejected;
	json_t *reasons;
};

static const char *
import_trouble(enum sts_import result)
{
	switch (result) {
	case STS_IMPORT_DONE:
		break;
	case STS_IMPORT_OLDER:
		return "a policy that was fetched later is cached";
	case STS_IMPORT_EXPIRED:
		return "the policy has expired";
	case STS_IMPORT_FUTURE:
		return "the time of the policy's fetch is in the future";
	case STS_IMPORT_TOO_LARGE:
		return "the policy is larger than sts.max-policy-size";
	case STS_IMPORT_UNWRITTEN:
		return "kept in memory, not written: the store cannot be written; the log says"
		       " why";
	case STS_IMPORT_FAILED:
		return "not kept: the store cannot be written, and memory is full";
	}
	return NULL;
}

static void
add_reason(const struct import *import, size_t line, const char *domain, const char *reason)
{
	if (json_array_size(import->reasons) < REASONS_MAX)
		json_array_append_new(import->reasons,
		    json_pack("{s:I, s:s, s:s}", "line", (json_int_t)line, "domain", domain,
			"reason", reason));
}

static void
import_line(struct import *import, const char *line, size_t length)
{
	struct arena *arena = arena_new();
	char why[STS_JSON_WHY_MAX];
	struct sts_entry entry;
	const char *trouble = why;
	enum sts_import result = STS_IMPORT_FAILED;

	if (sts_json_read(arena, line, length, &entry, why) == 0) {
		result = sts_cache_import(import->gatherer->sts_cache, &entry);
		trouble = import_trouble(result);
	}
	if (trouble == NULL)
		import->imported++;
	else if (result == STS_IMPORT_UNWRITTEN)
		import->unwritten++;
	else
		import->rejected++;
	if (trouble != NULL)
		add_reason(import, import->line, entry.domain, trouble);
	arena_free(arena);
}

static bool
is_blank(const char *line, size_t length)
{
	while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
		length--;
	return length == 0;
}

static void
import_lines(struct import *import, const char *lines, size_t length)
{
	const char *end;
	size_t used;

	for (; length > 0; lines += used, length -= used) {
		end = memchr(lines, '\n', length);
		used = end == NULL ? length : (size_t)(end - lines) + 1;
		import->line++;
		if (!is_blank(lines, used))
			import_line(import, lines, used);
	}
}

static void
log_import(const struct import *import, int64_t uid)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "cache");
	log_text(&line, "change", "import");
	log_number(&line, "imported", (int64_t)import->imported);
	log_number(&line, "unwritten", (int64_t)import->unwritten);
	log_number(&line, "rejected", (int64_t)import->rejected);
	if (uid >= 0)
		log_number(&line, "uid", uid);
	log_end(&line);
}

void
control_import(const struct gatherer *gatherer, const char *lines, size_t length, int64_t uid,
    struct control_answer *answer)
{
	struct import import = { .gatherer = gatherer, .reasons = json_array() };
	json_t *object;

	import_lines(&import, lines, length);
	if (sts_cache_imported(gatherer->sts_cache) != STORE_OK && import.imported > 0)
		add_reason(&import, 0, "",
		    "the imported policies may be lost in a power failure: "
		    "the store cannot be flushed; the log says why");
	log_import(&import, uid);
	object = json_pack("{s:I, s:I, s:I, s:o}", "imported", (json_int_t)import.imported,
	    "unwritten", (json_int_t)import.unwritten, "rejected", (json_int_t)import.rejected,
	    "reasons", import.reasons);
	answer->status = 200;
	answer->text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (answer->text == NULL)
		abort();
}
