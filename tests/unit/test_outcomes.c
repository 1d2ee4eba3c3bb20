/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509_vfy.h>

#include "base/buf.h"
#include "report/outcomes.h"
#include "tests/unit/plan_facts.h"

#define RECORD	"v=TLSRPTv1;rua=mailto:a@x"
#define PLAN_AT	1000	/* when the plan was made; attempts follow second by second */
#define ATTEMPTS_MAX	4

#define BODY	"version: STSv1\r\nmode: enforce\r\n\r\nmx: *.example.com\nmax_age: 604800\n"

/* One connection, to the host of this name. */
struct tried {
	const char *host;	/* NULL ends the list */
	struct proof proof;
};

struct outcome_case {
	const char *name;	/* numbers of the facts */
	struct test_facts facts;
	struct tried tried[ATTEMPTS_MAX];
	bool reused, delivered;
	const char *expected;
};

#define TLS13	.tls = PROOF_ESTABLISHED, .version = 0x0304, .protocol = "TLSv1.3"
#define GOOD	\
	{ \
		TLS13, .chain_ok = true, .name_ok = true \
	}
#define NO_TLS	\
	{ \
		.tls = PROOF_NOT_OFFERED \
	}
#define BROKEN(words)	\
	{ \
		.tls = PROOF_HANDSHAKE_FAILED, .failure = words \
	}
#define BAD(error, depth)	\
	{ \
		TLS13, .name_ok = true, .x509_error = error, .x509_depth = depth \
	}
#define WRONG_NAME	\
	{ \
		TLS13, .chain_ok = true, .x509_error = X509_V_ERR_HOSTNAME_MISMATCH \
	}

#define MX1_NAME	"mx1.example.com"
#define MX2_NAME	"mx2.example.com"
#define OTHER_NAME	"mx.example.net"
#define MX1	\
	{ \
		"mx1.example.com", 10, "192.0.2.1", DNS_INSECURE \
	}
#define MX2	\
	{ \
		"mx2.example.com", 20, "192.0.2.2", DNS_INSECURE \
	}
#define OTHER	\
	{ \
		"mx.example.net", 10, "192.0.2.3", DNS_INSECURE \
	}
#define BACKUP	\
	{ \
		"mx.example.net", 30, "192.0.2.3", DNS_INSECURE \
	}
#define NONE(...)	\
	{ \
		.mx_state = DNS_INSECURE, .sts = STS_NONE, .hosts = { __VA_ARGS__ } \
	}
#define STS(which, ...)	\
	{ \
		.mx_state = DNS_INSECURE, .sts = STS_VALID, .mode = which, \
		.patterns = "*.example.com", .hosts = { \
			__VA_ARGS__ \
		} \
	}
#define ENFORCE(...)	STS(STS_MODE_ENFORCE, __VA_ARGS__)
#define TESTING(...)	STS(STS_MODE_TESTING, __VA_ARGS__)
#define LOST(type, ...)	\
	{ \
		.mx_state = DNS_INSECURE, .sts = STS_FETCH_FAILED, .sts_finding = type, .hosts = { \
			__VA_ARGS__ \
		} \
	}
#define DANE(tlsa_is, sts_is)	\
	{ \
		.mx_state = DNS_SECURE, .sts = sts_is, .mode = STS_MODE_ENFORCE, \
		.patterns = "*.example.com", \
		.hosts = { { MX1_NAME, 10, "192.0.2.1", DNS_SECURE } }, .tlsa = { \
			{ .state = tlsa_is, .answer = DNS_FAILED } \
		} \
	}
#define TO_MX1	" n=mx1.example.com h=helo s=198.51.100.9 r=192.0.2.1"
#define TO_MX2	" n=mx2.example.com h=helo s=198.51.100.9 r=192.0.2.2"
#define MISMATCH	"sts validation-failure(mtasts-policy-mx-mismatch)"

