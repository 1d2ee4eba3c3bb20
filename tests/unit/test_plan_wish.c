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
#include <string.h>

#include "tests/unit/plan_facts.h"

#define A	"192.0.2.1"
#define A2	"192.0.2.2"
#define MX1	"mx1.example.com"
#define MX2	"mx2.example.com"
#define ENFORCE	.sts = STS_VALID, .mode = STS_MODE_ENFORCE
#define TESTING	.sts = STS_VALID, .mode = STS_MODE_TESTING
#define SECURE	.mx_state = DNS_SECURE
#define INSECURE	.mx_state = DNS_INSECURE
#define REQUIRE	.wish = WISH_REQUIRETLS
#define NO	.wish = WISH_NO
#define USABLE	.tlsa = { { .state = TLSA_USABLE } }
#define UNUSABLE	.tlsa = { { .state = TLSA_UNUSABLE, .records = "0 0 1" } }
#define UNKNOWN	.tlsa = { { .state = TLSA_UNKNOWN, .answer = DNS_BOGUS } }
#define ONE_HOST	.hosts = { { MX1, 10, A, DNS_INSECURE } }

struct plan_case {
	const char *name;
	struct test_facts facts;
	const char *used;	/* a plan that may be used; else reply */
	const char *reply;	/* code and enhanced code */
	const char *text;	/* part of the reply */
};

