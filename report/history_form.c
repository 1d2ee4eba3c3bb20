/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/domain.h"
#include "base/limits.h"
#include "base/number.h"
#include "report/history_inside.h"

#define HOUR_S	3600
#define PEM_END	"-----END CERTIFICATE-----"
#define MASK	"*"

static const char *const kinds[] = {
	[HISTORY_REFUSED] = "refused", [HISTORY_WOULD] = "would", [HISTORY_ALARM] = "alarm"
};
#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* The texts of an entry that are kept as JSON. */
static const struct {
	const char *name;
	size_t at;
} texts[] = {
	{ "policy", offsetof(struct history_entry, policy) },
	{ "mode", offsetof(struct history_entry, mode) },
	{ "policy-id", offsetof(struct history_entry, policy_id) },
	{ "host", offsetof(struct history_entry, host) },
	{ "address", offsetof(struct history_entry, address) },
	{ "result", offsetof(struct history_entry, result) },
	{ "reason", offsetof(struct history_entry, reason) },
	{ "reply", offsetof(struct history_entry, reply) },
};
#define TEXTS	(sizeof(texts) / sizeof(texts[0]))

const char *
history_kind_name(enum history_kind kind)
{
	return kinds[kind];
}

bool
history_kind_of(const char *name, enum history_kind *kind)
{
	size_t i;

	for (i = 0; i < KINDS; i++)
		if (strcmp(kinds[i], name) == 0) {
			*kind = (enum history_kind)i;
			return true;
		}
	return false;
}

bool
history_is_key(const char *text)
{
	size_t digits = strlen("e.0000000000.") + DIGEST_TEXT - 1;

	return strlen(text) == digits && strncmp(text, "e.", 2) == 0 &&
	    strspn(text + 2, "0123456789abcdef.") == digits - 2;
}

/* Where the local part begins that ends before the "@" at this place. */
static size_t
local_part(const char *text, size_t at)
{
	size_t from = at;

	if (at > 0 && text[at - 1] == '"') { /* a quoted string (RFC 5321 4.1.2) */
		for (from = at - 1;
		     from > 0 && (text[from - 1] != '"' || (from > 1 && text[from - 2] == '\\'));
		     from--)
			;
		return from > 0 ? from - 1 : 0;
	}
	while (from > 0 && strchr(" <>()[]:;,@\"'\t", text[from - 1]) == NULL)
		from--;
	return from;
}

char *
history_mask(const char *text)
{
	struct buf masked = { 0 };
	size_t done = 0, at, from;

	for (at = 0; text[at] != '\0'; at++) {
		if (text[at] != '@')
			continue;
		from = local_part(text, at);
		if (from < done)
			from = done;
		buf_add(&masked, text + done, from - done);
		if (from < at)
			buf_add_text(&masked, MASK);
		done = at;
	}
	buf_add_text(&masked, text + done);
	return masked.data != NULL ? masked.data : xstrdup("");
}

static size_t
leaf_length(const char *pem)
{
	const char *end = strstr(pem, PEM_END);

	return end != NULL ? (size_t)(end - pem) : strlen(pem);
}

static const char *
or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* What is equal of equal events. */
static void
make_key(struct history_item *item, const struct history_entry *event)
{
	char name[DIGEST_TEXT], leaf[DIGEST_TEXT] = "";
	struct buf equal = { 0 };

	if (event->chain != NULL)
		digest(event->chain, leaf_length(event->chain), leaf);
	buf_printf(&equal, "%s\n%s\n%s\n%s\n%s\n%s", kinds[event->kind], event->domain,
	    or_empty(event->host), or_empty(event->policy_id), or_empty(event->result), leaf);
	digest(equal.data, equal.length, name);
	(void)snprintf(item->key, sizeof(item->key), "e.%010" PRId64 ".%s", item->hour, name);
	buf_free(&equal);
}

static void
set_text(json_t *json, const char *name, const char *text)
{
	if (text != NULL && text[0] != '\0')
		json_object_set_new(json, name,
		    json_stringn_nocheck(text, strnlen(text, LIMIT_REPORT_TEXT)));
}