static const struct outcome_case cases[] = {
	{ "27", NONE(MX1), { { MX1_NAME, BAD(X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, 0) } },
	    .expected = "no-policy-found ok" },
	{ "28", NONE(MX1), { { MX1_NAME, NO_TLS } },
	    .expected = "no-policy-found starttls-not-supported()" TO_MX1 },
	{ "29", ENFORCE(MX1), { { MX1_NAME, NO_TLS } },
	    .expected = "sts starttls-not-supported()" TO_MX1 },
	{ "30", ENFORCE(MX1), { { MX1_NAME, { .tls = PROOF_REFUSED, .starttls_code = 454 } } },
	    .expected = "sts starttls-not-supported(smtp-starttls-reply-code-454)" TO_MX1 },
	{ "30 no policy", NONE(MX1),
	    { { MX1_NAME, { .tls = PROOF_REFUSED, .starttls_code = 454 } } },
	    .expected =
		"no-policy-found starttls-not-supported(smtp-starttls-reply-code-454)" TO_MX1 },
	{ "31", ENFORCE(MX1), { { MX1_NAME, BAD(X509_V_ERR_CERT_HAS_EXPIRED, 0) } },
	    .expected = "sts certificate-expired(X509_V_ERR_CERT_HAS_EXPIRED)" TO_MX1 },
	{ "32", ENFORCE(MX1), { { MX1_NAME, BAD(X509_V_ERR_CERT_HAS_EXPIRED, 1) } },
	    .expected = "sts certificate-expired(X509_V_ERR_CERT_HAS_EXPIRED depth=1)" TO_MX1 },
	{ "33", ENFORCE(MX1), { { MX1_NAME, WRONG_NAME } },
	    .expected = "sts certificate-host-mismatch(X509_V_ERR_HOSTNAME_MISMATCH)" TO_MX1 },
	{ "34", ENFORCE(MX1),
	    { { MX1_NAME, BAD(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, 0) } },
	    .expected = "sts certificate-not-trusted("
			"X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)" TO_MX1 },
	{ "35", ENFORCE(MX1),
	    { { MX1_NAME, { TLS13, .x509_error = X509_V_ERR_CERT_HAS_EXPIRED } } },
	    .expected = "sts certificate-expired(X509_V_ERR_CERT_HAS_EXPIRED)" TO_MX1 },
	{ "36", ENFORCE(MX1), { { MX1_NAME, BAD(X509_V_ERR_CERT_NOT_YET_VALID, 0) } },
	    .expected = "sts validation-failure(X509_V_ERR_CERT_NOT_YET_VALID)" TO_MX1 },
	{ "38", TESTING(MX1), { { MX1_NAME, WRONG_NAME } }, .delivered = true,
	    .expected = "sts certificate-host-mismatch(X509_V_ERR_HOSTNAME_MISMATCH)" TO_MX1 },
	{ "38 no STARTTLS", TESTING(MX1), { { MX1_NAME, NO_TLS } }, .delivered = true,
	    .expected = "sts starttls-not-supported()" TO_MX1 },
	{ "39", STS(STS_MODE_NONE, MX1), { { MX1_NAME, GOOD } }, .delivered = true,
	    .expected = "no-policy-found ok" },
	{ "39 another failed fetch",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_VALID,
		.mode = STS_MODE_NONE,
		.sts_finding = RESULT_STS_POLICY_FETCH_ERROR,
		.hosts = { MX1 } },
	    { { MX1_NAME, GOOD } }, .delivered = true, .expected = "no-policy-found ok" },
	{ "40", ENFORCE(OTHER, MX2), { { MX2_NAME, GOOD } }, .delivered = true,
	    .expected = "sts ok; " MISMATCH " n=mx.example.net" },
	{ "40 none left", ENFORCE(OTHER), .expected = MISMATCH " n=mx.example.net" },
	{ "40 behind the one that took it", ENFORCE(MX1, BACKUP), { { MX1_NAME, GOOD } },
	    .delivered = true, .expected = "sts ok" },
	{ "40 behind one that did not", ENFORCE(MX1, BACKUP), { { MX1_NAME, GOOD } },
	    .expected = "sts ok; " MISMATCH " n=mx.example.net" },
	{ "41", TESTING(OTHER), { { OTHER_NAME, GOOD } }, .delivered = true,
	    .expected = MISMATCH " n=mx.example.net" },
	{ "41 audit",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_VALID,
		.mode = STS_MODE_ENFORCE,
		.enforce = ENFORCE_AUDIT,
		.patterns = "*.example.com",
		.hosts = { OTHER } },
	    { { OTHER_NAME, GOOD } }, .delivered = true, .expected = MISMATCH " n=mx.example.net" },
	{ "42",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_VALID,
		.mode = STS_MODE_ENFORCE,
		.patterns = "*.x.example",
		.hosts = { { "a.b.x.example", 10, "192.0.2.1", DNS_INSECURE },
		    { "x.example", 20, "192.0.2.2", DNS_INSECURE } } },
	    .expected = MISMATCH " n=a.b.x.example; " MISMATCH " n=x.example" },
	{ "43 a session", LOST(RESULT_STS_POLICY_FETCH_ERROR, MX1), { { MX1_NAME, GOOD } },
	    .delivered = true, .expected = "sts sts-policy-fetch-error(http-404)" },
	{ "43 no session", LOST(RESULT_STS_POLICY_FETCH_ERROR, MX1),
	    .expected = "sts sts-policy-fetch-error(http-404)" },
	{ "43 a kept connection", LOST(RESULT_STS_POLICY_FETCH_ERROR, MX1), .reused = true,
	    .delivered = true, .expected = "" },
	{ "44", LOST(RESULT_STS_WEBPKI_INVALID, MX1), { { MX1_NAME, GOOD } }, .delivered = true,
	    .expected = "sts sts-webpki-invalid(http-404)" },
	{ "45", LOST(RESULT_STS_POLICY_INVALID, MX1), { { MX1_NAME, NO_TLS } }, .delivered = true,
	    .expected = "sts sts-policy-invalid(http-404)" },
	{ "46",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_VALID,
		.mode = STS_MODE_ENFORCE,
		.patterns = "*.example.com",
		.sts_finding = RESULT_STS_POLICY_FETCH_ERROR,
		.hosts = { MX1 } },
	    { { MX1_NAME, GOOD } }, .delivered = true,
	    .expected = "sts ok; sts sts-policy-fetch-error(http-404)" },
	{ "47", ENFORCE(MX1), { { MX1_NAME, GOOD } }, .delivered = true, .expected = "sts ok" },
	{ "57", ENFORCE(MX1), .expected = "" },
	{ "57 no policy", NONE(MX1), .expected = "" },
	{ "58", ENFORCE(MX1), { { MX1_NAME, BROKEN("connection-closed-during-handshake") } },
	    .expected = "sts validation-failure(connection-closed-during-handshake)" TO_MX1 },
	{ "58 no policy", NONE(MX1), { { MX1_NAME, BROKEN("connection-closed-during-handshake") } },
	    .expected =
		"no-policy-found validation-failure(connection-closed-during-handshake)" TO_MX1 },
	{ "58 out of time", NONE(MX1),
	    { { MX1_NAME, { .tls = PROOF_TIMEOUT, .failure = "io-timeout-during-handshake" } } },
	    .expected = "no-policy-found validation-failure(io-timeout-during-handshake)" TO_MX1 },
	{ "59 an alert", ENFORCE(MX1), { { MX1_NAME, BROKEN("tls-remote-alert-70") } },
	    .expected = "sts validation-failure(tls-remote-alert-70)" TO_MX1 },
	{ "59 testing", TESTING(MX1),
	    { { MX1_NAME,
		{ .tls = PROOF_ESTABLISHED,
		    .version = 0x0301,
		    .protocol = "TLSv1",
		    .chain_ok = true,
		    .name_ok = true } } },
	    .expected = "sts validation-failure(protocol-TLSv1)" TO_MX1 },
	{ "60", ENFORCE(MX1), { { MX1_NAME, BROKEN("tls-remote-alert-116") } },
	    .expected = "sts validation-failure(tls-remote-alert-116)" TO_MX1 },
	{ "61", ENFORCE(MX1), .reused = true, .delivered = true, .expected = "" },
	{ "61 with a host that is not listed", ENFORCE(OTHER, MX2), .reused = true,
	    .delivered = true, .expected = "" },
	{ "62", ENFORCE(MX1),
	    { { MX1_NAME, GOOD },
		{ MX1_NAME, { TLS13, .chain_ok = true, .name_ok = true, .resumed = true } } },
	    .delivered = true, .expected = "sts ok; sts ok" },
	{ "63", ENFORCE(MX1, MX2), { { MX1_NAME, NO_TLS }, { MX2_NAME, GOOD } }, .delivered = true,
	    .expected = "sts starttls-not-supported()" TO_MX1 "; sts ok" },
	{ "63 no policy", NONE(MX1, MX2), { { MX1_NAME, GOOD }, { MX2_NAME, NO_TLS } },
	    .expected = "no-policy-found ok; no-policy-found starttls-not-supported()" TO_MX2 },
	{ "65",
	    { .mx = MX_LITERAL,
		.domain = "[192.0.2.1]",
		.hosts = { { "", 0, "192.0.2.1", DNS_SECURE } } },
	    { { "", GOOD } }, .delivered = true, .expected = "" },
	{ "67 no memory", ENFORCE(MX1),
	    { { MX1_NAME,
		{ .tls = PROOF_HANDSHAKE_FAILED,
		    .local_fault = true,
		    .failure = "local-tls-fault" } } },
	    .expected = "" },
	{ "67 no trust store", ENFORCE(MX1), { { MX1_NAME, BAD(X509_V_ERR_STORE_LOOKUP, 0) } },
	    .expected = "" },
	{ "TXT given up on",
	    { .mx_state = DNS_INSECURE, .sts = STS_TXT_GIVEN_UP, .hosts = { MX1 } },
	    { { MX1_NAME, GOOD } }, .delivered = true, .expected = "no-policy-found ok" },
	{ "TXT malformed",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_NONE,
		.sts_finding = RESULT_STS_POLICY_INVALID,
		.hosts = { MX1 } },
	    { { MX1_NAME, GOOD } }, .delivered = true,
	    .expected = "sts sts-policy-invalid(http-404)" },
	{ "48", DANE(TLSA_USABLE, STS_NONE),
	    { { MX1_NAME, { TLS13, .dane_ok = true, .x509_error = X509_V_ERR_CERT_HAS_EXPIRED } } },
	    .delivered = true, .expected = "tlsa:mx1.example.com ok" },
	{ "49", DANE(TLSA_USABLE, STS_NONE),
	    { { MX1_NAME,
		{ TLS13, .chain_ok = true, .name_ok = true,
		    .dane_error = X509_V_ERR_DANE_NO_MATCH } } },
	    .expected =
		"tlsa:mx1.example.com validation-failure(X509_V_ERR_DANE_NO_MATCH)" TO_MX1 },
	{ "50", DANE(TLSA_USABLE, STS_NONE),
	    { { MX1_NAME, { TLS13, .dane_error = X509_V_ERR_HOSTNAME_MISMATCH } } },
	    .expected = "tlsa:mx1.example.com certificate-host-mismatch("
			"X509_V_ERR_HOSTNAME_MISMATCH)" TO_MX1 },
	{ "51", DANE(TLSA_UNUSABLE, STS_NONE), { { MX1_NAME, { TLS13 } } }, .delivered = true,
	    .expected = "tlsa:mx1.example.com tlsa-invalid(all-TLSA-records-unusable)" TO_MX1 },
	{ "51 no STARTTLS", DANE(TLSA_UNUSABLE, STS_NONE), { { MX1_NAME, NO_TLS } },
	    .expected = "tlsa:mx1.example.com starttls-not-supported()" TO_MX1 },
	{ "52", DANE(TLSA_UNKNOWN, STS_NONE),
	    .expected = "tlsa:mx1.example.com dnssec-invalid(SERVFAIL) n=mx1.example.com" },
	{ "53",
	    { .mx_state = DNS_SECURE,
		.sts = STS_NONE,
		.tls = TLS_DANE,
		.hosts = { { MX1_NAME, 10, "192.0.2.1", DNS_SECURE } },
		.tlsa = { { .state = TLSA_NONE } } },
	    .expected = "tlsa:mx1.example.com dane-required() n=mx1.example.com" },
	{ "54", DANE(TLSA_NONE, STS_NONE), { { MX1_NAME, GOOD } }, .delivered = true,
	    .expected = "no-policy-found ok" },
	{ "55", DANE(TLSA_USABLE, STS_VALID),
	    { { MX1_NAME,
		{ TLS13, .name_ok = true, .dane_ok = true,
		    .x509_error = X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY } } },
	    .delivered = true,
	    .expected =
		"tlsa:mx1.example.com ok + sts "
		"certificate-not-trusted(X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY)" TO_MX1 },
	{ "56", DANE(TLSA_USABLE, STS_VALID),
	    { { MX1_NAME,
		{ TLS13, .chain_ok = true, .name_ok = true,
		    .dane_error = X509_V_ERR_DANE_NO_MATCH } } },
	    .expected = "tlsa:mx1.example.com validation-failure(X509_V_ERR_DANE_NO_MATCH)" TO_MX1
			" + sts ok" },
	{ "G12",
	    { .mx_state = DNS_SECURE,
		.sts = STS_VALID,
		.mode = STS_MODE_ENFORCE,
		.patterns = "*.example.net",
		.hosts = { { MX1_NAME, 10, "192.0.2.1", DNS_SECURE } },
		.tlsa = { { .state = TLSA_USABLE } } },
	    { { MX1_NAME, { TLS13, .dane_ok = true, .chain_ok = true, .name_ok = true } } },
	    .delivered = true,
	    .expected = "tlsa:mx1.example.com ok + " MISMATCH " n=mx1.example.com" },
	{ "G26", DANE(TLSA_USABLE, STS_VALID), { { MX1_NAME, NO_TLS } },
	    .expected = "tlsa:mx1.example.com starttls-not-supported()" TO_MX1
			" + sts starttls-not-supported()" TO_MX1 },
	{ "TLSA base",
	    { .mx_state = DNS_SECURE,
		.sts = STS_NONE,
		.hosts = { { MX1_NAME, 10, "192.0.2.1", DNS_SECURE } },
		.tlsa = { { .state = TLSA_USABLE, .base = "mail.example.org" } } },
	    { { MX1_NAME, { TLS13, .dane_ok = true } } }, .delivered = true,
	    .expected = "tlsa:mail.example.org ok" },
	{ "MX bogus", { .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS, .sts = STS_NONE },
	    .expected = "tlsa dnssec-invalid()" },
	{ "MX bogus by our own fault",
	    { .mx = MX_UNKNOWN,
		.mx_state = DNS_BOGUS,
		.sts = STS_NONE,
		.resolver = RESOLVER_BROKEN,
		.resolver_fault = "ours" },
	    .expected = "" },
	{ "MX addresses bogus by our own fault",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_NONE,
		.hosts = { { "mx1.example.com", 10, NULL, DNS_BOGUS } },
		.resolver = RESOLVER_BROKEN,
		.resolver_fault = "ours" },
	    .expected = "" },
	{ "MX unknown", { .mx = MX_UNKNOWN, .mx_state = DNS_FAILED, .sts = STS_NONE },
	    .expected = "" },
	{ "MX addresses bogus", NONE({ "mx1.example.com", 10, NULL, DNS_BOGUS }),
	    .expected = "tlsa:mx1.example.com dnssec-invalid() n=mx1.example.com" },
	{ "encrypt by destination",
	    { .mx_state = DNS_INSECURE,
		.sts = STS_NOT_ASKED,
		.tls = TLS_ENCRYPT,
		.hosts = { MX1 } },
	    { { MX1_NAME, NO_TLS } },
	    .expected = "no-policy-found starttls-not-supported()" TO_MX1 },
};

