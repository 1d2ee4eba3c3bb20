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
#include "base/utc.h"
#include "report/day.h"
#include "cmd/stsgate_history.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_terminal.h"

#define DEFAULT_SINCE	"7d"

/* The sums of a domain and reason. */
struct table {
	json_t *rows;	/* array of what --json prints */
	json_t *by_key;	/* the same rows, by domain and reason */
	json_t *not_counted;
	bool audit;
};

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
	const char *reason = stsgate_print_text(entry, "reason");

	if (reason[0] != '\0')
		return reason;
	return stsgate_print_text(entry, "result")[0] != '\0' ? stsgate_print_text(entry, "result")
							      : stsgate_print_text(entry, "reply");
}

static json_t *
row_for(struct table *table, const json_t *entry)
{
	const char *domain = stsgate_print_text(entry, "domain"), *reason = reason_of(entry);
	struct buf key = { 0 };
	json_t *row;

	buf_printf(&key, "%s\n%s\n%s", domain, stsgate_print_text(entry, "result"), reason);
	row = json_object_get(table->by_key, buf_text(&key));
	if (row == NULL) {
		row = json_pack("{s:s, s:s, s:s, s:i, s:i, s:[], s:s, s:s}", "domain", domain,
		    "reason", reason, "result", stsgate_print_text(entry, "result"), "count", 0,
		    "recipients", 0, "hosts", "first", stsgate_print_text(entry, "first"), "last",
		    stsgate_print_text(entry, "last"));
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
	if (table->audit && strcmp(stsgate_print_text(entry, "mode"), "testing") == 0) {
		json_object_set_new(table->not_counted, "testing",
		    json_integer(json_integer_value(json_object_get(table->not_counted,
				     "testing")) +
			json_integer_value(json_object_get(entry, "count"))));
		return;
	}
	row = row_for(table, entry);
	raise_by(row, "count", entry);
	raise_by(row, "recipients", entry);
	add_host(row, stsgate_print_text(entry, "host"));
	if (strcmp(stsgate_print_text(entry, "first"), stsgate_print_text(row, "first")) < 0)
		json_object_set(row, "first", json_object_get(entry, "first"));
	if (strcmp(stsgate_print_text(entry, "last"), stsgate_print_text(row, "last")) > 0)
		json_object_set(row, "last", json_object_get(entry, "last"));
}

/* false after a message. */
static bool
read_since(const char *text, char since[UTC_TEXT_MAX])
{
	int64_t at_s;

	if (strcmp(text, "today") == 0 || strcmp(text, "yesterday") == 0) {
		at_s = (day_of(clock_wall_s()) - (text[0] == 'y')) * DAY_S;
	} else if (day_parse(text, &at_s) == 0) {
		at_s *= DAY_S;
	} else if (utc_read_since(text, clock_wall_s(), &at_s) != 0) {
		fprintf(stderr,
		    "stsgate: \"%s\" is no time for --since: 7d, 12h, 2026-01-31 or "
		    "2026-01-31T12:00:00Z\n",
		    text);
		return false;
	}
	utc_text(at_s, since);
	return true;
}

static void
add_page(void *context, const json_t *page)
{
	const json_t *entry;
	size_t i;

	json_array_foreach (json_object_get(page, "entries"), i, entry)
		add_entry(context, entry);
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
		    json_integer_value(json_object_get(row, "recipients")),
		    stsgate_print_text(row, "last"));
		stsgate_terminal_print(stdout, stsgate_print_text(row, "domain"));
		printf(": ");
		stsgate_terminal_print(stdout, stsgate_print_text(row, "reason"));
		json_array_foreach (json_object_get(row, "hosts"), k, host) {
			printf(k == 0 ? " (" : ", ");
			stsgate_terminal_print(stdout, json_string_value(host));
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
	status = stsgate_client_each_page(client, buf_text(&query), add_page, &table);
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
