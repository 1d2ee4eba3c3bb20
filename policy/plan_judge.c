/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "base/domain.h"
#include "base/x509_error.h"
#include "policy/plan.h"
#include "policy/plan_inside.h"

#define TLS_1_2	0x0303
#define TLS_1_3	0x0304
#define WHO_ROOM	(DOMAIN_MAX + IP_TEXT_MAX + 4)

/* How a connection falls short, for the report, the reply and the postmaster. */
struct shortfall {
	struct finding finding;	/* RESULT_OK: our own fault, which is not reported */
	const char *enhanced;
	char what[400];
	const char *advice;
};

static const char starttls_advice[] =
    "the receiving site must offer STARTTLS, unless an attacker on the path removes it";
static const char handshake_advice[] = "the receiving site must repair its TLS";

static void
refused_starttls(const struct proof *proof, struct shortfall *shortfall)
{
	if (proof->starttls_code > 0) {
		finding_set(&shortfall->finding, RESULT_STARTTLS_NOT_SUPPORTED,
		    "smtp-starttls-reply-code-%d", proof->starttls_code);
		snprintf(shortfall->what, sizeof(shortfall->what), "it answers STARTTLS with %d",
		    proof->starttls_code);
	} else {
		finding_set(&shortfall->finding, RESULT_STARTTLS_NOT_SUPPORTED,
		    "smtp-starttls-reply-garbled");
		snprintf(shortfall->what, sizeof(shortfall->what),
		    "its answer to STARTTLS is invalid");
	}
}

static void
failed_handshake(const struct proof *proof, const char *words, struct shortfall *shortfall)
{
	bool known = proof->failure[0] != '\0';

	shortfall->enhanced = "4.7.5";
	shortfall->advice = proof->local_fault ? "see the log of this stsgate" : handshake_advice;
	if (!proof->local_fault)
		finding_set(&shortfall->finding, RESULT_VALIDATION_FAILURE, "%s",
		    known ? proof->failure : "tls-handshake-failure");
	snprintf(shortfall->what, sizeof(shortfall->what), "%s%s%s%s", words, known ? " (" : "",
	    proof->failure, known ? ")" : "");
}

/* Did the connection get as far as TLS? If not, shortfall says why. */
static bool
has_tls(const struct proof *proof, struct shortfall *shortfall)
{
	*shortfall = (struct shortfall){ .enhanced = "4.7.4", .advice = starttls_advice };
	switch (proof->tls) {
	case PROOF_NOT_OFFERED:
		finding_set(&shortfall->finding, RESULT_STARTTLS_NOT_SUPPORTED, "%s", "");
		snprintf(shortfall->what, sizeof(shortfall->what), "it does not offer STARTTLS");
		return false;
	case PROOF_REFUSED:
		refused_starttls(proof, shortfall);
		return false;
	case PROOF_HANDSHAKE_FAILED:
		failed_handshake(proof, "the TLS handshake failed", shortfall);
		return false;
	case PROOF_TIMEOUT:
		failed_handshake(proof, "the TLS handshake timed out", shortfall);
		return false;
	case PROOF_NOT_TRIED:
	case PROOF_ESTABLISHED:
		break;
	}
	return true;
}

static int
lowest_version(const struct plan *plan, const struct demand *demand)
{
	/* RFC 8461 7.2 asks for 1.2; a stricter demand of the administrator is no fault of a peer
	 * under testing or audit. */
	if (!demand->enforce)
		return TLS_1_2;
	switch (plan->min_protocol) {
	case TLS_VERSION_1_2:
		return TLS_1_2;
	case TLS_VERSION_1_3:
		break;
	}
	return TLS_1_3;
}

static bool
version_met(const struct plan *plan, const struct demand *demand, const struct proof *proof,
    struct shortfall *shortfall)
{
	int lowest = lowest_version(plan, demand);

	if (proof->version >= lowest)
		return true;
	*shortfall = (struct shortfall){ .enhanced = "4.7.5" };
	shortfall->advice = lowest == TLS_1_3 ? "the receiving site must offer TLS 1.3"
					      : "the receiving site must offer TLS 1.2 or later";
	finding_set(&shortfall->finding, RESULT_VALIDATION_FAILURE, "protocol-%s", proof->protocol);
	snprintf(shortfall->what, sizeof(shortfall->what), "it supports at most %s",
	    proof->protocol);
	return false;
}

/* What was verified, and the result: by the public authorities, or by TLSA records. */
struct verification {
	bool ok;
	int error, depth;	/* X509_V_ERR_ */
	bool local_fault;
	bool by_tlsa;
	const char **names;	/* reference identifiers */
	size_t name_count;
	const char *match;	/* where names come from, in words, when there are several */
};

/* One fault in words, and what helps: with a public authority, and with TLSA records, where another
 * certificate mostly means other records. */