static void
make_attempts(const struct outcome_case *test, const struct plan *plan,
    struct reported_session *attempts, size_t *count)
{
	for (*count = 0; *count < ATTEMPTS_MAX && test->tried[*count].host != NULL; (*count)++) {
		struct reported_session *attempt = &attempts[*count];

		*attempt = (struct reported_session){ .host = test_plan_host(plan,
							  test->tried[*count].host),
			.has_from = true,
			.helo = "helo",
			.proof = test->tried[*count].proof,
			.at_s = PLAN_AT + 1 + (int64_t)*count };
		if (attempt->host == NULL)
			fail_msg("%s: no such host", test->name);
		attempt->to = attempt->host->addresses[0];
		assert_int_equal(ip_parse("198.51.100.9", &attempt->from), 0);
	}
}

static void
add_field(struct buf *text, const char *key, const char *value)
{
	if (value[0] != '\0')
		buf_printf(text, " %s=%s", key, value);
}

static void
describe(struct buf *text, const struct session_outcome *session)
{
	for (size_t i = 0; i < session->count; i++) {
		const struct outcome *outcome = &session->outcomes[i];
		bool own = strcmp(outcome->policy.domain, session->domain) == 0;

		buf_printf(text, "%s%s%s%s", i > 0 ? " + " : "",
		    outcome_type_name(outcome->policy.type), own ? "" : ":",
		    own ? "" : outcome->policy.domain);
		assert_int_equal(outcome->failed, outcome->failure_count == 1);
		if (!outcome->failed) {
			buf_add_text(text, " ok");
			continue;
		}
		buf_printf(text, " %s(%s)", result_type_name(outcome->failures[0].type),
		    outcome->failures[0].reason);
		add_field(text, "n", outcome->failures[0].mx);
		add_field(text, "h", outcome->failures[0].helo);
		add_field(text, "s", outcome->failures[0].sending_ip);
		add_field(text, "r", outcome->failures[0].receiving_ip);
		assert_string_equal(outcome->failures[0].information, "");
	}
}