static const struct plan_case cases[] = {
	/* What authenticates the MX name, RFC 8689 4.2.1 2. */
	{ "DNSSEC", { REQUIRE, SECURE, .sts = STS_NONE, ONE_HOST }, MX1, NULL, NULL },
	{ "nobody", { REQUIRE, INSECURE, .sts = STS_NONE, ONE_HOST }, NULL, "550 5.7.10",
	    "neither a DNSSEC-secure MX answer nor an mta-sts policy" },
	{ "nobody, no wish", { INSECURE, .sts = STS_NONE, ONE_HOST }, MX1, NULL, NULL },
	{ "enforce", { REQUIRE, INSECURE, ENFORCE, .patterns = MX1, ONE_HOST }, MX1, NULL, NULL },
	{ "enforce, audited here",
	    { REQUIRE, INSECURE, ENFORCE, .enforce = ENFORCE_AUDIT, .patterns = MX1, ONE_HOST },
	    MX1, NULL, NULL },
	{ "enforce, tls = audit",
	    { REQUIRE, INSECURE, ENFORCE, .tls = TLS_AUDIT, .patterns = MX1, ONE_HOST }, MX1, NULL,
	    NULL },
	{ "audited here, not listed",
	    { REQUIRE, INSECURE, ENFORCE, .enforce = ENFORCE_AUDIT, .patterns = MX2, ONE_HOST },
	    NULL, "550 5.7.10", NULL },
	{ "audited here, not listed, DNSSEC",
	    { REQUIRE, SECURE, ENFORCE, .enforce = ENFORCE_AUDIT, .patterns = MX2, ONE_HOST }, MX1,
	    NULL, NULL },
	{ "testing vouches for nothing", { REQUIRE, INSECURE, TESTING, .patterns = MX1, ONE_HOST },
	    NULL, "550 5.7.10", NULL },
	{ "testing and DNSSEC", { REQUIRE, SECURE, TESTING, .patterns = MX1, ONE_HOST }, MX1, NULL,
	    NULL },
	{ "mode none", { REQUIRE, INSECURE, .sts = STS_VALID, .patterns = MX1, ONE_HOST }, NULL,
	    "550 5.7.10", NULL },
	{ "sts off", { REQUIRE, INSECURE, .enforce = ENFORCE_OFF, ONE_HOST }, NULL, "550 5.7.10",
	    NULL },
	{ "sts off, DNSSEC", { REQUIRE, SECURE, .enforce = ENFORCE_OFF, ONE_HOST }, MX1, NULL,
	    NULL },
	{ "enforce, not listed", { REQUIRE, SECURE, ENFORCE, .patterns = MX2, ONE_HOST }, NULL,
	    "550 5.7.10", "2016Z" },
	{ "enforce lists one of two",
	    { REQUIRE, INSECURE, ENFORCE, .patterns = MX2,
		.hosts = { { MX1, 10, A, 0 }, { MX2, 20, A2, 0 } } },
	    MX2, NULL, NULL },
	{ "implicit MX, insecure",
	    { REQUIRE, INSECURE, .mx = MX_IMPLICIT, .sts = STS_NONE,
		.hosts = { { "example.com", 0, A, 0 } } },
	    NULL, "550 5.7.10", NULL },
	{ "implicit MX, secure",
	    { REQUIRE, SECURE, .mx = MX_IMPLICIT, .sts = STS_NONE,
		.hosts = { { "example.com", 0, A, 0 } } },
	    "example.com", NULL, NULL },
	{ "literal",
	    { REQUIRE, SECURE, .mx = MX_LITERAL, .domain = "[192.0.2.1]",
		.hosts = { { "", 0, A, 0 } } },
	    NULL, "550 5.7.10", "[192.0.2.1]" },
	{ "relay",
	    { REQUIRE, INSECURE, .mx = MX_RELAY, .domain = "relay.example",
		.hosts = { { "relay.example", 0, A, DNS_INSECURE } } },
	    "relay.example", NULL, NULL },
	{ "relay address",
	    { REQUIRE, SECURE, .mx = MX_LITERAL, .relay_address = true, .domain = "[192.0.2.1]",
		.hosts = { { "", 0, A, 0 } } },
	    NULL, "550 5.7.10", NULL },
	{ "relay address and match",
	    { REQUIRE, SECURE, .mx = MX_LITERAL, .relay_address = true, .domain = "[192.0.2.1]",
		.tls = TLS_VERIFY, .match = "a.example", .hosts = { { "", 0, A, 0 } } },
	    "", NULL, NULL },

	/* Destinations. */
	{ "may", { REQUIRE, INSECURE, .tls = TLS_MAY, ONE_HOST }, NULL, "550 5.7.10", NULL },
	{ "none", { REQUIRE, SECURE, .tls = TLS_NONE, ONE_HOST }, NULL, "550 5.7.10",
	    "tls = \"none\"" },
	{ "may, DNSSEC", { REQUIRE, SECURE, .tls = TLS_MAY, ONE_HOST }, MX1, NULL, NULL },
	{ "encrypt", { REQUIRE, INSECURE, .tls = TLS_ENCRYPT, ONE_HOST }, NULL, "550 5.7.10",
	    NULL },
	{ "verify without a name", { REQUIRE, INSECURE, .tls = TLS_VERIFY, ONE_HOST }, NULL,
	    "550 5.7.10", NULL },
	{ "verify by match",
	    { REQUIRE, INSECURE, .tls = TLS_VERIFY, .match = "a.example", ONE_HOST }, MX1, NULL,
	    NULL },
	{ "dane at a secure MX", { REQUIRE, SECURE, .tls = TLS_DANE, USABLE, ONE_HOST }, MX1, NULL,
	    NULL },
	{ "dane without TLSA", { REQUIRE, SECURE, .tls = TLS_DANE, ONE_HOST }, NULL, "550 5.7.10",
	    NULL },

	/* DANE. A match says whose host it is, and not that it is the domain's. */
	{ "TLSA at an insecure MX", { REQUIRE, INSECURE, USABLE, ONE_HOST }, NULL, "550 5.7.10",
	    "authenticates its name" },
	{ "TLSA at an insecure MX, listed",
	    { REQUIRE, INSECURE, USABLE, ENFORCE, .patterns = MX1, ONE_HOST }, MX1, NULL, NULL },
	{ "TLSA at an insecure MX, not listed",
	    { REQUIRE, INSECURE, USABLE, ENFORCE, .patterns = MX2, ONE_HOST }, NULL, "550 5.7.10",
	    NULL },
	{ "TLSA at a secure MX", { REQUIRE, SECURE, USABLE, ONE_HOST }, MX1, NULL, NULL },
	{ "TLSA unknown", { REQUIRE, SECURE, UNKNOWN, ONE_HOST }, NULL, "451 4.7.5", MX1 },
	{ "TLSA unknown, audit", { REQUIRE, SECURE, UNKNOWN, .dane = ENFORCE_AUDIT, ONE_HOST }, MX1,
	    NULL, NULL },

	/* What may pass. */
	{ "TXT failed, audit",
	    { REQUIRE, INSECURE, .sts = STS_TXT_FAILED, .enforce = ENFORCE_AUDIT, ONE_HOST }, NULL,
	    "451 4.4.3", "REQUIRETLS" },
	{ "TXT given up", { REQUIRE, INSECURE, .sts = STS_TXT_GIVEN_UP, ONE_HOST }, NULL,
	    "451 4.4.3", "REQUIRETLS" },
	{ "TXT given up, DNSSEC", { REQUIRE, SECURE, .sts = STS_TXT_GIVEN_UP, ONE_HOST }, MX1, NULL,
	    NULL },
	{ "TXT bogus, audit",
	    { REQUIRE, INSECURE, .sts = STS_TXT_BOGUS, .tls = TLS_AUDIT, ONE_HOST }, NULL,
	    "451 4.7.5", NULL },
	{ "fetch failed", { REQUIRE, INSECURE, .sts = STS_FETCH_FAILED, ONE_HOST }, NULL,
	    "451 4.7.5", "mta-sts policy of example.com" },
	{ "store, audit",
	    { REQUIRE, INSECURE, .sts = STS_STORE_FAILED, .enforce = ENFORCE_AUDIT, ONE_HOST },
	    NULL, "451 4.3.0", NULL },
	{ "address failed", { REQUIRE, SECURE, .hosts = { { MX1, 10, NULL, DNS_FAILED } } }, NULL,
	    "451 4.4.3", MX1 },
	{ "address bogus", { REQUIRE, SECURE, .hosts = { { MX1, 10, NULL, DNS_BOGUS } } }, NULL,
	    "451 4.7.5", MX1 },
	{ "private",
	    { REQUIRE, SECURE, .refuse_private = true, .hosts = { { MX1, 10, "10.0.0.1", 0 } } },
	    NULL, "451 4.4.4", MX1 },
	{ "not listed beside failed",
	    { REQUIRE, SECURE, ENFORCE, .patterns = MX2,
		.hosts = { { MX1, 10, A, 0 }, { MX2, 20, NULL, DNS_FAILED } } },
	    NULL, "451 4.4.3", MX2 },

	/* Forged DNS must not bounce protected mail. */
	{ "no domain", { REQUIRE, INSECURE, .mx = MX_NO_DOMAIN }, NULL, "451 4.1.2", "REQUIRETLS" },
	{ "no domain, secure", { REQUIRE, SECURE, .mx = MX_NO_DOMAIN }, NULL, "550 5.1.2", NULL },
	{ "null MX", { REQUIRE, INSECURE, .mx = MX_NULL }, NULL, "451 4.1.10", NULL },
	{ "null MX, secure", { REQUIRE, SECURE, .mx = MX_NULL }, NULL, "556 5.1.10", NULL },
	{ "no address", { REQUIRE, SECURE, .hosts = { { MX1, 10, NULL, DNS_INSECURE } } }, NULL,
	    "451 4.4.4", NULL },
	{ "no address, secure", { REQUIRE, SECURE, .hosts = { { MX1, 10, NULL, DNS_SECURE } } },
	    NULL, "550 5.4.4", NULL },
	{ "loop", { REQUIRE, INSECURE, .hosts = { { "out.example.net", 10, A, 0 } } }, NULL,
	    "451 4.4.6", NULL },
	{ "MX bogus", { REQUIRE, .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS }, NULL, "451 4.7.5",
	    NULL },
	{ "TXT failed", { REQUIRE, SECURE, .sts = STS_TXT_FAILED, ONE_HOST }, NULL, "451 4.4.3",
	    NULL },

	/* TLS-Required: No. Published policies stop nothing; bogus answers do. */
	{ "No: not listed", { NO, INSECURE, ENFORCE, .patterns = MX2, ONE_HOST }, MX1, NULL, NULL },
	{ "No: TXT failed", { NO, INSECURE, .sts = STS_TXT_FAILED, ONE_HOST }, MX1, NULL, NULL },
	{ "No: TXT bogus", { NO, INSECURE, .sts = STS_TXT_BOGUS, ONE_HOST }, MX1, NULL, NULL },
	{ "No: store", { NO, INSECURE, .sts = STS_STORE_FAILED, ONE_HOST }, MX1, NULL, NULL },
	{ "No: MX bogus", { NO, .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS }, NULL, "451 4.7.5",
	    NULL },
	{ "No: address bogus", { NO, SECURE, .hosts = { { MX1, 10, NULL, DNS_BOGUS } } }, NULL,
	    "451 4.7.5", NULL },
	{ "No: TLSA unknown", { NO, SECURE, UNKNOWN, ONE_HOST }, MX1, NULL, NULL },
	{ "No: no domain", { NO, INSECURE, ENFORCE, .patterns = MX1, .mx = MX_NO_DOMAIN }, NULL,
	    "550 5.1.2", NULL },
	{ "No: verify without a name", { NO, INSECURE, .tls = TLS_VERIFY, ONE_HOST }, NULL,
	    "451 4.7.5", NULL },
	{ "No: dane without TLSA", { NO, SECURE, .tls = TLS_DANE, ONE_HOST }, NULL, "451 4.7.5",
	    NULL },
};