static char *
make_tail(const struct history_item *item, const struct history_entry *event)
{
	struct buf tail = { 0 };
	json_t *json = json_object();
	char *masked, *text;
	const char *value;
	size_t i;

	for (i = 0; i < TEXTS; i++) {
		memcpy(&value, (const char *)event + texts[i].at, sizeof(value));
		masked = value != NULL ? history_mask(value) : NULL;
		set_text(json, texts[i].name, masked);
		free(masked);
	}
	text = json_dumps(json, JSON_COMPACT);
	buf_printf(&tail, "%s %s %s\n%s", kinds[event->kind],
	    event->domain[0] != '\0' ? event->domain : "-",
	    item->chain[0] != '\0' ? item->chain : "-", text != NULL ? text : "{}");
	free(text);
	json_decref(json);
	return tail.data;
}

struct history_item *
history_item_new(const struct history_entry *event)
{
	struct history_item *item = xcalloc(1, sizeof(*item));

	item->hour = event->last_s / HOUR_S;
	item->figures = (struct history_figures){ event->count > 0 ? event->count : 1,
		event->recipients, event->last_s, event->last_s };
	if (event->chain != NULL) {
		digest(event->chain, strlen(event->chain), item->chain);
		item->pem = xstrdup(event->chain);
	}
	make_key(item, event);
	item->tail = make_tail(item, event);
	return item;
}

void
history_item_blur(struct history_item *item, const struct history_entry *event)
{
	const struct history_entry blurred = { .kind = event->kind,
		.domain = "",
		.result = event->result,
		.reason = "more than history.max-size has room for in an hour: domains and hosts "
			  "are not told apart" };

	free(item->tail);
	free(item->pem);
	item->pem = NULL;
	item->chain[0] = '\0';
	make_key(item, &blurred);
	item->tail = make_tail(item, &blurred);
}

void
history_item_free(struct history_item *item)
{
	if (item == NULL)
		return;
	free(item->tail);
	free(item->pem);
	free(item);
}

void
history_figures_add(struct history_figures *sum, const struct history_figures *more)
{
	sum->count += more->count;
	sum->recipients += more->recipients;
	if (more->first_s < sum->first_s)
		sum->first_s = more->first_s;
	if (more->last_s > sum->last_s)
		sum->last_s = more->last_s;
}

bool
history_figures_read(const char *value, struct history_figures *figures, const char **tail)
{
	const char *at = value;

	if (!number_take(&at, NUMBER_COUNT_MAX, &figures->count) || !number_skip(&at, ' ') ||
	    !number_take(&at, NUMBER_COUNT_MAX, &figures->recipients) || !number_skip(&at, ' ') ||
	    !number_take_wall(&at, &figures->first_s) || !number_skip(&at, ' ') ||
	    !number_take_wall(&at, &figures->last_s) || !number_skip(&at, ' '))
		return false;
	*tail = at;
	return true;
}

void
history_figures_write(struct buf *value, const struct history_figures *figures)
{
	buf_printf(value, "%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 " ", figures->count,
	    figures->recipients, figures->first_s, figures->last_s);
}

bool
history_head_read(const char *tail, struct history_head *head)
{
	char kind[8], chain[DIGEST_TEXT];
	int before = 0, after = 0;

	if (sscanf(tail, "%7s %n%*254s%n %20[0-9a-f-]", kind, &before, &after, chain) != 2 ||
	    !history_kind_of(kind, &head->kind))
		return false;
	head->domain = tail + before;
	head->domain_length = (size_t)(after - before);
	if (head->domain_length == 1 && head->domain[0] == '-')
		head->domain_length = 0;
	(void)snprintf(head->chain, sizeof(head->chain), "%s",
	    strcmp(chain, "-") != 0 ? chain : "");
	head->json = strchr(tail, '\n');
	if (head->json == NULL)
		return false;
	head->json++;
	return true;
}

bool
history_rest_read(struct arena *arena, const struct history_head *head, struct history_entry *entry)
{
	json_t *json = json_loads(head->json, 0, NULL);
	const char *value;
	size_t i;

	entry->kind = head->kind;
	entry->domain = arena_strndup(arena, head->domain, head->domain_length);
	for (i = 0; i < TEXTS; i++) {
		value = json_string_value(json_object_get(json, texts[i].name));
		if (value != NULL)
			value = arena_strdup(arena, value);
		memcpy((char *)entry + texts[i].at, &value, sizeof(value));
	}
	if (json == NULL)
		return false;
	json_decref(json);
	return true;
}
