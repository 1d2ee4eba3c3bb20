/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/domain.h"
#include "base/number.h"
#include "base/utc.h"
#include "report/day.h"
#include "cmd/stsgate_history.h"

#define DEFAULT_SINCE	"7d"
#define SPAN_MAX	UINT64_C(315360000)	/* ten years of seconds */

/* The sums of a domain and reason. */
struct table {
	json_t *rows;	/* array of what --json prints */
	json_t *by_key;	/* the same rows, by domain and reason */
	json_t *not_counted;
	bool audit;
};

static const char *
text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text != NULL ? text : "";
}

static void
raise_by(json_t *row, const char *name, const json_t *entry)
{
	json_int_t more = json_integer_value(json_object_get(entry, name));

	json_object_set_new(row, name,
	    json_integer(json_integer_value(json_object_get(row, name)) + more));
}

static void
add_host(json_t *row, const char *host)
{
	json_t *hosts = json_object_get(row, "hosts");
	const json_t *known;
	size_t i;

	json_array_foreach (hosts, i, known)
		if (strcmp(json_string_value(known), host) == 0)
			return;
	if (host[0] != '\0')
		json_array_append_new(hosts, json_string(host));
}

/* Where the reason is no more than the type says. */
static const char *
reason_of(const json_t *entry)
{
	const char *reason = text_of(entry, "reason");

	if (reason[0] != '\0')
		return reason;
	return text_of(entry, "result")[0] != '\0' ? text_of(entry, "result")
						   : text_of(entry, "reply");
}

static json_t *
row_for(struct table *table, const json_t *entry)
{
	const char *domain = text_of(entry, "domain"), *reason = reason_of(entry);
	struct buf key = { 0 };
	json_t *row;

	buf_printf(&key, "%s\n%s\n%s", domain, text_of(entry, "result"), reason);
	row = json_object_get(table->by_key, buf_text(&key));
	if (row == NULL) {
		row = json_pack("{s:s, s:s, s:s, s:i, s:i, s:[], s:s, s:s}", "domain", domain,
		    "reason", reason, "result", text_of(entry, "result"), "count", 0, "recipients",
		    0, "hosts", "first", text_of(entry, "first"), "last", text_of(entry, "last"));
		json_object_set(table->by_key, buf_text(&key), row);
		json_array_append_new(table->rows, row);
	}
	buf_free(&key);
	return row;
}

static void
add_entry(struct table *table, const json_t *entry)
{
	json_t *row;

	/* Such a domain's mail goes with enforcement, too. */
	if (table->audit && strcmp(text_of(entry, "mode"), "testing") == 0) {
		json_object_set_new(table->not_counted, "testing",
		    json_integer(json_integer_value(json_object_get(table->not_counted,
				     "testing")) +
			json_integer_value(json_object_get(entry, "count"))));
		return;
	}
	row = row_for(table, entry);
	raise_by(row, "count", entry);
	raise_by(row, "recipients", entry);
	add_host(row, text_of(entry, "host"));
	if (strcmp(text_of(entry, "first"), text_of(row, "first")) < 0)
		json_object_set(row, "first", json_object_get(entry, "first"));
	if (strcmp(text_of(entry, "last"), text_of(row, "last")) > 0)
		json_object_set(row, "last", json_object_get(entry, "last"));
}

/* false after a message. */
static bool
read_since(const char *text, char since[UTC_TEXT_MAX])
{
	const char *at = text;
	uint64_t number;
	int64_t at_s;

	if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
		at_s = (day_of(clock_wall_s()) - (text[0] == 'y')) * DAY_S;
	} else if (day_parse(text, &at_s) == 0) {
		at_s *= DAY_S;
	} else if (utc_read(text, &at_s) != 0) {
		if (!number_take(&at, SPAN_MAX, &number) || *at == '\0' ||
		    strchr("smhd", *at) == NULL || at[1] != '\0') {
			fprintf(stderr,
			    "stsgate: \"%s\" is no time for --since: 7d, 12h, 2026-01-31 or "
			    "2026-01-31T12:00:00Z\n",
			    text);
			return false;
		}
		at_s = clock_wall_s() -
		    (int64_t)number *
			(*at == 'd'          ? DAY_S
				: *at == 'h' ? 3600
				: *at == 'm' ? 60
					     : 1);
	}
	utc_text(at_s, since);
	return true;
}