static void
check(struct arena *arena, const struct plan_case *c)
{
	const struct plan *plan = test_plan_make(arena, &c->facts);
	char line[REPLY_LINE_MAX + 1];

	if (plan->wish != c->facts.wish)
		fail_msg("%s: wish %s", c->name, sender_wish_name(plan->wish));
	if (c->used != NULL) {
		if (plan->verdict != PLAN_USE || plan->use_count == 0)
			fail_msg("%s: %s", c->name, plan->reply.text);
		if (strcmp(test_plan_used(arena, plan), c->used) != 0)
			fail_msg("%s: uses %s", c->name, test_plan_used(arena, plan));
		return;
	}
	reply_line(&plan->reply, line);
	if (strncmp(line, c->reply, strlen(c->reply)) != 0 || line[strlen(c->reply)] != ' ' ||
	    (c->text != NULL && strstr(line, c->text) == NULL))
		fail_msg("%s: %s", c->name, line);
	if (plan->verdict != (c->reply[0] == '5' ? PLAN_REFUSE : PLAN_DEFER) ||
	    plan->use_count != 0)
		fail_msg("%s: verdict %s", c->name, plan_verdict_name(plan->verdict));
}

static void
test_verdicts(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new();

		check(arena, &cases[i]);
		arena_free(arena);
	}
}

