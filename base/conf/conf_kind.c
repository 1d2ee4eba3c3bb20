/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/conf/conf_kind.h"
#include "base/conf/conf_value.h"

#define SHOWN_MAX	100	/* octets of a value in a message */

static void
write_refused(struct buf *buf, const struct conf_given *given, size_t index)
{
	const struct conf_key *key = given->key;
	const char *word = index < given->count ? given->words[index].text : "";

	buf_printf(buf, "%s%s%s = ", key->section, key->section[0] == '\0' ? "" : ".", key->name);
	if (index >= given->count)
		buf_add_text(buf, "{}: ");
	else if (strlen(word) > SHOWN_MAX)
		buf_printf(buf, "\"%.*s...\": ", SHOWN_MAX, word);
	else
		buf_printf(buf, "\"%s\": ", word);
}

int
conf_given_refuse(const struct conf_given *given, size_t index, const char *format, ...)
{
	int line = index < given->count ? given->words[index].line : given->line;
	struct buf text = { 0 };
	va_list args;

	write_refused(&text, given, index);
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	(void)conf_fault_set(given->fault, line, "%s", buf_text(&text));
	buf_free(&text);
	return -1;
}

static const char *
only_word(const struct conf_given *given)
{
	return given->words[0].text;
}

static int
keep_text(const struct conf_given *given, const char *text, void *field)
{
	*(char **)field = arena_strdup(given->arena, text);
	return 0;
}

static int
set_flag(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	if (conf_flag(only_word(given), field) != 0)
		return conf_given_refuse(given, 0, "must be true or false");
	return 0;
}

static int
take_number(const struct conf_given *given, uint64_t *number)
{
	const struct conf_key *key = given->key;

	if (conf_number(only_word(given), number) != 0 || *number < key->least ||
	    *number > key->most)
		return conf_given_refuse(given, 0,
		    "must be an integer from %" PRIu64 " to %" PRIu64, key->least, key->most);
	return 0;
}

static int
set_count(const struct conf_given *given, void *field, void *also)
{
	uint64_t number;

	(void)also;
	if (take_number(given, &number) != 0)
		return -1;
	*(unsigned *)field = (unsigned)number;
	return 0;
}

static int
set_port(const struct conf_given *given, void *field, void *also)
{
	uint64_t number;

	(void)also;
	if (conf_number(only_word(given), &number) != 0 || number < 1 || number > 65535)
		return conf_given_refuse(given, 0, "must be a port from 1 to 65535");
	*(uint16_t *)field = (uint16_t)number;
	return 0;
}

static int
take_size(const struct conf_given *given, uint64_t *octets)
{
	const struct conf_key *key = given->key;

	if (conf_size(only_word(given), octets) != 0 || *octets < key->least || *octets > key->most)
		return conf_given_refuse(given, 0,
		    "must be an integer of octets, with K or M after it for KiB or MiB, "
		    "from %" PRIu64 " to %" PRIu64,
		    key->least, key->most);
	return 0;
}

static int
set_size(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return take_size(given, field);
}

static int
set_length(const struct conf_given *given, void *field, void *also)
{
	uint64_t octets;

	(void)also;
	if (take_size(given, &octets) != 0)
		return -1;
	*(size_t *)field = (size_t)octets;
	return 0;
}

/* "90s", "1d": the largest unit that leaves no rest. */
static const char *
show_duration(uint64_t ms, char text[24])
{
	static const struct {
		uint64_t ms;
		char unit;
	} units[] = { { 86400000, 'd' }, { 3600000, 'h' }, { 60000, 'm' } };
	size_t i;

	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms > 0 && ms % units[i].ms == 0) {
			(void)snprintf(text, 24, "%" PRIu64 "%c", ms / units[i].ms, units[i].unit);
			return text;
		}
	}
	(void)snprintf(text, 24, "%" PRIu64 "s", ms / 1000);
	return text;
}

static int
set_duration(const struct conf_given *given, void *field, void *also)
{
	const struct conf_key *key = given->key;
	char least[24], most[24];
	int64_t ms;

	(void)also;
	if (conf_duration(only_word(given), &ms) != 0 || (uint64_t)ms < key->least ||
	    (uint64_t)ms > key->most)
		return conf_given_refuse(given, 0,
		    "must be an integer and s, m, h or d, from %s to %s",
		    show_duration(key->least, least), show_duration(key->most, most));
	*(int64_t *)field = ms;
	return 0;
}

