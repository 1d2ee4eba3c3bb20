/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/ip.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/x509.h"
#include "policy/dns/dns_addresses.h"
#include "policy/facts/sts_https.h"

#define STATUS_OK	200

struct fetch {
	const struct conf *conf;
	struct arena *arena;
	const char *host;	/* mta-sts.DOMAIN */
	struct ip addresses[LIMIT_ADDRESSES_PER_HOST];
	size_t address_count;
	struct sts_https_failure *failure;
};

/* Always -1, for the caller to return. */
static int __attribute__((format(printf, 3, 4)))
fail(const struct fetch *fetch, enum sts_fault fault, const char *format, ...)
{
	struct sts_https_failure *failure = fetch->failure;
	va_list args;

	failure->fault = fault;
	finding_set(&failure->finding, RESULT_STS_POLICY_FETCH_ERROR, "%s", sts_fault_token(fault));
	va_start(args, format);
	vsnprintf(failure->why, sizeof(failure->why), format, args);
	va_end(args);
	return -1;
}

/* The first answer with words of its own. */
static const char *
first_why(const struct dns_question *questions, size_t count, enum dns_state state)
{
	for (size_t i = 0; i < count; i++)
		if (questions[i].answer.state == state)
			return questions[i].answer.why;
	return "";
}

static int
explain_no_address(const struct fetch *fetch, const struct dns_question *questions, size_t count)
{
	enum sts_fault fault = sts_fault_of_host(questions, count);

	switch (fault) {
	case STS_FAULT_HOST_BOGUS:
		return fail(fetch, fault,
		    "the addresses of the policy host %s are not validly signed (%s)", fetch->host,
		    first_why(questions, count, DNS_BOGUS));
	case STS_FAULT_HOST_UNANSWERED:
	case STS_FAULT_HOST_NOT_ASKED:
		return fail(fetch, fault,
		    "the addresses of the policy host %s cannot be looked up: %s", fetch->host,
		    first_why(questions, count, DNS_FAILED));
	default:
		break;
	}
	if (count > 0 && !questions[0].answer.exists)
		return fail(fetch, fault, "the policy host %s does not exist", fetch->host);
	return fail(fetch, fault, "the policy host %s has no address", fetch->host);
}

/* Both families side by side; what is bogus is as good as not there. One that is never answered
 * leaves half of the time for a fetch from the other's addresses. */
static int
find_addresses(struct fetch *fetch, struct resolver *resolver, struct deadline deadline)
{
	const struct deadline half = deadline_in(deadline_left_ms(deadline) / 2);
	struct dns_question questions[DNS_ADDRESSES_QUESTIONS] = { 0 };
	size_t count = dns_addresses_questions(fetch->conf, fetch->host, questions);

	resolver_ask(resolver, fetch->arena, questions, count, half);
	fetch->address_count = dns_addresses_read(questions, count, fetch->addresses);
	if (fetch->address_count == 0)
		return explain_no_address(fetch, questions, count);
	return 0;
}

/* RFC 8461 3.2: the media type is text/plain; its parameters do not matter. */
static bool
is_text_plain(const char *content_type)
{
	static const char wanted[] = "text/plain";
	size_t length = sizeof(wanted) - 1;

	if (strncasecmp(content_type, wanted, length) != 0)
		return false;
	return content_type[length] == '\0' || strchr("; \t", content_type[length]) != NULL;
}

static int
explain_certificate(const struct fetch *fetch, const struct http_answer *answer)
{
	(void)fail(fetch, STS_FAULT_CERTIFICATE, "policy host: %s", answer->reason);
	finding_set(&fetch->failure->finding, RESULT_STS_WEBPKI_INVALID, "%s",
	    x509_error_name(answer->x509_error));
	return -1;
}

