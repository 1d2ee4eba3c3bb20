/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_terminal.h"

const char *
stsgate_print_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

/* "  label:      value", and nothing for what is not known. */
static void
print_row(FILE *out, const char *label, const char *value)
{
	if (value[0] == '\0')
		return;
	fprintf(out, "  %-12s", label);
	stsgate_terminal_print(out, value);
	fputc('\n', out);
}

static void
print_strings(FILE *out, const char *label, const json_t *strings)
{
	size_t i;
	const json_t *string;

	if (json_array_size(strings) == 0)
		return;
	fprintf(out, "  %-12s", label);
	json_array_foreach (strings, i, string) {
		if (i > 0)
			fputc(' ', out);
		stsgate_terminal_print(out, json_string_value(string));
	}
	fputc('\n', out);
}

static void
print_max_age(FILE *out, const json_t *object)
{
	const json_t *max_age = json_object_get(object, "max_age");

	if (json_is_integer(max_age))
		fprintf(out, "  %-12s%" JSON_INTEGER_FORMAT " s\n", "max_age",
		    json_integer_value(max_age));
}

void
stsgate_print_sts(FILE *out, const json_t *sts)
{
	const json_t *error = json_object_get(sts, "error");

	print_row(out, "mta-sts", stsgate_print_text(sts, "state"));
	print_row(out, "mode", stsgate_print_text(sts, "mode"));
	print_row(out, "id", stsgate_print_text(sts, "id"));
	print_strings(out, "mx", json_object_get(sts, "mx"));
	print_max_age(out, sts);
	print_row(out, "fetched", stsgate_print_text(sts, "fetched"));
	print_row(out, "expires", stsgate_print_text(sts, "expires"));
	print_row(out, "from", stsgate_print_text(sts, "from"));
	if (error != NULL) {
		fprintf(out, "  %-12s", "error");
		stsgate_terminal_print(out, stsgate_print_text(error, "type"));
		if (stsgate_print_text(error, "type")[0] != '\0' &&
		    stsgate_print_text(error, "reason")[0] != '\0')
			fputs(": ", out);
		stsgate_terminal_print(out, stsgate_print_text(error, "reason"));
		fputc('\n', out);
	}
}

static void
print_host(FILE *out, const json_t *host)
{
	size_t i;
	const json_t *address, *tlsa;

	fprintf(out, "  %5" JSON_INTEGER_FORMAT " ",
	    json_integer_value(json_object_get(host, "preference")));
	stsgate_terminal_print(out, stsgate_print_text(host, "name"));
	fprintf(out, "  %s, dnssec %s, policy %s",
	    json_is_true(json_object_get(host, "use")) ? "used" : "not used",
	    stsgate_print_text(host, "dnssec"), stsgate_print_text(host, "policy"));
	if (json_is_false(json_object_get(host, "mx_match")))
		fputs(", not listed by the mta-sts policy", out);
	if (stsgate_print_text(host, "reason")[0] != '\0') {
		fputs(": ", out);
		stsgate_terminal_print(out, stsgate_print_text(host, "reason"));
	}
	fputc('\n', out);
	json_array_foreach (json_object_get(host, "addresses"), i, address)
		fprintf(out, "        %s\n", json_string_value(address));
	json_array_foreach (json_object_get(host, "tlsa"), i, tlsa)
		fprintf(out, "        tlsa %s\n", json_string_value(tlsa));
}

void
stsgate_print_policy(FILE *out, const json_t *policy)
{
	size_t i;
	const json_t *host;

	stsgate_terminal_print(out, stsgate_print_text(policy, "domain"));
	fputc('\n', out);
	print_row(out, "verdict", stsgate_print_text(policy, "verdict"));
	print_row(out, "reply", stsgate_print_text(policy, "reply"));
	stsgate_print_sts(out, json_object_get(policy, "sts"));
	if (json_array_size(json_object_get(policy, "hosts")) > 0)
		fputs("  hosts\n", out);
	json_array_foreach (json_object_get(policy, "hosts"), i, host)
		print_host(out, host);
}

void
stsgate_print_entry_head(FILE *out)
{
	fprintf(out, "%-40s %-8s %-32s %s\n", "DOMAIN", "MODE", "ID", "EXPIRES");
}

void
stsgate_print_entry_row(FILE *out, const json_t *entry)
{
	fprintf(out, "%-40s %-8s %-32s %s\n", stsgate_print_text(entry, "domain"),
	    stsgate_print_text(entry, "mode"), stsgate_print_text(entry, "id"),
	    stsgate_print_text(entry, "expires"));
}

