/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>

#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/tls_omit.h"

const char *
attempt_sni(const struct attempt *attempt)
{
	return (attempt->omit & TLS_OMIT_SNI) != 0 ? NULL : attempt->host->sni;
}

const char *
attempt_hostname(const struct delivery *delivery)
{
	if (delivery->destination != NULL && delivery->destination->hostname != NULL)
		return delivery->destination->hostname;
	return delivery->context->conf->hostname;
}

struct tls_wish
attempt_wish(const struct call *call)
{
	const struct plan_host *host = call->attempt->host;
	const struct demand *policy = plan_host_policy(host);

	return (struct tls_wish){
		.sni = attempt_sni(call->attempt),
		.names = host->names,
		.name_count = host->name_count,
		.tlsa = host->usable,
		.tlsa_count = host->usable_count,
		.tlsa_names = host->dane_names,
		.tlsa_name_count = host->dane_name_count,
		.by_tlsa = policy != NULL && policy->need == NEED_TLSA,
		.strict = plan_host_enforces(host),
		.min_protocol = call->delivery->plan->min_protocol,
		/* A dry run shows the host's present certificate. */
		.session_key = call->attempt->watch == NULL ? call->key.data : NULL,
		.omit = call->attempt->omit,
	};
}

static const char *
word_for_tls(const struct call *call)
{
	const struct plan_host *host = call->attempt->host;

	if (call->delivery->plan->no_tls)
		return "none";
	if (plan_host_enforces(host))
		return "enforced";
	return host->demand_count > 0 ? "demanded" : "free";
}

/* Messages share a connection when they ask for the same in every respect. The word for TLS keeps a
 * message that demands TLS away from connections that were opened for one that does not. */
void
attempt_make_key(struct call *call)
{
	const struct plan_host *host = call->attempt->host;
	const struct conf_destination *destination = call->delivery->destination;
	const char *sni = attempt_sni(call->attempt);
	char source[IP_TEXT_MAX];
	size_t i;

	buf_clear(&call->key);

	ip_format(&call->at.source, source);
	buf_printf(&call->key, "%s\n%s\n%u\n%s\n%s\n%s\n%s", host->name, call->attempt->address,
	    (unsigned)call->at.port, sni != NULL ? sni : "", source,
	    attempt_hostname(call->delivery), word_for_tls(call));
	for (i = 0; i < host->name_count; i++)
		buf_printf(&call->key, "\n%s", host->names[i]);
	for (i = 0; destination != NULL && i < destination->ignore.count; i++)
		buf_printf(&call->key, "\n-%s", destination->ignore.at[i]);
}