/* A host that is out for what may pass: no 5xx of the others is the last word. */
static void
test_untried(void **state)
{
	static const struct {
		struct test_host other;
		bool refuse_private;
		const char *enhanced;	/* NULL: nothing is left untried */
		const char *plain;	/* the same without REQUIRETLS */
	} hosts[] = {
		{ { MX2, 20, A2, 0 }, false, NULL, NULL },
		{ { MX2, 20, NULL, DNS_FAILED }, false, "4.4.3", "4.4.3" },
		{ { MX2, 20, NULL, DNS_BOGUS }, false, "4.7.5", "4.7.5" },
		{ { MX2, 20, NULL, DNS_INSECURE }, false, "4.4.4", NULL },
		{ { MX2, 20, NULL, DNS_SECURE }, false, NULL, NULL },
		{ { MX2, 20, "10.0.0.1", 0 }, true, "4.4.4", NULL },
		{ { "out.example.net", 30, A2, 0 }, false, NULL, NULL },
		{ { "no\\032host", 30, NULL, DNS_FAILED }, false, NULL, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct test_facts facts = { REQUIRE, SECURE, .sts = STS_NONE,
			.hosts = { { MX1, 10, "9.9.9.9", 0 }, hosts[i].other },
			.refuse_private = hosts[i].refuse_private };
		struct arena *arena = arena_new();
		const struct plan *plan = test_plan_make(arena, &facts);

		assert_int_equal(plan->verdict, PLAN_USE);
		assert_int_equal(plan->untried.code, hosts[i].enhanced != NULL ? 451 : 0);
		if (hosts[i].enhanced != NULL)
			assert_string_equal(plan->untried.enhanced, hosts[i].enhanced);
		facts.wish = WISH_NONE;
		plan = test_plan_make(arena, &facts);
		assert_int_equal(plan->untried.code, hosts[i].plain != NULL ? 451 : 0);
		if (hosts[i].plain != NULL)
			assert_string_equal(plan->untried.enhanced, hosts[i].plain);
		arena_free(arena);
	}
}

#define TLS	.tls = PROOF_ESTABLISHED, .version = 0x0304, .protocol = "TLSv1.3"
#define GOOD	TLS, .chain_ok = true, .name_ok = true
#define BAD	TLS, .name_ok = true, .x509_error = 10
#define ON	JUDGEMENT_GO_ON
#define PLAIN	JUDGEMENT_PLAINTEXT
#define NEXT	JUDGEMENT_NEXT_HOST

struct judge_case {
	const char *name;
	struct test_facts facts;
	struct proof proof;
	enum judgement_step step;
	bool verified;
	const char *reply;	/* NEXT_HOST */
	const char *text;	/* part of it */
};

static const struct judge_case judge_cases[] = {
	{ "proven", { REQUIRE, SECURE }, { GOOD }, ON, true, NULL, NULL },
	{ "proven by DANE", { REQUIRE, SECURE }, { BAD, .dane_ok = true }, ON, true, NULL, NULL },
	{ "no match, no PKIX", { REQUIRE, SECURE, USABLE }, { BAD, .dane_error = 65 }, NEXT, false,
	    "550 5.7.10", "TLSA" },
	{ "PKIX never rescues DANE", { REQUIRE, SECURE, USABLE }, { GOOD, .dane_error = 65 }, NEXT,
	    false, "550 5.7.10", "TLSA" },
	{ "a match alone", { REQUIRE, SECURE, USABLE }, { BAD, .dane_ok = true }, ON, true, NULL,
	    NULL },
	{ "audited match, PKIX", { REQUIRE, SECURE, USABLE, .dane = ENFORCE_AUDIT },
	    { GOOD, .dane_error = 65 }, ON, true, NULL, NULL },
	{ "audited match, neither", { REQUIRE, SECURE, USABLE, .dane = ENFORCE_AUDIT },
	    { BAD, .dane_error = 65 }, NEXT, false, "550 5.7.10", NULL },
	{ "TLSA that cannot be used, PKIX", { REQUIRE, SECURE, UNUSABLE }, { GOOD }, ON, true, NULL,
	    NULL },
	{ "TLSA that cannot be used, expired", { REQUIRE, SECURE, UNUSABLE }, { BAD }, NEXT, false,
	    "550 5.7.10", NULL },
	{ "TLS 1.1", { REQUIRE, SECURE },
	    { .tls = PROOF_ESTABLISHED,
		.version = 0x0302,
		.protocol = "TLSv1.1",
		.chain_ok = true,
		.name_ok = true },
	    NEXT, false, "550 5.7.10", "TLS 1.2" },
	{ "H16 not offered", { REQUIRE, SECURE }, { .tls = PROOF_NOT_OFFERED }, NEXT, false,
	    "550 5.7.10", "REQUIRETLS demands a verified certificate, but it does not offer" },
	{ "not offered, no wish", { SECURE }, { .tls = PROOF_NOT_OFFERED }, ON, false, NULL, NULL },
	{ "502", { REQUIRE, SECURE }, { .tls = PROOF_REFUSED, .starttls_code = 502 }, NEXT, false,
	    "550 5.7.10", NULL },
	{ "454", { REQUIRE, SECURE }, { .tls = PROOF_REFUSED, .starttls_code = 454 }, NEXT, false,
	    "451 4.7.4", "REQUIRETLS" },
	{ "nonsense", { REQUIRE, SECURE }, { .tls = PROOF_REFUSED }, NEXT, false, "451 4.7.4",
	    NULL },
	{ "alert", { REQUIRE, SECURE },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "tls-remote-alert-70" }, NEXT, false,
	    "550 5.7.10", "tls-remote-alert-70" },
	{ "closed", { REQUIRE, SECURE },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = PROOF_FAILURE_CLOSED }, NEXT, false,
	    "451 4.7.5", NULL },
	{ "time-out", { REQUIRE, SECURE }, { .tls = PROOF_TIMEOUT, .failure = "io-timeout" }, NEXT,
	    false, "451 4.7.5", NULL },
	{ "our fault", { REQUIRE, SECURE }, { TLS, .local_fault = true }, NEXT, false, "451 4.7.5",
	    NULL },
	{ "expired", { REQUIRE, SECURE }, { BAD }, NEXT, false, "550 5.7.10", "expired" },
	{ "another name", { REQUIRE, SECURE }, { TLS, .chain_ok = true }, NEXT, false, "550 5.7.10",
	    MX1 },
	{ "testing, expired", { REQUIRE, SECURE, TESTING, .patterns = MX1 }, { BAD }, NEXT, false,
	    "550 5.7.10", "REQUIRETLS" },
	{ "enforce, expired", { REQUIRE, INSECURE, ENFORCE, .patterns = MX1 }, { BAD }, NEXT, false,
	    "550 5.7.10", "mta-sts policy 2016Z" },
	{ "enforce, proven", { REQUIRE, INSECURE, ENFORCE, .patterns = MX1 }, { GOOD }, ON, true,
	    NULL, NULL },
	{ "audit, expired",
	    { REQUIRE, INSECURE, ENFORCE, .enforce = ENFORCE_AUDIT, .patterns = MX1 }, { BAD },
	    NEXT, false, "550 5.7.10", NULL },
	{ "may, expired", { REQUIRE, SECURE, .tls = TLS_MAY }, { BAD }, NEXT, false, "550 5.7.10",
	    NULL },
	{ "encrypt, expired", { REQUIRE, SECURE, .tls = TLS_ENCRYPT }, { BAD }, NEXT, false,
	    "550 5.7.10", NULL },
	{ "encrypt, no TLS", { REQUIRE, SECURE, .tls = TLS_ENCRYPT }, { .tls = PROOF_NOT_OFFERED },
	    NEXT, false, "550 5.7.10", NULL },
	{ "verify, proven", { REQUIRE, SECURE, .tls = TLS_VERIFY }, { GOOD }, ON, true, NULL,
	    NULL },

	{ "No: enforce, not offered", { NO, INSECURE, ENFORCE, .patterns = MX1 },
	    { .tls = PROOF_NOT_OFFERED }, ON, false, NULL, NULL },
	{ "No: enforce, not listed", { NO, INSECURE, ENFORCE, .patterns = MX2 }, { GOOD }, ON,
	    false, NULL, NULL },
	{ "No: enforce, handshake", { NO, INSECURE, ENFORCE, .patterns = MX1 },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, PLAIN, false, NULL, NULL },
	{ "No: enforce, handshake, no retry",
	    { NO, INSECURE, ENFORCE, .patterns = MX1, .no_plaintext_retry = true },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, NEXT, false, "451 4.7.5", NULL },
	{ "No: enforce, time-out", { NO, INSECURE, ENFORCE, .patterns = MX1 },
	    { .tls = PROOF_TIMEOUT, .failure = "x" }, NEXT, false, "451 4.4.2", NULL },
	{ "No: enforce, expired", { NO, INSECURE, ENFORCE, .patterns = MX1 }, { BAD }, ON, false,
	    NULL, NULL },
	{ "No: enforce, proven", { NO, INSECURE, ENFORCE, .patterns = MX1 }, { GOOD }, ON, true,
	    NULL, NULL },
	{ "No: TLSA, no match", { NO, SECURE, USABLE }, { BAD, .dane_error = 65 }, ON, false, NULL,
	    NULL },
	{ "No: TLSA, not offered", { NO, SECURE, USABLE }, { .tls = PROOF_NOT_OFFERED }, ON, false,
	    NULL, NULL },
	{ "No: TLSA, handshake", { NO, SECURE, USABLE },
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, PLAIN, false, NULL, NULL },
	{ "No: TLSA that cannot be used, not offered", { NO, SECURE, UNUSABLE },
	    { .tls = PROOF_NOT_OFFERED }, ON, false, NULL, NULL },
	{ "No: dane", { NO, SECURE, USABLE, .tls = TLS_DANE }, { GOOD, .dane_error = 65 }, NEXT,
	    false, "451 4.7.5", "TLSA" },
	{ "No: encrypt", { NO, SECURE, .tls = TLS_ENCRYPT }, { .tls = PROOF_NOT_OFFERED }, NEXT,
	    false, "451 4.7.4", "destination" },
	{ "No: verify", { NO, SECURE, .tls = TLS_VERIFY }, { BAD }, NEXT, false, "451 4.7.5",
	    "destination" },
};