static void
check_case(const struct outcome_case *test)
{
	struct arena *arena = arena_new();
	struct facts *facts = test_facts_make(arena, &test->facts);
	struct plan *plan = test_plan_from(arena, &test->facts, facts);
	struct reported_session attempts[ATTEMPTS_MAX];
	struct outcomes_of of = { .plan = plan,
		.facts = facts,
		.attempts = attempts,
		.reused = test->reused,
		.exhausted = !test->delivered,
		.at_s = PLAN_AT };
	struct outcomes outcomes;
	struct buf text = { 0 };

	make_attempts(test, plan, attempts, &of.attempt_count);
	outcomes_from(arena, &of, RECORD, &outcomes);
	for (size_t i = 0; i < outcomes.count; i++) {
		buf_add_text(&text, i > 0 ? "; " : "");
		describe(&text, &outcomes.at[i]);
		assert_string_equal(outcomes.at[i].domain, plan->domain);
		assert_string_equal(outcomes.at[i].record, RECORD);
		assert_int_equal(outcomes.at[i].at_s,
		    i < of.attempt_count ? attempts[i].at_s : PLAN_AT);
	}
	if (strcmp(buf_text(&text), test->expected) != 0)
		fail_msg("%s: \"%s\"", test->name, buf_text(&text));
	buf_free(&text);
	arena_free(arena);
}