void
stsgate_print_entry(FILE *out, const json_t *entry)
{
	stsgate_terminal_print(out, stsgate_print_text(entry, "domain"));
	fputc('\n', out);
	print_row(out, "mode", stsgate_print_text(entry, "mode"));
	print_row(out, "id", stsgate_print_text(entry, "id"));
	print_strings(out, "mx", json_object_get(entry, "mx"));
	print_max_age(out, entry);
	print_row(out, "fetched", stsgate_print_text(entry, "fetched"));
	print_row(out, "expires", stsgate_print_text(entry, "expires"));
	print_row(out, "refresh", stsgate_print_text(entry, "refresh"));
	print_row(out, "last error", stsgate_print_text(entry, "last_error"));
}

void
stsgate_print_stats(FILE *out, const json_t *stats)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)stats, name, value)
		fprintf(out, "%s %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(value));
}

void
stsgate_print_step(FILE *out, const json_t *step)
{
	const char *address = stsgate_print_text(step, "address");
	struct buf where = { 0 };

	buf_add_text(&where, stsgate_print_text(step, "host"));
	if (address[0] != '\0')
		buf_printf(&where, "[%s]", address);
	fprintf(out, "%-4s  %-11s  ", json_is_true(json_object_get(step, "ok")) ? "ok" : "FAIL",
	    stsgate_print_text(step, "step"));
	stsgate_terminal_print(out, buf_text(&where));
	fputs(where.length > 0 ? "  " : "", out);
	stsgate_terminal_print(out, stsgate_print_text(step, "detail"));
	fprintf(out, "  (%" JSON_INTEGER_FORMAT " ms)\n",
	    json_integer_value(json_object_get(step, "ms")));
	buf_free(&where);
}

/* A row that is not in order catches the eye. */
static const char *
state_words(const json_t *step)
{
	const char *state = stsgate_print_text(step, "state");

	return strcmp(state, "fail") == 0 ? "FAIL" : strcmp(state, "warn") == 0 ? "WARN" : "ok";
}

void
stsgate_print_inbound(FILE *out, const json_t *check)
{
	const json_t *step;
	size_t i;

	json_array_foreach (json_object_get(check, "steps"), i, step) {
		const char *host = stsgate_print_text(step, "host");

		fprintf(out, "%-4s  %-11s  ", state_words(step), stsgate_print_text(step, "step"));
		stsgate_terminal_print(out, host);
		fputs(host[0] != '\0' ? "  " : "", out);
		stsgate_terminal_print(out, stsgate_print_text(step, "detail"));
		fputc('\n', out);
	}
}

void
stsgate_print_verdict(FILE *out, const json_t *check)
{
	fprintf(out, "A delivery to ");
	stsgate_terminal_print(out, stsgate_print_text(check, "domain"));
	fputs(json_is_true(json_object_get(check, "verified")) ? " would be verified.\n"
							       : " would not be verified.\n",
	    out);
}

static void
print_list(FILE *out, const char *label, const json_t *texts)
{
	const json_t *text;
	size_t i;

	json_array_foreach (texts, i, text)
		print_row(out, label, json_string_value(text));
}

static void
print_last(FILE *out, const json_t *entries)
{
	const json_t *entry;

	if (json_array_size(entries) == 0)
		return;
	entry = json_array_get(entries, json_array_size(entries) - 1);
	print_row(out, "last", stsgate_print_text(entry, "last"));
	print_row(out, "host", stsgate_print_text(entry, "host"));
	print_row(out, "result", stsgate_print_text(entry, "result"));
	print_row(out, "reply", stsgate_print_text(entry, "reply"));
}

void
stsgate_print_why(FILE *out, const json_t *why)
{
	const json_t *rule = json_object_get(why, "rule");

	stsgate_terminal_print(out, stsgate_print_text(why, "domain"));
	fprintf(out, ": %s", stsgate_print_text(why, "state"));
	if (stsgate_print_text(why, "since")[0] != '\0')
		fprintf(out, " since %s", stsgate_print_text(why, "since"));
	fputc('\n', out);
	print_row(out, "rule", stsgate_print_text(rule, "source"));
	print_row(out, "where", stsgate_print_text(rule, "where"));
	print_row(out, "mode", stsgate_print_text(rule, "mode"));
	print_row(out, "published", stsgate_print_text(rule, "published"));
	print_row(out, "id", stsgate_print_text(rule, "id"));
	print_row(out, "verified", stsgate_print_text(why, "last_verified"));
	print_last(out, json_object_get(why, "entries"));
	print_list(out, "sign", json_object_get(why, "signs"));
	print_list(out, "advice", json_object_get(why, "advice"));
}

void
stsgate_print_outcome(FILE *out, const json_t *why)
{
	const json_t *rule = json_object_get(why, "rule");

	print_row(out, "rule", stsgate_print_text(rule, "source"));
	print_row(out, "where", stsgate_print_text(rule, "where"));
	print_row(out, "in force", stsgate_print_text(rule, "mode"));
	print_row(out, "outcome", stsgate_print_text(why, "state"));
	print_row(out, "since", stsgate_print_text(why, "since"));
	print_last(out, json_object_get(why, "entries"));
}