/* The word's index in the key's names, or -1 with the fault that lists them. */
static int
find_name(const struct conf_given *given)
{
	const char *const *names = given->key->names;
	struct buf all = { 0 };
	const char *gap = "";
	size_t i;

	for (i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], only_word(given)) == 0)
			return (int)i;
	for (i = 0; names[i] != NULL; i++) {
		buf_printf(&all, "%s%s", gap, names[i]);
		gap = names[i + 1] != NULL && names[i + 2] == NULL ? " or " : ", ";
	}
	(void)conf_given_refuse(given, 0, "must be %s", buf_text(&all));
	buf_free(&all);
	return -1;
}

static int
set_choice(const struct conf_given *given, void *field, void *also)
{
	int index = find_name(given);

	(void)also;
	if (index < 0)
		return -1;
	*(unsigned *)field = (unsigned)index;
	return 0;
}

static int
set_either(const struct conf_given *given, void *field, void *also)
{
	int index = find_name(given);

	(void)also;
	if (index < 0)
		return -1;
	*(bool *)field = index == 1;
	return 0;
}

static int
set_text(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return keep_text(given, only_word(given), field);
}

static int
set_user(const struct conf_given *given, void *field, void *also)
{
	const char *text = only_word(given);

	(void)also;
	if (text[0] == '\0' || strpbrk(text, " :/") != NULL)
		return conf_given_refuse(given, 0, "must be the name of a user");
	return keep_text(given, text, field);
}

static int
set_backend(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return find_name(given) < 0 ? -1 : keep_text(given, only_word(given), field);
}

static int
set_path(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	if (only_word(given)[0] != '/')
		return conf_given_refuse(given, 0, "must be an absolute path");
	return keep_text(given, only_word(given), field);
}

/* A default is no word of the administrator: whoever needs the file tells when it is missing. */
static int
check_file(const struct conf_given *given, size_t index)
{
	const struct conf_word *word = &given->words[index];
	char reason[128];
	int error;

	if (word->text[0] != '/')
		return conf_given_refuse(given, index, "must be an absolute path");
	if (word->line == 0 || (error = conf_file_error(word->text)) == 0)
		return 0;
	return conf_given_refuse(given, index, "must be a file that can be read: %s",
	    strerror_r(error, reason, sizeof(reason)));
}

static int
set_file(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return check_file(given, 0) != 0 ? -1 : keep_text(given, only_word(given), field);
}

static struct conf_strings *
make_strings(const struct conf_given *given, struct conf_strings *strings)
{
	strings->at = arena_array(given->arena, given->count + 1, sizeof(*strings->at));
	strings->count = given->count;
	return strings;
}

static int
set_files(const struct conf_given *given, void *field, void *also)
{
	struct conf_strings *files = make_strings(given, field);
	size_t i;

	(void)also;
	for (i = 0; i < given->count; i++) {
		if (check_file(given, i) != 0)
			return -1;
		files->at[i] = arena_strdup(given->arena, given->words[i].text);
	}
	return 0;
}

static int
set_host(const struct conf_given *given, void *field, void *also)
{
	struct domain host;

	(void)also;
	*(char **)field = NULL;
	if (only_word(given)[0] == '\0')
		return 0;
	if (conf_host(only_word(given), &host) != 0)
		return conf_given_refuse(given, 0, "must be a host name");
	return keep_text(given, host.name, field);
}

static int
set_hosts(const struct conf_given *given, void *field, void *also)
{
	struct conf_strings *hosts = make_strings(given, field);
	struct domain host;
	size_t i;

	(void)also;
	for (i = 0; i < given->count; i++) {
		if (conf_host(given->words[i].text, &host) != 0)
			return conf_given_refuse(given, i, "must be a domain name");
		hosts->at[i] = arena_strdup(given->arena, host.name);
	}
	return 0;
}

static int
set_patterns(const struct conf_given *given, void *field, void *also)
{
	struct conf_strings *patterns = make_strings(given, field);
	char pattern[CONF_PATTERN_MAX];
	size_t i;

	(void)also;
	for (i = 0; i < given->count; i++) {
		if (conf_pattern(given->words[i].text, false, pattern) != 0)
			return conf_given_refuse(given, i,
			    "must be a host name, or *. and a domain name");
		patterns->at[i] = arena_strdup(given->arena, pattern);
	}
	return 0;
}

