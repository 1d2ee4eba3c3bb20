/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/ip.h"
#include "base/limits.h"
#include "policy/plan_map.h"

#define TEMP_WHY_MAX	400	/* octets: what goes into an MTA's log */
#define POLICY_LINE_MAX	500	/* octets of one line of a policy in an answer */

static const char *const map_names[] = {
	[MAP_POSTFIX] = "postfix",
	[MAP_POSTFIX_TLSRPT] = "postfix-tlsrpt",
	[MAP_STS] = "sts",
	[MAP_JSON] = "json",
};

static const char *const answer_names[] = {
	[MAP_ANSWER_OK] = "ok",
	[MAP_ANSWER_NOTFOUND] = "notfound",
	[MAP_ANSWER_TEMP] = "temp",
};

const char *
map_name(enum map map)
{
	return map_names[map];
}

const char *
map_answer_name(enum map_answer answer)
{
	return answer_names[answer];
}

int
map_find(const char *name, size_t length, enum map *map)
{
	for (size_t i = 0; i < sizeof(map_names) / sizeof(map_names[0]); i++)
		if (strlen(map_names[i]) == length && memcmp(map_names[i], name, length) == 0) {
			*map = (enum map)i;
			return 0;
		}
	return -1;
}

static bool
is_port(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!(text[i] >= '0' && text[i] <= '9') && !(text[i] >= 'a' && text[i] <= 'z') &&
		    text[i] != '-')
			return false;
	return length > 0;
}

/* "[host]" and "[host]:port": the length of host, or 0. */
static size_t
bracketed(const char *text, size_t length)
{
	const char *end = memchr(text, ']', length);
	size_t inside, rest;

	if (end == NULL)
		return 0;
	inside = (size_t)(end - text) - 1;
	rest = length - inside - 2;
	if (rest > 0 && (end[1] != ':' || !is_port(end + 2, rest - 1)))
		return 0;
	return inside;
}

int
map_next_hop(const char *text, size_t length, struct domain *domain)
{
	const char *colon;
	struct ip ip;

	if (length > 0 && text[0] == '[') {
		length = bracketed(text, length);
		text++;
	} else if ((colon = memchr(text, ':', length)) != NULL) {
		if (!is_port(colon + 1, length - (size_t)(colon - text) - 1))
			return -1;
		length = (size_t)(colon - text);
	}
	if (length == 0 || text[0] == '.' || domain_parse(text, length, domain) != 0)
		return -1;
	return ip_parse(domain->name, &ip) == 0 ? -1 : 0;
}

enum map_answer
map_answer_temp(struct buf *answer, const char *why)
{
	buf_add_text(answer, "TEMP ");
	for (size_t i = 0; why[i] != '\0' && i < TEMP_WHY_MAX; i++)
		buf_add_char(answer, why[i] < 0x20 || why[i] > 0x7e ? '?' : why[i]);
	return MAP_ANSWER_TEMP;
}

static enum map_answer
not_found(struct buf *answer)
{
	buf_add_text(answer, "NOTFOUND ");
	return MAP_ANSWER_NOTFOUND;
}

static enum map_answer
ok(struct buf *answer, const char *text)
{
	buf_printf(answer, "OK %s", text);
	return MAP_ANSWER_OK;
}

/* One value of an attribute in braces. Postfix has no escape for a brace in it. */
static void
add_policy_line(struct buf *answer, const char *line, size_t length)
{
	buf_add_text(answer, " {policy_string=");
	for (size_t i = 0; i < length && i < POLICY_LINE_MAX; i++) {
		if (line[i] == '{' || line[i] == '}')
			buf_add_text(answer, line[i] == '{' ? "%7B" : "%7D");
		else
			buf_add_char(answer, line[i] < 0x20 || line[i] > 0x7e ? '?' : line[i]);
	}
	buf_add_char(answer, '}');
}

static void
add_policy_lines(struct buf *answer, const char *body, size_t length)
{
	const char *end = body + length, *next;
	size_t size;

	for (; body < end; body = next + 1) {
		next = memchr(body, '\n', (size_t)(end - body));
		if (next == NULL)
			next = end;
		size = (size_t)(next - body);
		if (size > 0 && body[size - 1] == '\r')
			size--;
		if (size > 0)
			add_policy_line(answer, body, size);
	}
}

/* An imported policy has no text. */
static void
add_policy_fields(struct buf *answer, const struct sts_policy *sts)
{
	struct buf body = { 0 };

	buf_printf(&body, "version: STSv1\nmode: %s\n", sts_mode_name(sts->mode));
	for (size_t i = 0; i < sts->mx_count; i++)
		buf_printf(&body, "mx: %s\n", sts->mx[i]);
	buf_printf(&body, "max_age: %u\n", (unsigned)sts->max_age);
	add_policy_lines(answer, body.data, body.length);
	buf_free(&body);
}

