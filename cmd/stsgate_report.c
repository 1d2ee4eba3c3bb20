/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/gzip.h"
#include "report/day.h"
#include "report/report.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_report.h"

#define STATUS_UNSET	403
#define STATUS_RUNNING	409

/* What --date and --domain say: a path below /v1/tlsrpt. EX_OK, or EX_USAGE after a message. */
static int
make_path(const struct stsgate_client *client, const char *day, struct buf *path)
{
	struct domain domain = { "" };
	int64_t ignored;

	if (client->date != NULL)
		day = client->date;
	if (client->date != NULL && day_parse(day, &ignored) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a day: YYYY-MM-DD\n", day);
		return EX_USAGE;
	}
	if (client->domain != NULL &&
	    domain_parse(client->domain, strlen(client->domain), &domain) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a domain name\n", client->domain);
		return EX_USAGE;
	}
	buf_printf(path, "/v1/tlsrpt/%s", day);
	if (domain.name[0] != '\0')
		buf_printf(path, "/%s", domain.name);
	return EX_OK;
}

static int
exit_of(long status)
{
	switch (status) {
	case STATUS_UNSET:
		return EX_CONFIG;
	case STATUS_RUNNING:
		return EX_USAGE;
	default:
		return EXIT_NO;
	}
}

/* The answer to one request, or NULL with *status set and said why. */
static json_t *
ask(const struct stsgate_client *client, const char *method, const char *path, int *status)
{
	struct http_answer answer;
	json_t *json = NULL;

	*status = stsgate_client_ask(client, method, path, NULL, &answer);
	if (*status == EX_OK && answer.status != 200) {
		stsgate_client_complain(&answer);
		*status = exit_of(answer.status);
	} else if (*status == EX_OK) {
		json = stsgate_client_parse(&answer);
		*status = json != NULL ? EX_OK : EXIT_NO;
	}
	buf_free(&answer.body);
	return json;
}

/* The domain that a report's id holds: YYYYMMDD.DIGEST.DOMAIN@SUBMITTER. */
static const char *
domain_of(const json_t *report, struct domain *domain)
{
	const char *id = json_string_value(json_object_get(report, "report-id"));
	const char *dot = id != NULL ? strchr(id, '.') : NULL, *at;

	domain->name[0] = '\0';
	dot = dot != NULL ? strchr(dot + 1, '.') : NULL;
	at = dot != NULL ? strrchr(dot, '@') : NULL;
	if (at != NULL)
		(void)domain_parse(dot + 1, (size_t)(at - dot - 1), domain);
	return domain->name;
}

/* The domain of the last entry of a page, which holds reports or what became of them. */
static const char *
last_domain(const json_t *page, struct domain *domain)
{
	const json_t *last = json_array_get(page, json_array_size(page) - 1);
	const char *name = json_string_value(json_object_get(last, "domain"));

	if (name == NULL)
		return domain_of(last, domain);
	(void)snprintf(domain->name, sizeof(domain->name), "%s", name);
	return domain->name;
}

/* All pages of what path shows in one array; NULL with *status set. */
static json_t *
gather(const struct stsgate_client *client, const char *path, const char *query, int *status)
{
	json_t *all = json_array(), *page;
	struct domain after = { "" };
	struct buf asked = { 0 };
	size_t count;

	do {
		buf_clear(&asked);
		buf_printf(&asked, "%s?%s%s%s", path, query, after.name[0] != '\0' ? "&after=" : "",
		    after.name);
		page = ask(client, "GET", buf_text(&asked), status);
		count = json_array_size(page);
		(void)last_domain(page, &after);
		(void)json_array_extend(all, page);
		json_decref(page);
	} while (page != NULL && count > 0 && client->domain == NULL && after.name[0] != '\0');
	buf_free(&asked);
	if (*status == EX_OK)
		return all;
	json_decref(all);
	return NULL;
}

int
stsgate_report_show(const struct stsgate_client *client, const char *domain)
{
	struct buf path = { 0 };
	json_t *reports = NULL;
	const json_t *report;
	size_t i;
	int status = make_path(client, "today", &path);

	(void)domain;
	if (status == EX_OK)
		reports = gather(client, buf_text(&path), "", &status);
	if (reports != NULL && client->json)
		stsgate_client_print_json(reports);
	else
		json_array_foreach (reports, i, report)
			stsgate_print_report(stdout, report);
	json_decref(reports);
	buf_free(&path);
	return status;
}

int
stsgate_report_status(const struct stsgate_client *client, const char *domain)
{
	struct buf path = { 0 };
	json_t *entries = NULL;
	int status;

	(void)domain;
	if (client->date == NULL && client->domain == NULL)
		return stsgate_client_ask_and_show(client, "GET", "/v1/tlsrpt",
		    stsgate_print_report_days, NULL);
	status = make_path(client, "yesterday", &path);
	if (status == EX_OK)
		entries = gather(client, buf_text(&path), "status=1", &status);
	if (entries != NULL && client->json)
		stsgate_client_print_json(entries);
	else if (entries != NULL)
		stsgate_print_report_entries(stdout, entries);
	json_decref(entries);
	buf_free(&path);
	return status;
}

static int
complain_file(const char *name)
{
	fprintf(stderr, "stsgate: %s: %s\n", name, strerror(errno));
	return EXIT_NO;
}

