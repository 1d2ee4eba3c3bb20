/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* DANE in plans and judgements, together with MTA-STS and destinations (cases, group G). */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "tests/unit/plan_facts.h"

#define A	"192.0.2.1"
#define MX1	"mx1.example.com"
#define MX2	"mx2.example.com"
#define ONE	.hosts = { { MX1, 10, A, 0 } }
#define TWO	.hosts = { { MX1, 10, A, 0 }, { MX2, 20, A, 0 } }
#define ENFORCE	.sts = STS_VALID, .mode = STS_MODE_ENFORCE, .patterns = "*.example.com"
#define ELSEWHERE	.sts = STS_VALID, .mode = STS_MODE_ENFORCE, .patterns = "*.example.net"
#define USABLE	\
	{ \
		.state = TLSA_USABLE \
	}
#define UNUSABLE	\
	{ \
		.state = TLSA_UNUSABLE, .records = "1 1 1" \
	}
#define ABSENT	\
	{ \
		.state = TLSA_NONE \
	}
#define FAILED	\
	{ \
		.state = TLSA_UNKNOWN, .answer = DNS_FAILED \
	}
#define BOGUS	\
	{ \
		.state = TLSA_UNKNOWN, .answer = DNS_BOGUS \
	}

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* "dane:tlsa! sts:certificate": "!" is enforced, "?" holds a finding of its own. */
static const char *
demands_text(const struct plan_host *host)
{
	static const char *const needs[] = { [NEED_ENCRYPTION] = "tls",
		[NEED_CERTIFICATE] = "certificate",
		[NEED_ANY_CERTIFICATE] = "any",
		[NEED_TLSA] = "tlsa" };
	const char *text = "";

	for (size_t i = 0; i < host->demand_count; i++) {
		const struct demand *demand = &host->demands[i];

		text = arena_printf(arena, "%s%s%s:%s%s%s", text, i > 0 ? " " : "",
		    policy_source_name(demand->source), needs[demand->need],
		    demand->enforce ? "!" : "", demand->finding.type != RESULT_OK ? "?" : "");
	}
	return text;
}