struct remedy {
	int error;	/* 0: whatever else has this type */
	enum result_type type;
	const char *words;
	const char *pkix;
	const char *tlsa;
};

static const struct remedy remedies[] = {
	{ X509_V_ERR_EE_KEY_TOO_SMALL, RESULT_CERTIFICATE_NOT_TRUSTED,
	    "the key of the certificate is too weak",
	    "the receiving site must install a certificate with a stronger key",
	    "the receiving site must install a certificate with a stronger key and publish its "
	    "TLSA record" },
	{ X509_V_ERR_CA_KEY_TOO_SMALL, RESULT_CERTIFICATE_NOT_TRUSTED,
	    "the key of an authority in its chain is too weak",
	    "the receiving site must install a certificate of an authority with a stronger key",
	    "the receiving site must give its authority a stronger key and publish its TLSA "
	    "record" },
	{ X509_V_ERR_CA_MD_TOO_WEAK, RESULT_CERTIFICATE_NOT_TRUSTED,
	    "a signature in its chain is too weak",
	    "the receiving site must install a certificate that is signed with SHA-256 or better",
	    "the receiving site must install a certificate that is signed with SHA-256 or better, "
	    "and publish its TLSA record" },
	{ X509_V_ERR_CERT_CHAIN_TOO_LONG, RESULT_CERTIFICATE_NOT_TRUSTED,
	    "the chain of the certificate is too long",
	    "the receiving site must send no more than the chain of its certificate",
	    "the receiving site must send no more than the chain of its certificate" },
	{ X509_V_ERR_INVALID_PURPOSE, RESULT_CERTIFICATE_NOT_TRUSTED,
	    "the certificate is not made for TLS servers",
	    "the receiving site must install one that is",
	    "the receiving site must install one that is, and publish its TLSA record" },
	{ X509_V_ERR_DANE_NO_MATCH, RESULT_VALIDATION_FAILURE,
	    "none of its TLSA records matches the certificate",
	    "the receiving site must publish TLSA records for its certificate",
	    "the receiving site must publish TLSA records for its certificate" },
	{ 0, RESULT_CERTIFICATE_EXPIRED, "the certificate expired",
	    "the receiving site must renew it",
	    "the receiving site must renew it and keep its TLSA records in step" },
	{ 0, RESULT_CERTIFICATE_NOT_TRUSTED, "the certificate is not trusted",
	    "the receiving site must install a certificate of a public authority with its whole "
	    "chain",
	    "the receiving site must send its whole chain, up to the authority that its TLSA "
	    "records name" },
	{ 0, RESULT_OK, "the certificate cannot be verified",
	    "the receiving site must replace its certificate",
	    "the receiving site must replace its certificate and keep its TLSA records in step" },
};

static const struct remedy *
find_remedy(int error, enum result_type type)
{
	const struct remedy *remedy = remedies;

	while (!(remedy->error == error && error != 0) &&
	    !(remedy->error == 0 && (remedy->type == type || remedy->type == RESULT_OK)))
		remedy++;
	return remedy;
}

/* In words, and what to do about it. */
static void
describe_certificate(const struct verification *verification, enum result_type type,
    const char *code, struct shortfall *shortfall)
{
	const struct remedy *remedy = find_remedy(verification->error, type);

	if (type == RESULT_CERTIFICATE_HOST_MISMATCH) {
		snprintf(shortfall->what, sizeof(shortfall->what),
		    "the certificate is not valid for %s%s (%s)",
		    verification->name_count > 0 ? verification->names[0] : "any name",
		    verification->name_count > 1 ? verification->match : "", code);
		shortfall->advice = "the receiving site must install one with that name";
		return;
	}
	snprintf(shortfall->what, sizeof(shortfall->what), "%s (%s)", remedy->words, code);
	shortfall->advice = verification->by_tlsa ? remedy->tlsa : remedy->pkix;
}

static bool
certificate_met(const struct verification *verification, struct shortfall *shortfall)
{
	const char *code = x509_error_name(verification->error);
	enum result_type type = result_type_from_x509(verification->error);

	if (verification->ok && !verification->local_fault)
		return true;
	*shortfall = (struct shortfall){ .enhanced = "4.7.5" };
	if (verification->local_fault || (type == RESULT_OK && verification->error != 0)) {
		snprintf(shortfall->what, sizeof(shortfall->what),
		    "this stsgate could not verify it%s%s", verification->error != 0 ? ": " : "",
		    verification->error != 0 ? code : "");
		shortfall->advice = "see its log";
		return false;
	}
	if (type == RESULT_OK) {	/* no chain and no error: nothing was proven */
		type = RESULT_VALIDATION_FAILURE;
		code = x509_error_name(X509_V_ERR_UNSPECIFIED);
	}
	if (verification->depth > 0 && type != RESULT_CERTIFICATE_HOST_MISMATCH)
		finding_set(&shortfall->finding, type, "%s depth=%d", code, verification->depth);
	else
		finding_set(&shortfall->finding, type, "%s", code);
	describe_certificate(verification, type, shortfall->finding.reason, shortfall);
	return false;
}