static int
write_file(int directory, const char *name, const struct buf *octets)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
	    0644);
	size_t at = 0;
	ssize_t written = 0;

	if (fd < 0)
		return complain_file(name);
	while (at < octets->length && written >= 0) {
		written = write(fd, octets->data + at, octets->length - at);
		at += written > 0 ? (size_t)written : 0;
	}
	if (close(fd) != 0 || written < 0)
		return complain_file(name);
	printf("%s\n", name);
	return EX_OK;
}

/* unique: what tells it from an earlier file of the same domain and day. */
static const char *
file_name(struct arena *arena, const json_t *report, const char *last)
{
	const char *contact = json_string_value(json_object_get(report, "contact-info"));
	const char *start = json_string_value(json_object_get(json_object_get(report, "date-range"),
	    "start-datetime"));
	const char *id = json_string_value(json_object_get(report, "report-id"));
	const char *at = id != NULL ? strrchr(id, '@') : NULL;
	struct domain domain;
	int64_t day;

	if (contact == NULL || start == NULL || at == NULL ||
	    day_parse(arena_strndup(arena, start, DAY_TEXT - 1), &day) != 0)
		return NULL;
	(void)domain_of(report, &domain);
	id = strchr(id, '.') + 1;
	return report_file_name(arena, at + 1, domain.name, day,
	    strcmp(domain.name, last) == 0
		? arena_strndup(arena, id, strspn(id, "0123456789abcdef"))
		: "");
}

static int
write_report(int directory, const json_t *report, struct domain *last)
{
	struct arena *arena = arena_new();
	struct buf packed = { 0 };
	char *text = json_dumps(report, JSON_COMPACT);
	const char *name = file_name(arena, report, last->name);
	int status = EXIT_NO;

	if (text != NULL && name != NULL) {
		gzip(text, strlen(text), &packed);
		status = write_file(directory, name, &packed);
	}
	(void)domain_of(report, last);
	free(text);
	buf_free(&packed);
	arena_free(arena);
	return status;
}

/* Writes what would be sent. */
static int
dry_run(const struct stsgate_client *client, const char *path)
{
	struct domain last = { "" };
	json_t *reports;
	const json_t *report;
	size_t i;
	int status, directory = open(client->dry_run, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return complain_file(client->dry_run);
	reports = gather(client, path, "sendable=1", &status);
	json_array_foreach (reports, i, report)
		if (status == EX_OK)
			status = write_report(directory, report, &last);
	json_decref(reports);
	(void)close(directory);
	return status;
}

/* EX_OK when every rua has taken its report. */
static int
judge(const json_t *results)
{
	const json_t *result;
	size_t i;

	json_array_foreach (results, i, result)
		if (!json_is_true(json_object_get(result, "taken")))
			return EXIT_NO;
	return json_array_size(results) > 0 ? EX_OK : EXIT_NO;
}

/* Page after page, since the daemon tries only so many at a time. */
static json_t *
send_pages(const struct stsgate_client *client, const char *path, int *status)
{
	json_t *all = json_array(), *page;
	struct buf asked = { 0 };
	struct domain next = { "" };
	const char *more;

	do {
		buf_clear(&asked);
		buf_printf(&asked, "%s%s%s", path, next.name[0] != '\0' ? "&after=" : "",
		    next.name);
		page = ask(client, "POST", buf_text(&asked), status);
		(void)json_array_extend(all, json_object_get(page, "reports"));
		more = json_string_value(json_object_get(page, "next"));
		(void)snprintf(next.name, sizeof(next.name), "%s", more != NULL ? more : "");
		json_decref(page);
	} while (next.name[0] != '\0');
	/* Nothing on the last page is no more than that. */
	if (*status == EXIT_NO && json_array_size(all) > 0)
		*status = judge(all);
	buf_free(&asked);
	return all;
}

static int
send_all(const struct stsgate_client *client)
{
	struct buf path = { 0 };
	json_t *results;
	int status;

	buf_printf(&path, "/v1/tlsrpt/%s/send?%s%s%s",
	    client->date != NULL ? client->date : "yesterday", client->force ? "force=1" : "",
	    client->domain != NULL ? "&domain=" : "", client->domain != NULL ? client->domain : "");
	results = send_pages(client, buf_text(&path), &status);
	if (client->json && json_array_size(results) > 0)
		stsgate_client_print_json(results);
	else
		stsgate_print_report_results(stdout, results);
	if (status == EX_OK)
		status = judge(results);
	json_decref(results);
	buf_free(&path);
	return status;
}

int
stsgate_report_send(const struct stsgate_client *client, const char *domain)
{
	struct stsgate_client patient = *client;
	struct domain name = { "" };
	struct buf path = { 0 };
	int status = make_path(client, "yesterday", &path);

	(void)domain;
	if (status == EX_OK && client->dry_run != NULL) {
		status = dry_run(client, buf_text(&path));
	} else if (status == EX_OK) {
		if (client->domain != NULL)
			(void)domain_parse(client->domain, strlen(client->domain), &name);
		patient.domain = client->domain != NULL ? name.name : NULL;
		patient.patient = true;
		status = send_all(&patient);
	}
	buf_free(&path);
	return status;
}