static int
set_keywords(const struct conf_given *given, void *field, void *also)
{
	struct conf_strings *keywords = make_strings(given, field);
	size_t i;
	char *c;

	(void)also;
	for (i = 0; i < given->count; i++) {
		keywords->at[i] = arena_strdup(given->arena, given->words[i].text);
		for (c = keywords->at[i]; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
		if (strcmp(keywords->at[i], "STARTTLS") == 0)
			return conf_given_refuse(given, i, "mail without TLS takes tls = \"none\"");
		if (!conf_is_ehlo_keyword(keywords->at[i]))
			return conf_given_refuse(given, i,
			    "must be a keyword of EHLO, such as PIPELINING");
	}
	return 0;
}

static int
set_proxy(const struct conf_given *given, void *field, void *also)
{
	char url[1024] = "";

	(void)also;
	if (only_word(given)[0] != '\0' && conf_proxy(only_word(given), url, sizeof(url)) != 0)
		return conf_given_refuse(given, 0, "must be http://host:port or host:port");
	return keep_text(given, url, field);
}

static int
set_mail(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	if (only_word(given)[0] != '\0' && !conf_is_mail_address(only_word(given)))
		return conf_given_refuse(given, 0, "must be a mail address");
	return keep_text(given, only_word(given), field);
}

static int
set_submit(const struct conf_given *given, void *field, void *also)
{
	const char *text = only_word(given), *why = "";
	struct conf_place place;

	(void)also;
	if (strncasecmp(text, "smtp://", 7) == 0 ? conf_place(text + 7, &place, &why) != 0
						 : text[0] != '/')
		return conf_given_refuse(given, 0,
		    "must be smtp://host:port, or a command with its absolute path");
	return keep_text(given, text, field);
}

static int
set_reports(const struct conf_given *given, void *field, void *also)
{
	const char *text = only_word(given);

	(void)also;
	*(char **)field = NULL;
	if (text[0] == '\0')
		return 0;
	if (strcmp(text, "discard") != 0 &&
	    (strncasecmp(text, "mailto:", 7) != 0 || !conf_is_mail_address(text + 7)))
		return conf_given_refuse(given, 0,
		    "must be discard, or mailto: and a mail address");
	return keep_text(given, text, field);
}

static int
set_socket(const struct conf_given *given, void *field, void *also)
{
	const char *text = only_word(given), *why = "";
	struct endpoint endpoint;

	(void)also;
	if (text[0] != '\0' && endpoint_parse(text, &endpoint, &why) != 0)
		return conf_given_refuse(given, 0, "must be unix:PATH: %s", why);
	if (text[0] != '\0' && !endpoint_is_unix(&endpoint))
		return conf_given_refuse(given, 0, "must be unix:PATH");
	return keep_text(given, text, field);
}

const struct conf_kind conf_kind_flag = { .bare = true, .set = set_flag, .size = sizeof(bool) };
const struct conf_kind conf_kind_count = {
	.bare = true, .set = set_count, .size = sizeof(unsigned)
};
const struct conf_kind conf_kind_port = { .bare = true, .set = set_port, .size = sizeof(uint16_t) };
const struct conf_kind conf_kind_size = { .bare = true, .set = set_size, .size = sizeof(uint64_t) };
const struct conf_kind conf_kind_length = {
	.bare = true, .set = set_length, .size = sizeof(size_t)
};
const struct conf_kind conf_kind_duration = { .set = set_duration, .size = sizeof(int64_t) };
const struct conf_kind conf_kind_choice = { .set = set_choice, .size = sizeof(unsigned) };
const struct conf_kind conf_kind_either = { .set = set_either, .size = sizeof(bool) };

const struct conf_kind conf_kind_text = { .set = set_text };
const struct conf_kind conf_kind_user = { .set = set_user };
const struct conf_kind conf_kind_backend = { .set = set_backend };
const struct conf_kind conf_kind_path = { .set = set_path };
const struct conf_kind conf_kind_file = { .set = set_file };
const struct conf_kind conf_kind_files = { .list = true, .set = set_files };
const struct conf_kind conf_kind_host = { .set = set_host };
const struct conf_kind conf_kind_hosts = { .list = true, .set = set_hosts };
const struct conf_kind conf_kind_patterns = { .list = true, .set = set_patterns };
const struct conf_kind conf_kind_keywords = { .list = true, .set = set_keywords };
const struct conf_kind conf_kind_proxy = { .set = set_proxy };
const struct conf_kind conf_kind_mail = { .set = set_mail };
const struct conf_kind conf_kind_submit = { .set = set_submit };
const struct conf_kind conf_kind_reports = { .set = set_reports };
const struct conf_kind conf_kind_socket = { .set = set_socket };