/* A name that does not match counts only when nothing else failed. */
static bool
pkix_met(const struct plan_host *host, const struct proof *proof, struct shortfall *shortfall)
{
	bool name_alone = proof->chain_ok && !proof->name_ok;
	struct verification verification = { .ok = proof->chain_ok && proof->name_ok,
		.error = name_alone ? X509_V_ERR_HOSTNAME_MISMATCH : proof->x509_error,
		.depth = proof->x509_depth,
		.local_fault = proof->local_fault,
		.names = host->names,
		.name_count = host->name_count,
		.match = " or another name of match" };

	return certificate_met(&verification, shortfall);
}

static bool
tlsa_met(const struct plan_host *host, const struct proof *proof, struct shortfall *shortfall)
{
	struct verification verification = { .ok = proof->dane_ok,
		.error = proof->dane_error,
		.depth = proof->dane_depth,
		.local_fault = !proof->dane_ok && proof->local_fault,
		.by_tlsa = true,
		.names = host->dane_names,
		.name_count = host->dane_name_count,
		.match = " or the domain" };

	return certificate_met(&verification, shortfall);
}

static bool
demand_met(const struct plan *plan, const struct plan_host *host, const struct demand *demand,
    const struct proof *proof, struct shortfall *shortfall)
{
	if (!has_tls(proof, shortfall) || !version_met(plan, demand, proof, shortfall))
		return false;
	switch (demand->need) {
	case NEED_ENCRYPTION:
		return true;
	case NEED_ANY_CERTIFICATE:	/* RFC 8689 4.2.1 4 */
		return proof->dane_ok || pkix_met(host, proof, shortfall);
	case NEED_CERTIFICATE:
		return pkix_met(host, proof, shortfall);
	case NEED_TLSA:
		break;
	}
	return tlsa_met(host, proof, shortfall);
}

bool
plan_judge_demand(const struct plan *plan, const struct plan_host *host,
    const struct demand *demand, const struct proof *proof, struct finding *finding)
{
	struct shortfall shortfall;
	bool met = demand_met(plan, host, demand, proof, &shortfall);

	*finding = met ? demand->finding : shortfall.finding;
	return met && demand->finding.type == RESULT_OK;
}

static void
name_host(const struct plan_host *host, const char *address, char who[WHO_ROOM])
{
	if (address == NULL || address[0] == '\0')
		snprintf(who, WHO_ROOM, "%s", host->name);
	else
		snprintf(who, WHO_ROOM, "%s[%s]", host->name, address);
}

static const char *
need_words(enum tls_need need)
{
	switch (need) {
	case NEED_ENCRYPTION:
		return "TLS";
	case NEED_CERTIFICATE:
	case NEED_ANY_CERTIFICATE:
		return "a verified certificate";
	case NEED_TLSA:
		break;
	}
	return "a certificate that its TLSA records match";
}

/* "mta-sts policy 2016 of example.com demands a verified certificate, but" */
static void
name_demand(const struct plan *plan, const struct plan_host *host, const struct demand *demand,
    char *text, size_t room)
{
	const char *need = need_words(demand->need);

	switch (demand->source) {
	case SOURCE_STS:
		snprintf(text, room, "mta-sts policy %s of %s demands %s", plan->policy_id,
		    plan->domain, need);
		return;
	case SOURCE_DANE:
		snprintf(text, room, "dane (TLSA base domain %s) demands %s", host->tlsa_base,
		    need);
		return;
	case SOURCE_DESTINATION:
		snprintf(text, room, "destination \"%s\" demands %s", plan->destination, need);
		return;
	case SOURCE_SENDER:
		snprintf(text, room, "REQUIRETLS demands %s", need);
		return;
	case SOURCE_NONE:
		break;
	}
	snprintf(text, room, "%s demands %s", plan->domain, need);
}

static void
refuse_by_demand(const struct plan *plan, const struct plan_host *host, const struct demand *demand,
    const struct shortfall *shortfall, const char *address, struct judgement *judgement)
{
	char who[WHO_ROOM], asks[2 * DOMAIN_MAX], hint[2 * DOMAIN_MAX] = "";

	name_host(host, address, who);
	name_demand(plan, host, demand, asks, sizeof(asks));
	if (plan->wish != WISH_REQUIRETLS &&
	    (demand->source == SOURCE_STS || demand->source == SOURCE_DANE))
		snprintf(hint, sizeof(hint),
		    " (%sto override set tls = \"audit\" in destination \"%s\")",
		    demand->source == SOURCE_STS ? "mode enforce; " : "", plan->destination);
	judgement->step = JUDGEMENT_NEXT_HOST;
	judgement->verified = false;	/* one demand that was met makes no proof of it */
	reply_set(&judgement->reply, 451, shortfall->enhanced, "%s: %s, but %s; %s%s", who, asks,
	    shortfall->what, shortfall->advice, hint);
}