static void
events_have_the_result_types_of_the_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i]);
}

/* The first outcome of a session with these facts, to the first host. */
static struct outcome
one_outcome(struct arena *arena, const struct test_facts *test, struct facts *facts,
    struct proof proof)
{
	struct plan *plan = test_plan_from(arena, test, facts);
	struct reported_session attempt = {
		.host = &plan->hosts[0], .to = facts->hosts[0].addresses[0], .proof = proof
	};
	struct outcomes_of of = {
		.plan = plan, .facts = facts, .attempts = &attempt, .attempt_count = 1
	};
	struct outcomes outcomes;

	outcomes_from(arena, &of, RECORD, &outcomes);
	assert_int_equal(outcomes.count, 1);
	return outcomes.at[0].outcomes[0];
}

static void
lines_are_as_served_but_for_empty_ones(void **state)
{
	static const struct test_facts test = ENFORCE(MX1);
	struct arena *arena = arena_new();
	struct facts *facts = test_facts_make(arena, &test);
	struct sts_policy policy = *facts->sts.policy;
	struct outcome outcome;

	(void)state;
	policy.body = BODY;
	policy.body_length = sizeof(BODY) - 1;
	facts->sts.policy = &policy;
	outcome = one_outcome(arena, &test, facts, (struct proof)GOOD);
	assert_int_equal(outcome.policy.string_count, 4);
	assert_string_equal(outcome.policy.strings[0], "version: STSv1");
	assert_string_equal(outcome.policy.strings[1], "mode: enforce");
	assert_string_equal(outcome.policy.strings[2], "mx: *.example.com");
	assert_string_equal(outcome.policy.strings[3], "max_age: 604800");
	assert_int_equal(outcome.policy.mx_count, 1);
	assert_string_equal(outcome.policy.mx[0], "*.example.com");
	arena_free(arena);
}