static void
check_judgement(struct arena *arena, const struct judge_case *c)
{
	struct test_facts facts = c->facts;
	struct judgement got;
	const struct plan *plan;
	char line[REPLY_LINE_MAX + 1];

	facts.hosts[0] = (struct test_host){ MX1, 10, A, DNS_SECURE };
	plan = test_plan_make(arena, &facts);
	assert_int_equal(plan->verdict, PLAN_USE);
	plan_judge(plan, &plan->hosts[0], &c->proof, A, &got);
	reply_line(&got.reply, line);
	if (got.step != c->step || got.verified != c->verified)
		fail_msg("%s: step %d, verified %d", c->name, (int)got.step, got.verified);
	if (c->step == NEXT &&
	    (strncmp(line, c->reply, strlen(c->reply)) != 0 ||
		strstr(line, c->text != NULL ? c->text : MX1 "[" A "]") == NULL))
		fail_msg("%s: %s", c->name, line);
	if (facts.tlsa[0].state == TLSA_NOT_ASKED &&
	    strcmp(policy_source_name(plan->source), facts.sts == STS_VALID ? "sts" : "none") != 0)
		fail_msg("%s: source %s", c->name, policy_source_name(plan->source));
}

static void
test_judgements(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(judge_cases) / sizeof(judge_cases[0]); i++) {
		struct arena *arena = arena_new();

		check_judgement(arena, &judge_cases[i]);
		arena_free(arena);
	}
}

