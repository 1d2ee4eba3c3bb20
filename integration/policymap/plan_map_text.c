/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "base/ip.h"
#include "base/limits.h"
#include "integration/policymap/plan_map.h"

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
plan_map_name(enum plan_map map)
{
	return map_names[map];
}

const char *
plan_map_answer_name(enum plan_map_answer answer)
{
	return answer_names[answer];
}

int
plan_map_find(const char *name, size_t length, enum plan_map *map)
{
	for (size_t i = 0; i < sizeof(map_names) / sizeof(map_names[0]); i++)
		if (strlen(map_names[i]) == length && memcmp(map_names[i], name, length) == 0) {
			*map = (enum plan_map)i;
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

static bool
is_address(const char *text, size_t length)
{
	char copy[IP_TEXT_MAX] = "";
	struct ip ip;

	if (length >= sizeof(copy) || memchr(text, '\0', length) != NULL)
		return false;
	memcpy(copy, text, length);
	return ip_parse(copy, &ip) == 0;
}

/* The text in the brackets of an address literal (RFC 5321 4.1.3). */
static bool
is_literal(const char *text, size_t length)
{
	static const char tag[] = "IPv6:";
	const size_t tag_length = sizeof(tag) - 1;

	if (length > tag_length && strncasecmp(text, tag, tag_length) == 0) {
		text += tag_length;
		length -= tag_length;
	}
	return is_address(text, length);
}

enum plan_map_key
plan_map_next_hop(const char *text, size_t length, struct domain *domain)
{
	struct domain name;
	const char *colon;

	if (length == 0 || is_address(text, length))
		return MAP_KEY_WITHOUT_POLICY;
	if (text[0] == '.')
		return domain_parse(text + 1, length - 1, &name) == 0 ? MAP_KEY_WITHOUT_POLICY
								      : MAP_KEY_BAD;
	if (text[0] == '[') {
		length = bracketed(text, length);
		if (is_literal(++text, length))
			return MAP_KEY_WITHOUT_POLICY;
	} else if ((colon = memchr(text, ':', length)) != NULL) {
		if (!is_port(colon + 1, length - (size_t)(colon - text) - 1))
			return MAP_KEY_BAD;
		length = (size_t)(colon - text);
	}
	if (domain_parse(text, length, &name) != 0)
		return MAP_KEY_BAD;
	if (is_address(name.name, strlen(name.name)))
		return MAP_KEY_WITHOUT_POLICY;
	*domain = name;
	return MAP_KEY_DOMAIN;
}

enum plan_map_answer
plan_map_answer_temp(struct buf *answer, const char *why)
{
	buf_add_text(answer, "TEMP ");
	for (size_t i = 0; why[i] != '\0' && i < TEMP_WHY_MAX; i++)
		buf_add_char(answer, why[i] < 0x20 || why[i] > 0x7e ? '?' : why[i]);
	return MAP_ANSWER_TEMP;
}

static enum plan_map_answer
not_found(struct buf *answer)
{
	buf_add_text(answer, "NOTFOUND ");
	return MAP_ANSWER_NOTFOUND;
}

static enum plan_map_answer
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

/* Only a valid pattern: it is written without braces. */
static void
add_pattern(struct buf *answer, const char *pattern)
{
	if (domain_is_host(strncmp(pattern, "*.", 2) == 0 ? pattern + 2 : pattern))
		buf_printf(answer, " mx_host_pattern=%s", pattern);
}

/* RFC 8460 4.3, in the words of Postfix 3.10. */
static void
add_attributes(struct buf *answer, const struct plan_map_policy *policy)
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

static enum plan_map_answer
answer_names_of(enum plan_map map, const struct plan_map_policy *policy, struct buf *answer)
{
	buf_add_text(answer, "OK secure match=");
	for (size_t i = 0; i < policy->name_count; i++)
		buf_printf(answer, "%s%s", i > 0 ? ":" : "", policy->names[i]);
	buf_add_text(answer, " servername=hostname");
	if (map == MAP_POSTFIX_TLSRPT && policy->policy != NULL)
		add_attributes(answer, policy);
	return MAP_ANSWER_OK;
}

static bool
is_enforced(const struct plan_map_policy *policy)
{
	return policy->need == MAP_NEED_NAMES || policy->need == MAP_NEED_ANOTHER_MX;
}

static bool
asks_nothing(const struct plan_map_policy *policy)
{
	return policy->need == MAP_NEED_NOTHING || policy->need == MAP_NEED_TESTING;
}

/* Would the answer be another if the records were known whose look-up failed? */
static bool
hangs_on_unknown(const struct plan_map_policy *policy)
{
	return policy->share_unknown && policy->need != MAP_NEED_DANE_ONLY &&
	    (!asks_nothing(policy) || policy->share == MAP_SHARE_REACHABLE);
}

/* Is all left to the MTA's own DANE? Postfix takes "secure" for an order not to look for TLSA
 * records at any host, so that an enforced policy becomes DANE at the hosts that have them.
 * Sendmail takes a match by DANE for a verified certificate, and must not use a host of the policy
 * without records unverified. */
static bool
is_left_to_dane(enum plan_map map, const struct plan_map_policy *policy)
{
	switch (policy->share) {
	case MAP_SHARE_NONE:
		break;
	case MAP_SHARE_SOME:
		return map != MAP_STS && !asks_nothing(policy);
	case MAP_SHARE_REACHABLE:
		return map != MAP_STS || asks_nothing(policy);
	case MAP_SHARE_ALL:
		return true;
	}
	return false;
}

static enum plan_map_answer
answer_dane(enum plan_map map, struct buf *answer)
{
	return map == MAP_STS ? not_found(answer) : ok(answer, "dane-only");
}

static enum plan_map_answer
answer_need(enum plan_map map, const struct plan_map_policy *policy, struct buf *answer)
{
	switch (policy->need) {
	case MAP_NEED_NOTHING:
	case MAP_NEED_TESTING:	/* Postfix verifies nothing at level "may", and would report
				   successes that were none */
		break;
	case MAP_NEED_ENCRYPTION:
		if (map != MAP_STS)
			return ok(answer, "encrypt");
		return plan_map_answer_temp(answer,
		    "FEATURE(sts) of Sendmail cannot express the "
		    "destination's tls = \"encrypt\": use TLS_Rcpt in its access map");
	case MAP_NEED_NAMES:
		return answer_names_of(map, policy, answer);
	case MAP_NEED_DANE_ONLY:
		if (map != MAP_STS || policy->share == MAP_SHARE_ALL)
			return answer_dane(map, answer);
		return plan_map_answer_temp(answer,
		    "the destination demands DANE (tls = \"dane\"), "
		    "and not every MX host is known to have secure TLSA records, or "
		    "policy-map.dane is \"none\"");
	case MAP_NEED_ANOTHER_MX:
	case MAP_NEED_UNKNOWN:
		return plan_map_answer_temp(answer, policy->why);
	}
	return not_found(answer);
}

static enum plan_map_answer
answer_policy(enum plan_map map, const struct plan_map_policy *policy, struct buf *answer)
{
	if (hangs_on_unknown(policy)) {
		buf_printf(answer,
		    "TEMP %s: the look-up of TLSA records of its MX hosts failed, "
		    "so that DANE may apply",
		    policy->domain);
		return MAP_ANSWER_TEMP;
	}
	if (policy->need != MAP_NEED_DANE_ONLY && is_left_to_dane(map, policy))
		return answer_dane(map, answer);
	return answer_need(map, policy, answer);
}

enum plan_map_answer
plan_map_answer(enum plan_map map, const struct plan_map_policy *policy, struct buf *answer)
{
	size_t before = answer->length;
	enum plan_map_answer kind = answer_policy(map, policy, answer);

	if (answer->length - before <= LIMIT_NETSTRING_OUT)
		return kind;
	answer->length = before;
	return plan_map_answer_temp(answer, "the answer would be too long");
}

static bool
is_named(const struct plan_map_policy *policy, const char *host)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (host == NULL || domain_equal(policy->names[i], host))
			return true;
	return false;
}

/* The state of a host's TLSA records. */
enum known { KNOWN_NO, KNOWN_YES, KNOWN_NOT };

static enum known
known_of_host(const struct host_facts *host)
{
	if (host->tlsa_state == TLSA_USABLE)
		return KNOWN_YES;
	return plan_map_hides_tlsa(host) ? KNOWN_NOT : KNOWN_NO;
}

/* Some MTAs give the name that a CNAME leads to. */
static bool
is_host(const struct host_facts *host, const char *name)
{
	return domain_equal(host->name, name) ||
	    (host->canonical != NULL && domain_equal(host->canonical, name));
}

/* Has the host usable TLSA records, or, without one, has any of the domain's? */
static enum known
known_dane(const struct plan_map_policy *policy, const char *host)
{
	const struct facts *facts = policy->facts;

	if (facts == NULL)
		return KNOWN_NO;
	for (size_t i = 0; host != NULL && i < facts->host_count; i++)
		if (is_host(&facts->hosts[i], host))
			return known_of_host(&facts->hosts[i]);
	/* A host that the domain has not named to us was not asked about: the policy refuses it;
	 * where hosts of the domain are under DANE, the MTA's MX answer is another than ours. */
	if (host != NULL && is_enforced(policy))
		return KNOWN_NO;
	if (facts->mx == MX_UNKNOWN)
		return KNOWN_NOT;
	if (policy->share != MAP_SHARE_NONE)
		return host != NULL ? KNOWN_NOT : KNOWN_YES;
	return policy->share_unknown ? KNOWN_NOT : KNOWN_NO;
}

static enum plan_map_answer
add_line(struct buf *answer, const struct plan_map_policy *policy, const char *mode, bool match,
    enum known dane)
{
	buf_printf(answer, "mode=%s match=%s id=%s", mode, match ? "yes" : "no",
	    policy->policy != NULL ? policy->policy->id : "");
	if (policy->says_dane)
		buf_add_text(answer, dane == KNOWN_YES ? " dane=yes" : " dane=no");
	return strcmp(mode, "none") == 0 ? MAP_ANSWER_NOTFOUND : MAP_ANSWER_OK;
}

enum plan_map_answer
plan_map_line_without_policy(bool says_dane, struct buf *answer)
{
	struct plan_map_policy policy = { .says_dane = says_dane };

	return add_line(answer, &policy, "none", true, KNOWN_NO);
}

enum plan_map_answer
plan_map_line(const struct plan_map_policy *policy, const char *host, struct buf *answer)
{
	enum known dane = known_dane(policy, host);
	enum plan_map_need need = dane == KNOWN_NOT ? MAP_NEED_UNKNOWN : policy->need;

	switch (need) {
	case MAP_NEED_NOTHING:
		return add_line(answer, policy, "none", true, dane);
	case MAP_NEED_TESTING:
		return add_line(answer, policy, "testing", is_named(policy, host), dane);
	case MAP_NEED_NAMES:
	case MAP_NEED_ANOTHER_MX:
		return add_line(answer, policy, "enforce", is_named(policy, host), dane);
	case MAP_NEED_DANE_ONLY:
		if (dane == KNOWN_YES)
			return add_line(answer, policy, "none", true, dane);
		break;
	case MAP_NEED_ENCRYPTION:
	case MAP_NEED_UNKNOWN:
		break;
	}
	buf_add_text(answer, "mode=error");
	return MAP_ANSWER_TEMP;
}
