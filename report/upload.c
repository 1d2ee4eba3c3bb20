/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/ip.h"
#include "base/limits.h"
#include "policy/dns/dns_addresses.h"
#include "report/upload.h"

struct target {
	struct domain host;
	struct ip addresses[LIMIT_ADDRESSES_PER_HOST];
	size_t count;
};

static int
find_host(const char *uri, struct domain *host)
{
	const char *authority = uri + strlen("https://");

	return domain_parse(authority, strcspn(authority, ":/?#"), host);
}

static void
ask_addresses(const struct upload *upload, struct target *target)
{
	struct arena *arena = arena_new();
	struct dns_question questions[DNS_ADDRESSES_QUESTIONS];
	size_t count = dns_addresses_questions(upload->conf, target->host.name, questions);

	resolver_ask(upload->resolver, arena, questions, count, upload->deadline);
	target->count = dns_addresses_read(questions, count, target->addresses);
	arena_free(arena);
}

int
upload_report(const struct upload *upload, char *why, size_t why_room)
{
	struct target target = { .count = 0 };
	struct http_request request = { .method = "POST",
		.url = upload->uri,
		.host = target.host.name,
		.addresses = target.addresses,
		.content_type = "application/tlsrpt+gzip",
		.body = upload->packed,
		.body_length = upload->length,
		.max_body = 0,
		.allow_private = upload->conf->dns.private_addresses,
		.deadline = upload->deadline };
	struct http_answer answer;
	bool taken;

	if (find_host(upload->uri, &target.host) != 0) {
		(void)snprintf(why, why_room, "no host can be read from the URI");
		return -1;
	}
	/* No certificate that counts is for an address, and most that are named are private. */
	if (ip_parse(target.host.name, &target.addresses[0]) == 0) {
		(void)snprintf(why, why_room, "%s is an address, not a name", target.host.name);
		return -1;
	}
	/* A proxy looks names up by itself, and chooses the addresses. */
	if (upload->conf->sts.http_proxy[0] == '\0')
		ask_addresses(upload, &target);
	request.address_count = target.count;
	http_perform(upload->http, &request, &answer);
	taken = answer.outcome == HTTP_ANSWERED && answer.status / 100 == 2;
	(void)snprintf(why, why_room, "%s", answer.reason);
	buf_free(&answer.body);
	return taken ? 0 : -1;
}