/* 45 */
static void
a_file_that_is_no_policy_is_shown(void **state)
{
	static const struct test_facts test = LOST(RESULT_STS_POLICY_INVALID, MX1);
	struct arena *arena = arena_new();
	struct facts *facts = test_facts_make(arena, &test);
	struct outcome outcome;

	(void)state;
	facts->sts.served = "mode: enforce\n<html>\xff\n";
	outcome = one_outcome(arena, &test, facts, (struct proof)GOOD);
	assert_int_equal(outcome.policy.string_count, 2);
	assert_string_equal(outcome.policy.strings[0], "mode: enforce");
	assert_string_equal(outcome.policy.strings[1], "<html>?");
	assert_int_equal(outcome.policy.mx_count, 0);
	arena_free(arena);
}

/* 43 */
static void
a_failed_fetch_has_no_lines(void **state)
{
	static const struct test_facts test = LOST(RESULT_STS_POLICY_FETCH_ERROR, MX1);
	struct arena *arena = arena_new();
	struct outcome outcome = one_outcome(arena, &test, test_facts_make(arena, &test),
	    (struct proof)GOOD);

	(void)state;
	assert_int_equal(outcome.policy.string_count, 0);
	assert_string_equal(outcome.policy.domain, "example.com");
	arena_free(arena);
}