/* Only what can be a pattern: it stands without braces. */
static void
add_pattern(struct buf *answer, const char *pattern)
{
	if (domain_is_host(strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern))
		buf_printf(answer, " mx_host_pattern=%s", pattern);
}

/* RFC 8460 4.3, in the words of Postfix 3.10. */
static void
add_attributes(struct buf *answer, const struct map_policy *policy)
{
	const struct sts_policy *sts = policy->policy;

	buf_printf(answer, " policy_type=sts policy_domain=%s", policy->domain);
	for (size_t i = 0; i < sts->mx_count; i++)
		add_pattern(answer, sts->mx[i]);
	if (sts->body_length > 0)
		add_policy_lines(answer, sts->body, sts->body_length);
	else
		add_policy_fields(answer, sts);
}

static enum map_answer
answer_names_of(enum map map, const struct map_policy *policy, struct buf *answer)
{
	buf_add_text(answer, "OK secure match=");
	for (size_t i = 0; i < policy->name_count; i++)
		buf_printf(answer, "%s%s", i > 0 ? ":" : "", policy->names[i]);
	buf_add_text(answer, " servername=hostname");
	if (map == MAP_POSTFIX_TLSRPT && policy->policy != NULL)
		add_attributes(answer, policy);
	return MAP_ANSWER_OK;
}

/* "may" would switch off the DANE of an MTA whose default is "dane". */
static enum map_answer
answer_testing(enum map map, const struct map_policy *policy, struct buf *answer)
{
	if (map != MAP_POSTFIX_TLSRPT || !policy->may_switch_off)
		return not_found(answer);
	ok(answer, "may");
	add_attributes(answer, policy);
	return MAP_ANSWER_OK;
}

static enum map_answer
answer_need(enum map map, const struct map_policy *policy, struct buf *answer)
{
	bool sendmail = map == MAP_STS;

	switch (policy->need) {
	case MAP_NEED_NOTHING:
		break;
	case MAP_NEED_TESTING:
		return answer_testing(map, policy, answer);
	case MAP_NEED_ENCRYPTION:
		if (!sendmail)
			return ok(answer, "encrypt");
		return map_answer_temp(answer, "FEATURE(sts) of Sendmail cannot be told of the "
		    "destination's tls = \"encrypt\": use TLS_Rcpt in its access map");
	case MAP_NEED_NAMES:
		return answer_names_of(map, policy, answer);
	case MAP_NEED_DANE:
		return sendmail ? not_found(answer) : ok(answer, "dane-only");
	case MAP_NEED_DANE_ONLY:
		if (!sendmail)
			return ok(answer, "dane-only");
		if (policy->under_dane)
			return not_found(answer);
		return map_answer_temp(answer, "the destination demands DANE (tls = \"dane\"), "
		    "and no secure TLSA record is known, or policy-map.dane is \"none\"");
	case MAP_NEED_ANOTHER_MX:
	case MAP_NEED_UNKNOWN:
		return map_answer_temp(answer, policy->why);
	}
	return not_found(answer);
}

enum map_answer
plan_map_answer(enum map map, const struct map_policy *policy, struct buf *answer)
{
	size_t before = answer->length;
	enum map_answer kind = answer_need(map, policy, answer);

	if (answer->length - before <= LIMIT_NETSTRING_OUT)
		return kind;
	answer->length = before;
	return map_answer_temp(answer, "the answer would be too long");
}

static bool
is_named(const struct map_policy *policy, const char *host)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (host == NULL || domain_equal(policy->names[i], host))
			return true;
	return false;
}

static enum map_answer
add_line(struct buf *answer, const char *mode, bool match, const char *id)
{
	buf_printf(answer, "mode=%s match=%s id=%s", mode, match ? "yes" : "no", id);
	return strcmp(mode, "none") == 0 ? MAP_ANSWER_NOTFOUND : MAP_ANSWER_OK;
}

enum map_answer
plan_map_line(const struct map_policy *policy, const char *host, struct buf *answer)
{
	const char *id = policy->policy != NULL ? policy->policy->id : "";

	switch (policy->need) {
	case MAP_NEED_NOTHING:
	case MAP_NEED_DANE:
		return add_line(answer, "none", true, id);
	case MAP_NEED_TESTING:
		return add_line(answer, "testing", is_named(policy, host), id);
	case MAP_NEED_NAMES:
	case MAP_NEED_ANOTHER_MX:
		return add_line(answer, "enforce", is_named(policy, host), id);
	case MAP_NEED_DANE_ONLY:
		if (policy->under_dane)
			return add_line(answer, "none", true, id);
		break;
	case MAP_NEED_ENCRYPTION:
	case MAP_NEED_UNKNOWN:
		break;
	}
	buf_add_text(answer, "mode=error");
	return MAP_ANSWER_TEMP;
}