/* 0 when the answer is the policy file, whatever it says. */
static int
judge_answer(const struct fetch *fetch, const struct http_answer *answer)
{
	enum sts_fault fault = sts_fault_of_http(answer->outcome, answer->x509_error);

	switch (fault) {
	case STS_FAULT_NONE:
		break;
	case STS_FAULT_UNREACHABLE:
		return fail(fetch, fault, "the policy host %s cannot be reached: %s", fetch->host,
		    answer->reason);
	case STS_FAULT_TIMEOUT:
		return fail(fetch, fault, "the policy host %s did not answer in time", fetch->host);
	case STS_FAULT_CERTIFICATE:
		return explain_certificate(fetch, answer);
	case STS_FAULT_TOO_LARGE:
		return fail(fetch, fault, "the policy at %s is larger than %zu octets", fetch->host,
		    fetch->conf->sts.max_policy_size);
	case STS_FAULT_PRIVATE:
		return fail(fetch, fault, "the policy host %s has private addresses only",
		    fetch->host);
	case STS_FAULT_GARBLED:
		return fail(fetch, fault, "the policy host %s does not answer in HTTP: %s",
		    fetch->host, answer->reason);
	case STS_FAULT_TLS:
		return fail(fetch, fault, "policy host: %s", answer->reason);
	default:
		return fail(fetch, fault, "this stsgate cannot query the policy host %s: %s",
		    fetch->host, answer->reason);
	}
	/* RFC 8461 3.3: only 200 counts, and a redirect is not followed. */
	if (answer->status != STATUS_OK) {
		(void)fail(fetch, STS_FAULT_STATUS, "the policy host %s answers HTTP status %ld",
		    fetch->host, answer->status);
		finding_set(&fetch->failure->finding, RESULT_STS_POLICY_FETCH_ERROR, "http-%ld",
		    answer->status);
		return -1;
	}
	if (!is_text_plain(answer->content_type))
		return fail(fetch, STS_FAULT_TYPE,
		    "the policy at %s has the media type \"%s\", not text/plain", fetch->host,
		    answer->content_type);
	return 0;
}

static int
read_policy(const struct fetch *fetch, const struct http_answer *answer, struct sts_policy *policy)
{
	struct finding finding = { .type = RESULT_OK };

	if (sts_policy_parse(fetch->arena, buf_text(&answer->body), answer->body.length, policy,
		&finding) == 0)
		return 0;
	if (finding.type == RESULT_STS_POLICY_INVALID)
		policy->body = arena_strndup(fetch->arena, buf_text(&answer->body),
		    LIMIT_STS_SERVED);
	(void)fail(fetch, STS_FAULT_INVALID, "the policy at %s is not valid: %s", fetch->host,
	    finding.reason);
	fetch->failure->finding = finding;
	return -1;
}

static int
get_policy(const struct fetch *fetch, struct http *http, struct deadline deadline,
    struct sts_policy *policy)
{
	const struct http_request request = { .method = "GET",
		.url = arena_printf(fetch->arena, "https://%s/.well-known/mta-sts.txt",
		    fetch->host),
		.host = fetch->host,
		.addresses = fetch->addresses,
		.address_count = fetch->address_count,
		.max_body = fetch->conf->sts.max_policy_size,
		.allow_private = fetch->conf->dns.private_addresses,
		.deadline = deadline };
	struct http_answer answer;
	int result;

	http_perform(http, &request, &answer);
	result = judge_answer(fetch, &answer);
	if (result == 0)
		result = read_policy(fetch, &answer, policy);
	buf_free(&answer.body);
	return result;
}

static int
find_and_get(struct fetch *fetch, struct resolver *resolver, struct http *http,
    struct deadline deadline, struct sts_policy *policy)
{
	if (strlen(fetch->host) >= DOMAIN_MAX)
		return fail(fetch, STS_FAULT_HOST_ABSENT, "%s is too long for a domain name",
		    fetch->host);
	/* A proxy looks names up by itself, and chooses the addresses. */
	if (fetch->conf->sts.http_proxy[0] == '\0' &&
	    find_addresses(fetch, resolver, deadline) != 0)
		return -1;
	return get_policy(fetch, http, deadline, policy);
}

int
sts_https_get(const struct conf *conf, struct resolver *resolver, struct http *http,
    struct arena *arena, const char *domain, struct deadline deadline, struct sts_policy *policy,
    struct sts_https_failure *failure)
{
	int result;
	struct fetch fetch = { .conf = conf, .arena = arena, .failure = failure };

	*failure = (struct sts_https_failure){ .fault = STS_FAULT_NONE };
	*policy = (struct sts_policy){ .mode = STS_MODE_NONE };
	fetch.host = arena_printf(arena, "mta-sts.%s", domain);
	deadline = deadline_earlier(deadline, deadline_in(conf->sts.fetch_timeout));
	result = find_and_get(&fetch, resolver, http, deadline, policy);
	metrics_count(METRIC_POLICY_FETCHES, result_type_name(failure->finding.type), NULL);
	return result;
}