/* Nothing that is enforced failed, and there is no TLS: on in plaintext, once more without, or
 * not at all. */
static void
judge_opportunistic(const struct plan *plan, const struct plan_host *host,
    const struct proof *proof, const struct shortfall *shortfall, const char *address,
    struct judgement *judgement)
{
	char who[WHO_ROOM];

	if (proof->tls == PROOF_HANDSHAKE_FAILED && plan->plaintext_retry && !proof->local_fault) {
		judgement->step = JUDGEMENT_PLAINTEXT;
		return;
	}
	if (proof->tls != PROOF_HANDSHAKE_FAILED && proof->tls != PROOF_TIMEOUT)
		return;
	name_host(host, address, who);
	judgement->step = JUDGEMENT_NEXT_HOST;
	if (plan->plaintext_retry)	/* a time-out is never answered with plaintext */
		reply_set(&judgement->reply, 451, "4.4.2",
		    "%s: %s; %s, or set tls = \"none\" in "
		    "destination \"%s\" to send without",
		    who, shortfall->what, shortfall->advice, plan->destination);
	else
		reply_set(&judgement->reply, 451, "4.7.5",
		    "%s: %s, and tls.plaintext-retry is false; %s, or set tls = \"none\" in "
		    "destination \"%s\" to send without",
		    who, shortfall->what, shortfall->advice, plan->destination);
}

/* The demands of one host, judged. */
struct verdict {
	const struct demand *leading;	/* speaks for the host; NULL: it has no demands */
	struct shortfall tls;	/* as if nothing were demanded */
	const struct demand *refuses;	/* the leading one, or another, that is enforced and fails
					   */
	struct shortfall refusal;
};

static const struct demand *
leading_demand(const struct plan_host *host)
{
	const struct demand *policy = plan_host_policy(host);

	if (policy != NULL)
		return policy;
	return host->demand_count > 0 ? &host->demands[0] : NULL;
}

static void
find_refusal(const struct plan *plan, const struct plan_host *host, const struct proof *proof,
    struct verdict *verdict)
{
	struct shortfall found;
	size_t i;

	for (i = 0; i < host->demand_count; i++) {
		const struct demand *demand = &host->demands[i];

		if (!demand->enforce || demand_met(plan, host, demand, proof, &found))
			continue;
		if (verdict->refuses == NULL || demand == verdict->leading) {
			verdict->refuses = demand;
			verdict->refusal = found;
		}
	}
}

/* The failures of the demand that decides, and of the other one. */
static void
note_findings(const struct plan *plan, const struct plan_host *host, const struct proof *proof,
    const struct verdict *verdict, struct judgement *judgement)
{
	const struct demand *decides = verdict->refuses != NULL ? verdict->refuses
								: verdict->leading;
	size_t i;

	judgement->finding = verdict->tls.finding;
	if (decides != NULL)
		judgement->source = decides->source;
	for (i = 0; i < host->demand_count; i++) {
		const struct demand *demand = &host->demands[i];
		struct finding finding;
		bool met = plan_judge_demand(plan, host, demand, proof, &finding);

		if (met && demand->need != NEED_ENCRYPTION)
			judgement->verified = true;
		if (demand == decides) {
			judgement->finding = finding;
		} else if (!met) {
			judgement->beside = demand->source;
			judgement->beside_finding = finding;
		}
	}
}

void
plan_judge(const struct plan *plan, const struct plan_host *host, const struct proof *proof,
    const char *address, struct judgement *judgement)
{
	struct verdict verdict = { .leading = leading_demand(host) };

	*judgement = (struct judgement){ .step = JUDGEMENT_GO_ON };
	if (verdict.leading != NULL)
		judgement->source = verdict.leading->source;
	if (proof->tls == PROOF_NOT_TRIED) {
		/* The caller's bug, and the message would go out in plaintext. */
		if (plan_host_enforces(host))
			abort();
		return;
	}
	(void)has_tls(proof, &verdict.tls);
	find_refusal(plan, host, proof, &verdict);
	note_findings(plan, host, proof, &verdict, judgement);
	if (verdict.refuses != NULL)
		refuse_by_demand(plan, host, verdict.refuses, &verdict.refusal, address, judgement);
	else
		judge_opportunistic(plan, host, proof, &verdict.tls, address, judgement);
	plan_wish_judge(plan, proof, judgement);
}