/* One page of the history, or NULL with *status set. */
static json_t *
fetch_page(const struct stsgate_client *client, const char *path, int *status)
{
	struct http_answer answer;
	json_t *page = NULL;

	*status = stsgate_client_ask(client, "GET", path, NULL, &answer);
	if (*status == EX_OK && answer.status != 200)
		stsgate_client_complain(&answer);
	else if (*status == EX_OK)
		page = stsgate_client_parse(&answer);
	if (*status == EX_OK && page == NULL)
		*status = EXIT_NO;
	buf_free(&answer.body);
	return page;
}

static int
collect(const struct stsgate_client *client, const char *query, struct table *table)
{
	struct buf path = { 0 };
	const json_t *entry;
	const char *next;
	json_t *page;
	size_t i;
	int status;

	buf_add_text(&path, query);
	while ((page = fetch_page(client, buf_text(&path), &status)) != NULL) {
		json_array_foreach (json_object_get(page, "entries"), i, entry)
			add_entry(table, entry);
		next = json_string_value(json_object_get(page, "next"));
		buf_clear(&path);
		if (next != NULL)
			buf_printf(&path, "%s&after=%s", query, next);
		json_decref(page);
		if (path.length == 0)
			break;
	}
	buf_free(&path);
	return status;
}

static void
print_clean(const char *text)
{
	for (; *text != '\0'; text++)
		putchar((unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static void
print_table(const struct table *table)
{
	const json_t *row, *host;
	size_t i, k;

	if (json_array_size(table->rows) == 0)
		printf("nothing %s\n", table->audit ? "would have been refused" : "was refused");
	else
		printf("%8s %10s  %-20s  %s\n", "messages", "recipients", "last", "domain: reason");
	json_array_foreach (table->rows, i, row) {
		printf("%8" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT "  %-20s  ",
		    json_integer_value(json_object_get(row, "count")),
		    json_integer_value(json_object_get(row, "recipients")), text_of(row, "last"));
		print_clean(text_of(row, "domain"));
		printf(": ");
		print_clean(text_of(row, "reason"));
		json_array_foreach (json_object_get(row, "hosts"), k, host) {
			printf(k == 0 ? " (" : ", ");
			print_clean(json_string_value(host));
		}
		printf(json_array_size(json_object_get(row, "hosts")) > 0 ? ")\n" : "\n");
	}
	if (json_object_size(table->not_counted) > 0)
		printf("not counted: %" JSON_INTEGER_FORMAT
		       " messages to domains in mode testing, which are delivered with "
		       "enforcement, too\n",
		    json_integer_value(json_object_get(table->not_counted, "testing")));
}

static int
show(const struct stsgate_client *client, bool audit)
{
	struct table table = { json_array(), json_object(), json_object(), audit };
	struct domain domain = { "" };
	struct buf query = { 0 };
	char since[UTC_TEXT_MAX];
	json_t *object;
	int status = EX_USAGE;

	if (!read_since(client->since != NULL ? client->since : DEFAULT_SINCE, since))
		goto out;
	if (client->domain != NULL &&
	    domain_parse(client->domain, strlen(client->domain), &domain) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a domain name\n", client->domain);
		goto out;
	}
	buf_printf(&query, "/v1/history?kind=%s&chains=no&since=%s", audit ? "would" : "refused",
	    since);
	if (domain.name[0] != '\0')
		buf_printf(&query, "&domain=%s", domain.name);
	status = collect(client, buf_text(&query), &table);
	if (status == EX_OK && client->json) {
		object = json_pack("{s:O, s:O}", "rows", table.rows, "not_counted",
		    table.not_counted);
		stsgate_client_print_json(object);
		json_decref(object);
	} else if (status == EX_OK) {
		print_table(&table);
	}
out:
	json_decref(table.rows);
	json_decref(table.by_key);
	json_decref(table.not_counted);
	buf_free(&query);
	return status;
}

int
stsgate_history_refused(const struct stsgate_client *client, const char *domain)
{
	(void)domain;
	return show(client, false);
}

int
stsgate_history_audit(const struct stsgate_client *client, const char *domain)
{
	(void)domain;
	return show(client, true);
}