static const struct {
	const char *name;
	struct test_facts facts;
	const char *used;	/* hosts, in order */
	const char *demands;	/* of the first host of the facts */
	const char *policy;	/* that speaks for it */
	const char *reply;	/* how the plan's begins, NULL: it is to be used */
	const char *finding;	/* result type of the first host, or NULL */
} plans[] = {
	{ "G1 usable", { ONE, .tlsa = { USABLE } }, MX1, "dane:tlsa!", "dane", NULL, NULL },
	{ "G3 absent", { ENFORCE, ONE, .tlsa = { ABSENT } }, MX1, "sts:certificate!", "sts", NULL,
	    NULL },
	{ "G3 absent, no policy", { ONE, .tlsa = { ABSENT } }, MX1, "", "none", NULL, NULL },
	{ "G4 look-up failed", { ENFORCE, ONE, .tlsa = { FAILED } }, "",
	    "dane:tls? sts:certificate!", "sts", "451 4.7.5", "dnssec-invalid" },
	{ "G4 bogus, no policy", { ONE, .tlsa = { BOGUS } }, "", "dane:tls?", "dane", "451 4.7.5",
	    "dnssec-invalid" },
	{ "G5, G6 not asked", { ONE }, MX1, "", "none", NULL, NULL },
	{ "G8 unusable", { ONE, .tlsa = { UNUSABLE } }, MX1, "dane:tls!?", "dane", NULL, NULL },
	{ "G8 unusable, MTA-STS stands", { ENFORCE, ONE, .tlsa = { UNUSABLE } }, MX1,
	    "dane:tls!? sts:certificate!", "sts", NULL, NULL },
	{ "G8 unusable and unlisted", { ELSEWHERE, ONE, .tlsa = { UNUSABLE } }, "",
	    "dane:tls!? sts:certificate!?", "sts", "451 4.7.5", "validation-failure" },
	{ "G9 mixed", { ONE, .tlsa = { { .state = TLSA_USABLE, .records = "1 1 1, 3 1 1" } } }, MX1,
	    "dane:tlsa!", "dane", NULL, NULL },
	{ "G12 usable and unlisted", { ELSEWHERE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa! sts:certificate?", "dane", NULL, "validation-failure" },
	{ "G13 usable and listed", { ENFORCE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa! sts:certificate", "dane", NULL, NULL },
	{ "G14 by host", { ENFORCE, TWO, .tlsa = { USABLE, ABSENT } }, MX1 " " MX2,
	    "dane:tlsa! sts:certificate", "dane", NULL, NULL },
	{ "G15 one fails", { ENFORCE, TWO, .tlsa = { FAILED, USABLE } }, MX2,
	    "dane:tls? sts:certificate!", "sts", NULL, "dnssec-invalid" },
	{ "G15 both fail", { ENFORCE, TWO, .tlsa = { FAILED, BOGUS } }, "",
	    "dane:tls? sts:certificate!", "sts", "451 4.7.5", "dnssec-invalid" },
	{ "G15 one fails, one is unlisted", { ELSEWHERE, TWO, .tlsa = { FAILED, ABSENT } }, "",
	    "dane:tls? sts:certificate!?", "sts", "451 4.7.5 dane", "dnssec-invalid" },
	{ "2.2.1 behind an insecure MX", { .mx_state = DNS_INSECURE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa!", "dane", NULL, NULL },
	{ "2.2.1 insecure MX, unlisted",
	    { .mx_state = DNS_INSECURE, ELSEWHERE, ONE, .tlsa = { USABLE } }, "",
	    "dane:tlsa! sts:certificate?", "dane", "451 4.7.5", "validation-failure" },
	{ "2.2.1 insecure MX, listed",
	    { .mx_state = DNS_INSECURE, ENFORCE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa! sts:certificate", "dane", NULL, NULL },

	{ "audit", { .dane = ENFORCE_AUDIT, ENFORCE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa sts:certificate!", "sts", NULL, NULL },
	{ "audit, no policy", { .dane = ENFORCE_AUDIT, ONE, .tlsa = { USABLE } }, MX1, "dane:tlsa",
	    "dane", NULL, NULL },
	{ "audit, unlisted", { .dane = ENFORCE_AUDIT, ELSEWHERE, ONE, .tlsa = { USABLE } }, "",
	    "dane:tlsa sts:certificate!?", "sts", "451 4.7.5", "validation-failure" },
	{ "audit, unknown", { .dane = ENFORCE_AUDIT, ONE, .tlsa = { FAILED } }, MX1, "dane:tls?",
	    "dane", NULL, NULL },
	{ "off", { .dane = ENFORCE_OFF, ENFORCE, ONE, .tlsa = { USABLE } }, MX1, "sts:certificate!",
	    "sts", NULL, NULL },
	{ "sts off", { .enforce = ENFORCE_OFF, ENFORCE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa!", "dane", NULL, NULL },
	{ "TLS-Required: No", { .wish = WISH_NO, ENFORCE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa sts:certificate", "sts", NULL, NULL },
	{ "TLS-Required: No, unknown", { .wish = WISH_NO, ONE, .tlsa = { FAILED } }, MX1,
	    "dane:tls?", "dane", NULL, NULL },

	{ "tls = audit", { .tls = TLS_AUDIT, ENFORCE, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa sts:certificate", "sts", NULL, NULL },
	{ "tls = audit, unknown", { .tls = TLS_AUDIT, ONE, .tlsa = { FAILED } }, MX1, "dane:tls?",
	    "dane", NULL, NULL },
	{ "tls = may", { .tls = TLS_MAY, ONE, .tlsa = { USABLE } }, MX1, "", "none", NULL, NULL },
	{ "tls = encrypt", { .tls = TLS_ENCRYPT, ONE, .tlsa = { FAILED } }, MX1, "destination:tls!",
	    "none", NULL, NULL },
	{ "tls = verify", { .tls = TLS_VERIFY, ONE, .tlsa = { USABLE } }, MX1,
	    "destination:certificate!", "none", NULL, NULL },
	{ "tls = dane", { .tls = TLS_DANE, ONE, .tlsa = { USABLE } }, MX1, "dane:tlsa!", "dane",
	    NULL, NULL },
	{ "tls = dane, dane off", { .tls = TLS_DANE, .dane = ENFORCE_OFF, ONE, .tlsa = { USABLE } },
	    MX1, "dane:tlsa!", "dane", NULL, NULL },
	{ "tls = dane, TLS-Required: No",
	    { .tls = TLS_DANE, .wish = WISH_NO, ONE, .tlsa = { USABLE } }, MX1, "dane:tlsa!",
	    "dane", NULL, NULL },
	{ "G21 tls = dane, absent", { .tls = TLS_DANE, ONE, .tlsa = { ABSENT } }, "", "", "none",
	    "451 4.7.5", "dane-required" },
	{ "G21 tls = dane, insecure MX",
	    { .tls = TLS_DANE, .mx_state = DNS_INSECURE, ONE, .tlsa = { USABLE } }, "",
	    "dane:tlsa!", "dane", "451 4.7.5", "dane-required" },
	{ "G21 tls = dane, unusable", { .tls = TLS_DANE, ONE, .tlsa = { UNUSABLE } }, "",
	    "dane:tls!?", "dane", "451 4.7.5", "dane-required" },
	{ "tls = dane, unknown", { .tls = TLS_DANE, ONE, .tlsa = { FAILED } }, "", "dane:tls?",
	    "dane", "451 4.7.5", "dnssec-invalid" },
	{ "tls = dane, the second host alone", { .tls = TLS_DANE, TWO, .tlsa = { ABSENT, USABLE } },
	    MX2, "", "none", NULL, "dane-required" },
	{ "tls = dane, no address known",
	    { .tls = TLS_DANE, .hosts = { { MX1, 10, NULL, DNS_FAILED } } }, "", "", "none",
	    "451 4.4.3", NULL },
	{ "tls = dane, a relay", { .tls = TLS_DANE, .mx = MX_RELAY, ONE, .tlsa = { USABLE } }, MX1,
	    "dane:tlsa!", "dane", NULL, NULL },
};

static const char *
begin_of(const struct reply *reply)
{
	char line[REPLY_LINE_MAX + 1];

	reply_line(reply, line);
	return arena_strdup(arena, line);
}

static void
test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
		const struct plan *plan = test_plan_make(arena, &plans[i].facts);
		const struct plan_host *host = test_plan_host(plan, MX1);
		const struct demand *policy = plan_host_policy(host);
		enum policy_source source = policy != NULL ? policy->source : SOURCE_NONE;
		const char *finding = host->finding.type == RESULT_OK
		    ? NULL
		    : result_type_name(host->finding.type);
		const char *reply = begin_of(&plan->reply);

		if (strcmp(test_plan_used(arena, plan), plans[i].used) != 0)
			fail_msg("%s: used %s", plans[i].name, test_plan_used(arena, plan));
		if (strcmp(demands_text(host), plans[i].demands) != 0)
			fail_msg("%s: %s", plans[i].name, demands_text(host));
		if (strcmp(policy_source_name(source), plans[i].policy) != 0)
			fail_msg("%s: %s speaks", plans[i].name, policy_source_name(source));
		if ((plan->verdict == PLAN_USE) != (plans[i].reply == NULL) ||
		    (plans[i].reply != NULL &&
			strncmp(reply, plans[i].reply, strlen(plans[i].reply)) != 0))
			fail_msg("%s: %s", plans[i].name, reply);
		if ((finding == NULL) != (plans[i].finding == NULL) ||
		    (finding != NULL && strcmp(finding, plans[i].finding) != 0))
			fail_msg("%s: finding %s", plans[i].name, finding);
		if (!host->use && host->reason == NULL)
			fail_msg("%s: no reason", plans[i].name);
	}
}

/* D10, and RFC 7672 3.2.2: names for SNI and for DANE-TA. */
static void
test_names(void **state)
{
	static const struct {
		const char *name;
		struct test_facts facts;
		const char *sni, *names;
	} cases[] = {
		{ "secure MX", { ONE, .tlsa = { USABLE } }, MX1, MX1 " example.com" },
		{ "secure MX of an alias",
		    { ONE, .mx_canonical = "real.example.net", .tlsa = { USABLE } }, MX1,
		    MX1 " example.com real.example.net" },
		{ "CNAMEd host",
		    { ONE, .tlsa = { { .state = TLSA_USABLE, .base = "far.example" } } },
		    "far.example", "far.example example.com" },
		{ "CNAMEd host, MTA-STS too",
		    { ENFORCE, ONE, .tlsa = { { .state = TLSA_USABLE, .base = "far.example" } } },
		    "far.example", "far.example example.com" },
		{ "CNAMEd host, audit under MTA-STS",
		    { .dane = ENFORCE_AUDIT,
			ENFORCE,
			ONE,
			.tlsa = { { .state = TLSA_USABLE, .base = "far.example" } } },
		    MX1, "far.example example.com" },
		{ "CNAMEd host, audit",
		    { .dane = ENFORCE_AUDIT,
			ONE,
			.tlsa = { { .state = TLSA_USABLE, .base = "far.example" } } },
		    "far.example", "far.example example.com" },
		{ "insecure MX", { ONE, .mx_state = DNS_INSECURE, .tlsa = { USABLE } }, MX1, MX1 },
		{ "insecure MX, CNAMEd host",
		    { ONE, .mx_state = DNS_INSECURE,
			.tlsa = { { .state = TLSA_USABLE, .base = "far.example" } } },
		    "far.example", "far.example " MX1 },
		{ "relay", { ONE, .mx = MX_RELAY, .domain = MX1, .tlsa = { USABLE } }, MX1, MX1 },
		{ "unusable", { ONE, .tlsa = { UNUSABLE } }, MX1, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct plan *plan = test_plan_make(arena, &cases[i].facts);
		const struct plan_host *host = &plan->hosts[0];
		const char *names = "";

		for (size_t j = 0; j < host->dane_name_count; j++)
			names = arena_printf(arena, "%s%s%s", names, j > 0 ? " " : "",
			    host->dane_names[j]);
		if (strcmp(host->sni, cases[i].sni) != 0 || strcmp(names, cases[i].names) != 0)
			fail_msg("%s: SNI %s, %s", cases[i].name, host->sni, names);
		if (strcmp(host->names[0], MX1) != 0)	/* MTA-STS wants the MX name */
			fail_msg("%s: %s", cases[i].name, host->names[0]);
	}
}

#define TLS	.tls = PROOF_ESTABLISHED, .version = 0x0304
#define PKIX	TLS, .chain_ok = true, .name_ok = true
#define SELF_SIGNED	TLS, .name_ok = true, .x509_error = X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
#define NO_MATCH	.dane_error = X509_V_ERR_DANE_NO_MATCH
#define BOTH	ENFORCE, ONE, .tlsa = { USABLE }

static const struct {
	const char *name;
	struct test_facts facts;
	struct proof proof;
	enum judgement_step step;
	bool verified;
	const char *source;
	const char *result;
	const char *beside;	/* result type of the demand that has no say, or "ok" */
	const char *reply;	/* begins with */
	const char *words;	/* in the reply */
} judgements[] = {
	{ "G1 match", { ONE, .tlsa = { USABLE } }, { SELF_SIGNED, .dane_ok = true },
	    JUDGEMENT_GO_ON, true, "dane", "ok", "ok", NULL, NULL },
	{ "G11 no match, MTA-STS holds", { BOTH }, { PKIX, NO_MATCH }, JUDGEMENT_NEXT_HOST, false,
	    "dane", "validation-failure", "ok", "451 4.7.5", "dane (TLSA base domain " MX1 ")" },
	{ "no match", { ONE, .tlsa = { USABLE } }, { PKIX, NO_MATCH }, JUDGEMENT_NEXT_HOST, false,
	    "dane", "validation-failure", "ok", "451 4.7.5",
	    "none of its TLSA records matches the certificate (X509_V_ERR_DANE_NO_MATCH)" },
	{ "DANE-TA, another name", { ONE, .tlsa = { USABLE } },
	    { PKIX, .dane_error = X509_V_ERR_HOSTNAME_MISMATCH }, JUDGEMENT_NEXT_HOST, false,
	    "dane", "certificate-host-mismatch", "ok", "451 4.7.5",
	    "not valid for " MX1 " or the domain" },
	{ "DANE-TA, expired", { ONE, .tlsa = { USABLE } },
	    { TLS, .dane_error = X509_V_ERR_CERT_HAS_EXPIRED, .dane_depth = 1 },
	    JUDGEMENT_NEXT_HOST, false, "dane", "certificate-expired", "ok", "451 4.7.5",
	    "X509_V_ERR_CERT_HAS_EXPIRED depth=1" },
	{ "G12 unlisted", { ELSEWHERE, ONE, .tlsa = { USABLE } }, { PKIX, .dane_ok = true },
	    JUDGEMENT_GO_ON, true, "dane", "ok", "validation-failure", NULL, NULL },
	{ "G13 self-signed", { BOTH }, { SELF_SIGNED, .dane_ok = true }, JUDGEMENT_GO_ON, true,
	    "dane", "ok", "certificate-not-trusted", NULL, NULL },
	{ "G26 stripped", { BOTH }, { .tls = PROOF_NOT_OFFERED }, JUDGEMENT_NEXT_HOST, false,
	    "dane", "starttls-not-supported", "starttls-not-supported", "451 4.7.4", "dane" },
	{ "handshake failed", { ONE, .tlsa = { USABLE } },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, JUDGEMENT_NEXT_HOST, false, "dane",
	    "validation-failure", "ok", "451 4.7.5", "dane" },
	{ "TLS 1.1", { ONE, .tlsa = { USABLE } },
	    { .tls = PROOF_ESTABLISHED, .version = 0x0302, .protocol = "TLSv1.1", .dane_ok = true },
	    JUDGEMENT_NEXT_HOST, false, "dane", "validation-failure", "ok", "451 4.7.5",
	    "TLSv1.1" },
	{ "min-protocol", { ONE, .tlsa = { USABLE }, .min_protocol = TLS_VERSION_1_3 },
	    { .tls = PROOF_ESTABLISHED, .version = 0x0303, .protocol = "TLSv1.2", .dane_ok = true },
	    JUDGEMENT_NEXT_HOST, false, "dane", "validation-failure", "ok", "451 4.7.5",
	    "TLS 1.3" },
	{ "our own fault", { ONE, .tlsa = { USABLE } },
	    { TLS, .local_fault = true, .dane_error = X509_V_ERR_OUT_OF_MEM }, JUDGEMENT_NEXT_HOST,
	    false, "dane", "ok", "ok", "451 4.7.5", "log" },
	{ "nothing proven", { ONE, .tlsa = { USABLE } }, { PKIX }, JUDGEMENT_NEXT_HOST, false,
	    "dane", "validation-failure", "ok", "451 4.7.5", NULL },
	{ "G8 unusable", { ONE, .tlsa = { UNUSABLE } }, { SELF_SIGNED }, JUDGEMENT_GO_ON, false,
	    "dane", "tlsa-invalid", "ok", NULL, NULL },
	{ "G8 unusable, stripped", { ONE, .tlsa = { UNUSABLE } }, { .tls = PROOF_NOT_OFFERED },
	    JUDGEMENT_NEXT_HOST, false, "dane", "starttls-not-supported", "ok", "451 4.7.4",
	    "demands TLS" },
	{ "G8 unusable, handshake failed", { ONE, .tlsa = { UNUSABLE } },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, JUDGEMENT_NEXT_HOST, false, "dane",
	    "validation-failure", "ok", "451 4.7.5", NULL },
	{ "G8 unusable, MTA-STS holds", { ENFORCE, ONE, .tlsa = { UNUSABLE } }, { PKIX },
	    JUDGEMENT_GO_ON, true, "sts", "ok", "tlsa-invalid", NULL, NULL },
	{ "G8 unusable, MTA-STS does not", { ENFORCE, ONE, .tlsa = { UNUSABLE } }, { SELF_SIGNED },
	    JUDGEMENT_NEXT_HOST, false, "sts", "certificate-not-trusted", "tlsa-invalid",
	    "451 4.7.5", "mta-sts policy 2016Z" },
	{ "audit, no match", { .dane = ENFORCE_AUDIT, ONE, .tlsa = { USABLE } }, { PKIX, NO_MATCH },
	    JUDGEMENT_GO_ON, false, "dane", "validation-failure", "ok", NULL, NULL },
	{ "audit, stripped", { .dane = ENFORCE_AUDIT, ONE, .tlsa = { USABLE } },
	    { .tls = PROOF_NOT_OFFERED }, JUDGEMENT_GO_ON, false, "dane", "starttls-not-supported",
	    "ok", NULL, NULL },
	{ "audit, handshake failed", { .dane = ENFORCE_AUDIT, ONE, .tlsa = { USABLE } },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, JUDGEMENT_PLAINTEXT, false, "dane",
	    "validation-failure", "ok", NULL, NULL },
	{ "audit, MTA-STS does not hold", { .dane = ENFORCE_AUDIT, BOTH },
	    { SELF_SIGNED, .dane_ok = true }, JUDGEMENT_NEXT_HOST, false, "sts",
	    "certificate-not-trusted", "ok", "451 4.7.5", "mta-sts" },
	{ "audit, MTA-STS holds", { .dane = ENFORCE_AUDIT, BOTH }, { PKIX, NO_MATCH },
	    JUDGEMENT_GO_ON, true, "sts", "ok", "validation-failure", NULL, NULL },
	{ "audit, unknown", { .dane = ENFORCE_AUDIT, ONE, .tlsa = { FAILED } }, { SELF_SIGNED },
	    JUDGEMENT_GO_ON, false, "dane", "dnssec-invalid", "ok", NULL, NULL },
	{ "off: a match says nothing", { .dane = ENFORCE_OFF, BOTH },
	    { SELF_SIGNED, .dane_ok = true }, JUDGEMENT_NEXT_HOST, false, "sts",
	    "certificate-not-trusted", "ok", "451 4.7.5", "mta-sts" },
};

static void
test_judgements(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judgements) / sizeof(judgements[0]); i++) {
		const struct plan *plan = test_plan_make(arena, &judgements[i].facts);
		struct judgement got;
		const char *reply;

		plan_judge(plan, &plan->hosts[0], &judgements[i].proof, A, &got);
		reply = got.reply.code != 0 ? begin_of(&got.reply) : "";
		if (got.step != judgements[i].step || got.verified != judgements[i].verified)
			fail_msg("%s: step %d, verified %d", judgements[i].name, (int)got.step,
			    got.verified);
		if (strcmp(policy_source_name(got.source), judgements[i].source) != 0 ||
		    strcmp(result_type_name(got.finding.type), judgements[i].result) != 0 ||
		    strcmp(result_type_name(got.beside_finding.type), judgements[i].beside) != 0)
			fail_msg("%s: %s %s, %s", judgements[i].name,
			    policy_source_name(got.source), result_type_name(got.finding.type),
			    result_type_name(got.beside_finding.type));
		if ((judgements[i].reply != NULL &&
			strncmp(reply, judgements[i].reply, strlen(judgements[i].reply)) != 0) ||
		    (judgements[i].words != NULL && strstr(reply, judgements[i].words) == NULL))
			fail_msg("%s: %s", judgements[i].name, reply);
	}
}

/* No authority has a say under DANE, and another certificate mostly means other records. */
static void
test_advice_fits_dane(void **state)
{
	static const struct {
		int error;
		const char *words;
	} cases[] = {
		{ X509_V_ERR_EE_KEY_TOO_SMALL,
		    "the key of the certificate is too weak "
		    "(X509_V_ERR_EE_KEY_TOO_SMALL); the receiving site must install a "
		    "certificate with a stronger key and publish its TLSA record (to override" },
		{ X509_V_ERR_CA_KEY_TOO_SMALL, "stronger key and publish its TLSA record" },
		{ X509_V_ERR_CA_MD_TOO_WEAK, "SHA-256 or better, and publish its TLSA record" },
		{ X509_V_ERR_DANE_NO_MATCH, "must publish TLSA records for its certificate" },
		{ X509_V_ERR_CERT_HAS_EXPIRED, "must renew it and keep its TLSA records in step" },
		{ X509_V_ERR_INVALID_CA, "up to the authority that its TLSA records name" },
		{ X509_V_ERR_CERT_NOT_YET_VALID,
		    "replace its certificate and keep its TLSA "
		    "records" },
	};
	const struct test_facts facts = { ONE, .tlsa = { USABLE } };
	const struct plan *plan = test_plan_make(arena, &facts);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct proof proof = { TLS, .dane_error = cases[i].error };
		struct judgement got;

		plan_judge(plan, &plan->hosts[0], &proof, A, &got);
		assert_int_equal(got.step, JUDGEMENT_NEXT_HOST);
		if (strstr(got.reply.text, cases[i].words) == NULL)
			fail_msg("%d: %s", cases[i].error, got.reply.text);
	}
	for (int error = 1; error < 100; error++) {
		const struct proof proof = { TLS, .dane_error = error };
		struct judgement got;

		plan_judge(plan, &plan->hosts[0], &proof, A, &got);
		if (strstr(got.reply.text, "public authority") != NULL)
			fail_msg("%d: %s", error, got.reply.text);
	}
}

/* DANE, whatever the public authorities prove: the message goes on just when the match does. */
static void
test_the_match_alone_decides(void **state)
{
	const struct test_facts facts = { BOTH };
	const struct plan *plan = test_plan_make(arena, &facts);

	(void)state;
	for (unsigned bits = 0; bits < 8; bits++) {
		struct proof proof = { TLS, .chain_ok = bits & 1, .name_ok = bits & 2,
			.dane_ok = bits & 4 };
		struct judgement got;
		struct finding finding;

		proof.x509_error = (bits & 3) == 3 ? 0 : X509_V_ERR_CERT_UNTRUSTED;
		proof.dane_error = bits & 4 ? 0 : X509_V_ERR_DANE_NO_MATCH;
		plan_judge(plan, &plan->hosts[0], &proof, A, &got);
		assert_int_equal(got.step == JUDGEMENT_GO_ON, (bits & 4) != 0);
		/* Each demand by itself, for the reports. */
		assert_int_equal(plan_judge_demand(plan, &plan->hosts[0],
				     &plan->hosts[0].demands[0], &proof, &finding),
		    (bits & 4) != 0);
		assert_int_equal(finding.type == RESULT_OK, (bits & 4) != 0);
		assert_int_equal(plan_judge_demand(plan, &plan->hosts[0],
				     &plan->hosts[0].demands[1], &proof, &finding),
		    (bits & 3) == 3);
		assert_int_equal(finding.type == RESULT_OK, (bits & 3) == 3);
	}
}

static void
test_mode(void **state)
{
	static const struct {
		struct test_facts facts;
		const char *mode;
	} cases[] = {
		{ { ONE, .tlsa = { USABLE } }, "enforce" },
		{ { .dane = ENFORCE_AUDIT, ONE, .tlsa = { USABLE } }, "audit" },
		{ { ENFORCE, ONE, .tlsa = { ABSENT } }, "enforce" },
		{ { .sts = STS_VALID,
		      .mode = STS_MODE_TESTING,
		      .patterns = MX1,
		      ONE,
		      .tlsa = { ABSENT } },
		    "testing" },
		{ { .sts = STS_VALID,
		      .mode = STS_MODE_TESTING,
		      .patterns = MX1,
		      ONE,
		      .tlsa = { USABLE } },
		    "enforce" },
		{ { .sts = STS_VALID, .mode = STS_MODE_NONE, ONE, .tlsa = { ABSENT } }, "none" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct plan *plan = test_plan_make(arena, &cases[i].facts);

		assert_string_equal(plan_host_mode(plan, &plan->hosts[0]), cases[i].mode);
	}
}

/* Forged DNS must not bounce what the administrator wants under DANE. */
static void
test_unproven_answers(void **state)
{
	static const struct {
		struct test_facts facts;
		const char *reply;
	} cases[] = {
		{ { .tls = TLS_DANE, .mx = MX_NO_DOMAIN, .mx_state = DNS_INSECURE }, "451 4.1.2" },
		{ { .tls = TLS_DANE, .mx = MX_NO_DOMAIN }, "550 5.1.2" },
		{ { .mx = MX_NO_DOMAIN, .mx_state = DNS_INSECURE }, "550 5.1.2" },
		{ { .tls = TLS_DANE,
		      .mx_state = DNS_INSECURE,
		      .hosts = { { MX1, 10, NULL, DNS_INSECURE } } },
		    "451 4.4.4" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct plan *plan = test_plan_make(arena, &cases[i].facts);

		if (strncmp(begin_of(&plan->reply), cases[i].reply, strlen(cases[i].reply)) != 0)
			fail_msg("%zu: %s", i, begin_of(&plan->reply));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_advice_fits_dane),
		cmocka_unit_test(test_the_match_alone_decides),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_unproven_answers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