/* 48, 15 */
static void
records_stand_in_order(void **state)
{
	static const struct test_facts test = { .mx_state = DNS_SECURE,
		.sts = STS_NONE,
		.hosts = { { MX1_NAME, 10, "192.0.2.1", DNS_SECURE } },
		.tlsa = { { .state = TLSA_USABLE, .records = "3 1 1, 2 0 1" } } };
	struct arena *arena = arena_new();
	struct facts *facts = test_facts_make(arena, &test);
	const struct outcome outcome = one_outcome(arena, &test, facts,
	    (struct proof){ TLS13, .dane_ok = true });

	(void)state;
	assert_int_equal(outcome.policy.type, OUTCOME_TLSA);
	assert_int_equal(outcome.policy.string_count, 2);
	assert_memory_equal(outcome.policy.strings[0], "2 0 1 0000", 10);
	assert_memory_equal(outcome.policy.strings[1], "3 1 1 0000", 10);
	assert_int_equal(outcome.policy.mx_count, 0);
	arena_free(arena);
}

static void
only_text_that_json_can_carry_is_left(void **state)
{
	static const char odd[] = "\x01 \"\\ \xc3\xa9 \xff \xc3";
	struct arena *arena = arena_new();

	(void)state;
	assert_string_equal(outcome_text(arena, odd, sizeof(odd) - 1), "\x01 \"\\ \xc3\xa9 ? ?");
	assert_string_equal(outcome_text(arena, "a\0b", 3), "a");
	assert_string_equal(outcome_text(arena, "abc", 2), "ab");
	assert_string_equal(outcome_text(arena, "", 0), "");
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_have_the_result_types_of_the_table),
		cmocka_unit_test(lines_are_as_served_but_for_empty_ones),
		cmocka_unit_test(a_file_that_is_no_policy_is_shown),
		cmocka_unit_test(a_failed_fetch_has_no_lines),
		cmocka_unit_test(records_stand_in_order),
		cmocka_unit_test(only_text_that_json_can_carry_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