/* Whatever policy and destination say and the handshake showed: without TLS and a certificate that
 * is verified one way or the other nothing goes on. */
static void
test_nothing_unproven_passes(void **state)
{
	static const enum proof_tls without[] = { PROOF_NOT_OFFERED, PROOF_REFUSED,
		PROOF_HANDSHAKE_FAILED, PROOF_TIMEOUT };
	static const enum conf_tls destinations[] = { TLS_POLICY, TLS_MAY, TLS_ENCRYPT, TLS_AUDIT };
	struct arena *arena = arena_new();
	unsigned bits;

	(void)state;
	for (bits = 0; bits < 1 << 11; bits++) {
		struct test_facts facts = { REQUIRE, SECURE, .tls = destinations[bits & 3],
			.enforce = bits & 4 ? ENFORCE_AUDIT : ENFORCE_OFF,
			.sts = bits & 8 ? STS_VALID : STS_NONE, .mode = STS_MODE_TESTING,
			.patterns = MX1, .hosts = { { MX1, 10, A, DNS_SECURE } } };
		struct proof proof = { .tls = bits & 16 ? PROOF_ESTABLISHED
							: without[bits >> 5 & 3],
			.chain_ok = bits >> 7 & 1,
			.name_ok = bits >> 8 & 1,
			.dane_ok = bits >> 9 & 1,
			.version = 0x0303 - (int)(bits >> 10 & 1) };
		const struct plan *plan = test_plan_make(arena, &facts);
		bool proven = proof.tls == PROOF_ESTABLISHED && proof.version >= 0x0303 &&
		    (proof.dane_ok || (proof.chain_ok && proof.name_ok));
		struct judgement got;

		plan_judge(plan, &plan->hosts[0], &proof, A, &got);
		if (got.step != (proven ? ON : NEXT) || got.verified != proven)
			fail_msg("%x: step %d", bits, (int)got.step);
		assert_true(plan_host_enforces(&plan->hosts[0]));
	}
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_untried),
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_nothing_unproven_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
