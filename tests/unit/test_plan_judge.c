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
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/plan_facts.h"

#define MX1	"mx1.example.com"
#define IP1	"192.0.2.1"

/* The policies in force for the host. */
enum force {
	NONE,
	NO_RETRY,	/* no policy, plaintext-retry = false */
	ENFORCED,
	ENFORCED_1_3,	/* and min-protocol = TLSv1.3 */
	TESTED,
	TESTED_1_3,
	AUDITED,
	UNLISTED,	/* testing, and the host is not listed */
	ENCRYPTED,	/* destination */
	VERIFIED	/* destination, for mx1.example.com */
};

static const struct test_facts forces[] = {
	[NONE] = { .sts = STS_NONE },
	[NO_RETRY] = { .no_plaintext_retry = true },
	[ENFORCED] = { .sts = STS_VALID, .mode = STS_MODE_ENFORCE, .patterns = MX1 },
	[ENFORCED_1_3] = { .sts = STS_VALID,
	    .mode = STS_MODE_ENFORCE,
	    .patterns = MX1,
	    .min_protocol = TLS_VERSION_1_3 },
	[TESTED] = { .sts = STS_VALID, .mode = STS_MODE_TESTING, .patterns = MX1 },
	[TESTED_1_3] = { .sts = STS_VALID,
	    .mode = STS_MODE_TESTING,
	    .patterns = MX1,
	    .min_protocol = TLS_VERSION_1_3 },
	[AUDITED] = { .sts = STS_VALID,
	    .mode = STS_MODE_ENFORCE,
	    .enforce = ENFORCE_AUDIT,
	    .patterns = MX1 },
	[UNLISTED] = { .sts = STS_VALID,
	    .mode = STS_MODE_TESTING,
	    .patterns = "mx.elsewhere.example" },
	[ENCRYPTED] = { .tls = TLS_ENCRYPT },
	[VERIFIED] = { .tls = TLS_VERIFY },
};

#define ON	JUDGEMENT_GO_ON
#define PLAIN	JUDGEMENT_PLAINTEXT
#define NEXT	JUDGEMENT_NEXT_HOST
#define GOOD_BUT(is_version, is_protocol)	\
	.tls = PROOF_ESTABLISHED, .version = is_version, .protocol = is_protocol, \
	.chain_ok = true, .name_ok = true
#define GOOD	GOOD_BUT(0x0304, "TLSv1.3")
#define BAD_CHAIN(error)	\
	{ \
		.tls = PROOF_ESTABLISHED, .version = 0x0304, .name_ok = true, .x509_error = error \
	}
#define NO_TLS_SUPPORT	"starttls-not-supported", ""
#define VF	"validation-failure"

struct judge_case {
	const char *name;
	enum force force;
	struct proof proof;
	enum judgement_step step;
	bool verified;
	const char *type, *reason;	/* NULL: no finding */
	const char *reply;	/* NEXT_HOST */
	const char *text;	/* part of it */
};

static const struct judge_case cases[] = {
	/* STARTTLS: D2, H2, H6, H7, H8, G26. */
	{ "D2 not offered", ENFORCED, { .tls = PROOF_NOT_OFFERED }, NEXT, false, NO_TLS_SUPPORT,
	    "451 4.7.4",
	    "mx1.example.com[192.0.2.1]: mta-sts policy 2016Z of example.com demands a "
	    "verified certificate, but it does not offer STARTTLS; " },
	{ "D2 454", ENFORCED, { .tls = PROOF_REFUSED, .starttls_code = 454 }, NEXT, false,
	    "starttls-not-supported", "smtp-starttls-reply-code-454", "451 4.7.4", "454" },
	{ "D2 502", ENFORCED, { .tls = PROOF_REFUSED, .starttls_code = 502 }, NEXT, false,
	    "starttls-not-supported", "smtp-starttls-reply-code-502", "451 4.7.4", "502" },
	{ "D2 garbled", ENFORCED, { .tls = PROOF_REFUSED }, NEXT, false, "starttls-not-supported",
	    "smtp-starttls-reply-garbled", "451 4.7.4", NULL },
	{ "H6", NONE, { .tls = PROOF_NOT_OFFERED }, ON, false, NO_TLS_SUPPORT, NULL, NULL },
	{ "H6 without retry", NO_RETRY, { .tls = PROOF_NOT_OFFERED }, ON, false, NO_TLS_SUPPORT,
	    NULL, NULL },
	{ "refused, no policy", NONE, { .tls = PROOF_REFUSED, .starttls_code = 454 }, ON, false,
	    "starttls-not-supported", "smtp-starttls-reply-code-454", NULL, NULL },
	{ "H7 not offered", TESTED, { .tls = PROOF_NOT_OFFERED }, ON, false, NO_TLS_SUPPORT, NULL,
	    NULL },
	{ "H7 refused", TESTED, { .tls = PROOF_REFUSED, .starttls_code = 502 }, ON, false,
	    "starttls-not-supported", "smtp-starttls-reply-code-502", NULL, NULL },
	{ "audit, not offered", AUDITED, { .tls = PROOF_NOT_OFFERED }, ON, false, NO_TLS_SUPPORT,
	    NULL, NULL },
	{ "encrypt, not offered", ENCRYPTED, { .tls = PROOF_NOT_OFFERED }, NEXT, false,
	    NO_TLS_SUPPORT, "451 4.7.4", "destination \"example.com\" demands TLS, but" },
	{ "verify, not offered", VERIFIED, { .tls = PROOF_NOT_OFFERED }, NEXT, false,
	    NO_TLS_SUPPORT, "451 4.7.4",
	    "destination \"example.com\" demands a verified certificate, but" },

	/* The handshake: D12, D13. */
	{ "D12 alert", ENFORCED,
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "tls-remote-alert-70" }, NEXT, false, VF,
	    "tls-remote-alert-70", "451 4.7.5", "tls-remote-alert-70" },
	{ "D12 closed", ENFORCED,
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "connection-closed-during-handshake" },
	    NEXT, false, VF, "connection-closed-during-handshake", "451 4.7.5", "2016Z" },
	{ "D12 time-out", ENFORCED,
	    { .tls = PROOF_TIMEOUT, .failure = "io-timeout-during-handshake" }, NEXT, false, VF,
	    "io-timeout-during-handshake", "451 4.7.5", "timed out" },
	{ "D12 unexplained", ENFORCED, { .tls = PROOF_HANDSHAKE_FAILED }, NEXT, false, VF,
	    "tls-handshake-failure", "451 4.7.5", NULL },
	{ "our own fault in the handshake", ENFORCED,
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x", .local_fault = true }, NEXT, false,
	    NULL, NULL, "451 4.7.5", "log" },
	{ "our own fault in the handshake, no policy", NONE,
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x", .local_fault = true }, NEXT, false,
	    NULL, NULL, "451 4.4.2", "log" },
	{ "handshake, no policy", NONE, { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, PLAIN,
	    false, VF, "x", NULL, NULL },
	{ "handshake, testing", TESTED, { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, PLAIN,
	    false, VF, "x", NULL, NULL },
	{ "handshake, audit", AUDITED, { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, PLAIN,
	    false, VF, "x", NULL, NULL },
	{ "handshake, plaintext-retry = false", NO_RETRY,
	    { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, NEXT, false, VF, "x", "451 4.7.5",
	    "mx1.example.com[192.0.2.1]: the TLS handshake failed (x), and tls.plaintext-retry is "
	    "false" },
	{ "handshake, encrypt", ENCRYPTED, { .tls = PROOF_HANDSHAKE_FAILED, .failure = "x" }, NEXT,
	    false, VF, "x", "451 4.7.5", NULL },
	{ "time-out, no policy: never plaintext", NONE, { .tls = PROOF_TIMEOUT, .failure = "x" },
	    NEXT, false, VF, "x", "451 4.4.2", MX1 },
	{ "time-out, testing", TESTED, { .tls = PROOF_TIMEOUT, .failure = "x" }, NEXT, false, VF,
	    "x", "451 4.4.2", NULL },
	{ "time-out, plaintext-retry = false", NO_RETRY, { .tls = PROOF_TIMEOUT, .failure = "x" },
	    NEXT, false, VF, "x", "451 4.7.5", NULL },
	{ "time-out, encrypt", ENCRYPTED, { .tls = PROOF_TIMEOUT, .failure = "x" }, NEXT, false, VF,
	    "x", "451 4.7.5", NULL },

	/* The certificate: D3 to D9. */
	{ "H1 all good", ENFORCED, { GOOD }, ON, true, NULL, NULL, NULL, NULL },
	{ "good, resumed", ENFORCED, { GOOD, .resumed = true }, ON, true, NULL, NULL, NULL, NULL },
	{ "good, testing", TESTED, { GOOD }, ON, true, NULL, NULL, NULL, NULL },
	{ "good, audit", AUDITED, { GOOD }, ON, true, NULL, NULL, NULL, NULL },
	{ "good, no policy", NONE, { GOOD }, ON, false, NULL, NULL, NULL, NULL },
	{ "good, encrypt", ENCRYPTED, { GOOD }, ON, false, NULL, NULL, NULL, NULL },
	{ "good, verify", VERIFIED, { GOOD }, ON, true, NULL, NULL, NULL, NULL },
	{ "D3 expired", ENFORCED, BAD_CHAIN(10), NEXT, false, "certificate-expired",
	    "X509_V_ERR_CERT_HAS_EXPIRED", "451 4.7.5",
	    "mx1.example.com[192.0.2.1]: mta-sts policy 2016Z of example.com demands a verified "
	    "certificate, but the certificate expired (X509_V_ERR_CERT_HAS_EXPIRED); the receiving "
	    "site must renew it (mode enforce; to override set tls = \"audit\" in destination "
	    "\"example.com\")" },
	{ "D3 expired intermediate", ENFORCED,
	    { .tls = PROOF_ESTABLISHED,
		.version = 0x0304,
		.name_ok = true,
		.x509_error = 10,
		.x509_depth = 1 },
	    NEXT, false, "certificate-expired", "X509_V_ERR_CERT_HAS_EXPIRED depth=1", "451 4.7.5",
	    "depth=1" },
	{ "D3 not yet valid", ENFORCED, BAD_CHAIN(9), NEXT, false, VF,
	    "X509_V_ERR_CERT_NOT_YET_VALID", "451 4.7.5", NULL },
	{ "D3 expired and wrong name", ENFORCED,
	    { .tls = PROOF_ESTABLISHED, .version = 0x0304, .x509_error = 10 }, NEXT, false,
	    "certificate-expired", "X509_V_ERR_CERT_HAS_EXPIRED", "451 4.7.5", NULL },
	{ "D4 self-signed", ENFORCED, BAD_CHAIN(18), NEXT, false, "certificate-not-trusted",
	    "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", "451 4.7.5", "not trusted" },
	{ "D4 unknown CA", ENFORCED, BAD_CHAIN(20), NEXT, false, "certificate-not-trusted",
	    "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "451 4.7.5",
	    "of a public authority with its whole chain" },
	{ "D5 wrong name", ENFORCED,
	    { .tls = PROOF_ESTABLISHED, .version = 0x0304, .chain_ok = true, .x509_error = 62 },
	    NEXT, false, "certificate-host-mismatch", "X509_V_ERR_HOSTNAME_MISMATCH", "451 4.7.5",
	    "not valid for mx1.example.com (X509_V_ERR_HOSTNAME_MISMATCH)" },
	{ "D5 wrong name, no number", ENFORCED,
	    { .tls = PROOF_ESTABLISHED, .version = 0x0304, .chain_ok = true }, NEXT, false,
	    "certificate-host-mismatch", "X509_V_ERR_HOSTNAME_MISMATCH", "451 4.7.5", NULL },
	{ "D17 weak key", ENFORCED, BAD_CHAIN(66), NEXT, false, "certificate-not-trusted",
	    "X509_V_ERR_EE_KEY_TOO_SMALL", "451 4.7.5",
	    "the key of the certificate is too weak "
	    "(X509_V_ERR_EE_KEY_TOO_SMALL); the receiving site must install a certificate with a "
	    "stronger key (" },
	{ "weak key of an authority", ENFORCED, BAD_CHAIN(67), NEXT, false,
	    "certificate-not-trusted", "X509_V_ERR_CA_KEY_TOO_SMALL", "451 4.7.5",
	    "of an authority with a stronger key" },
	{ "weak signature", ENFORCED, BAD_CHAIN(68), NEXT, false, "certificate-not-trusted",
	    "X509_V_ERR_CA_MD_TOO_WEAK", "451 4.7.5", "SHA-256 or better" },
	{ "too long a chain", ENFORCED, BAD_CHAIN(22), NEXT, false, "certificate-not-trusted",
	    "X509_V_ERR_CERT_CHAIN_TOO_LONG", "451 4.7.5", "no more than the chain" },
	{ "nothing proven", ENFORCED, { .tls = PROOF_ESTABLISHED, .version = 0x0304 }, NEXT, false,
	    VF, "X509_V_ERR_UNSPECIFIED", "451 4.7.5", NULL },
	{ "unknown number", ENFORCED, BAD_CHAIN(9999), NEXT, false, VF, "X509_V_ERR_UNSPECIFIED",
	    "451 4.7.5", NULL },
	{ "H7 expired", TESTED, BAD_CHAIN(10), ON, false, "certificate-expired",
	    "X509_V_ERR_CERT_HAS_EXPIRED", NULL, NULL },
	{ "audit, expired", AUDITED, BAD_CHAIN(10), ON, false, "certificate-expired",
	    "X509_V_ERR_CERT_HAS_EXPIRED", NULL, NULL },
	{ "H7 wrong name", TESTED,
	    { .tls = PROOF_ESTABLISHED, .version = 0x0304, .chain_ok = true, .x509_error = 62 }, ON,
	    false, "certificate-host-mismatch", "X509_V_ERR_HOSTNAME_MISMATCH", NULL, NULL },
	{ "H8 expired, no policy", NONE, BAD_CHAIN(10), ON, false, NULL, NULL, NULL, NULL },
	{ "encrypt takes any certificate", ENCRYPTED, BAD_CHAIN(18), ON, false, NULL, NULL, NULL,
	    NULL },
	{ "verify, self-signed", VERIFIED, BAD_CHAIN(18), NEXT, false, "certificate-not-trusted",
	    "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", "451 4.7.5", "destination \"example.com\"" },

	/* A local failure is no finding, and no proof either. */
	{ "local fault", ENFORCED, { GOOD, .local_fault = true }, NEXT, false, NULL, NULL,
	    "451 4.7.5", "this stsgate" },
	{ "local fault, testing", TESTED,
	    { .tls = PROOF_ESTABLISHED, .version = 0x0304, .local_fault = true }, ON, false, NULL,
	    NULL, NULL, NULL },
	{ "local fault, encrypt", ENCRYPTED,
	    { .tls = PROOF_ESTABLISHED, .version = 0x0304, .local_fault = true }, ON, false, NULL,
	    NULL, NULL, NULL },
	{ "out of memory", ENFORCED, BAD_CHAIN(17), NEXT, false, NULL, NULL, "451 4.7.5",
	    "X509_V_ERR_OUT_OF_MEM" },

	/* RFC 8461 7.2: TLS 1.2 or later. */
	{ "TLS 1.2", ENFORCED, { GOOD_BUT(0x0303, "TLSv1.2") }, ON, true, NULL, NULL, NULL, NULL },
	{ "TLS 1.1", ENFORCED, { GOOD_BUT(0x0302, "TLSv1.1") }, NEXT, false, VF, "protocol-TLSv1.1",
	    "451 4.7.5", "TLSv1.1" },
	{ "TLS 1.1, testing", TESTED, { GOOD_BUT(0x0302, "TLSv1.1") }, ON, false, VF,
	    "protocol-TLSv1.1", NULL, NULL },
	{ "TLS 1.1, encrypt", ENCRYPTED, { GOOD_BUT(0x0302, "TLSv1.1") }, NEXT, false, VF,
	    "protocol-TLSv1.1", "451 4.7.5", NULL },
	{ "TLS 1.0, no policy", NONE, { GOOD_BUT(0x0301, "TLSv1") }, ON, false, NULL, NULL, NULL,
	    NULL },
	{ "TLS 1.2, 1.3 demanded", ENFORCED_1_3, { GOOD_BUT(0x0303, "TLSv1.2") }, NEXT, false, VF,
	    "protocol-TLSv1.2", "451 4.7.5", "TLS 1.3" },
	{ "TLS 1.3, 1.3 demanded", ENFORCED_1_3, { GOOD }, ON, true, NULL, NULL, NULL, NULL },
	{ "TLS 1.2 is enough for a policy in testing", TESTED_1_3, { GOOD_BUT(0x0303, "TLSv1.2") },
	    ON, true, NULL, NULL, NULL, NULL },

	/* E19, and a second try in plaintext. */
	{ "E19 testing, all else good", UNLISTED, { GOOD }, ON, false, VF,
	    "mtasts-policy-mx-mismatch", NULL, NULL },
	{ "E19 testing, expired as well", UNLISTED, BAD_CHAIN(10), ON, false, "certificate-expired",
	    "X509_V_ERR_CERT_HAS_EXPIRED", NULL, NULL },
	{ "plaintext, no policy", NONE, { .tls = PROOF_NOT_TRIED }, ON, false, NULL, NULL, NULL,
	    NULL },
	{ "plaintext, testing", TESTED, { .tls = PROOF_NOT_TRIED }, ON, false, NULL, NULL, NULL,
	    NULL },
};

static const struct plan *
plan_for(struct arena *arena, enum force force)
{
	struct test_facts facts = forces[force];

	facts.hosts[0] = (struct test_host){ MX1, 10, IP1, DNS_SECURE };
	return test_plan_make(arena, &facts);
}

static bool
is_next(const struct judgement *judgement, const struct judge_case *c)
{
	char line[REPLY_LINE_MAX + 1];

	reply_line(&judgement->reply, line);
	return strncmp(line, c->reply, strlen(c->reply)) == 0 &&
	    (c->text == NULL || strstr(line, c->text) != NULL);
}

static void
check(struct arena *arena, const struct judge_case *c)
{
	const struct plan *plan = plan_for(arena, c->force);
	struct judgement got;

	plan_judge(plan, &plan->hosts[0], &c->proof, IP1, &got);
	if (got.step != c->step || got.verified != c->verified)
		fail_msg("%s: step %d, verified %d", c->name, (int)got.step, got.verified);
	if (strcmp(result_type_name(got.finding.type), c->type != NULL ? c->type : "ok") != 0 ||
	    (c->reason != NULL && strcmp(got.finding.reason, c->reason) != 0))
		fail_msg("%s: %s %s", c->name, result_type_name(got.finding.type),
		    got.finding.reason);
	if (c->step == NEXT && !is_next(&got, c))
		fail_msg("%s: %d %s %s", c->name, got.reply.code, got.reply.enhanced,
		    got.reply.text);
	if (c->step != NEXT && got.reply.code != 0)
		fail_msg("%s: a reply", c->name);
	if (got.source !=
	    (c->force == ENCRYPTED || c->force == VERIFIED ? SOURCE_DESTINATION : plan->source))
		fail_msg("%s: source %s", c->name, policy_source_name(got.source));
}

static void
test_judgements(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new();

		check(arena, &cases[i]);
		arena_free(arena);
	}
}

static struct proof
proof_of_bits(unsigned bits)
{
	static const enum proof_tls without[] = { PROOF_NOT_OFFERED, PROOF_REFUSED,
		PROOF_HANDSHAKE_FAILED, PROOF_TIMEOUT };

	return (struct proof){ .tls = bits & 1 ? PROOF_ESTABLISHED : without[bits >> 1 & 3],
		.chain_ok = bits >> 3 & 1,
		.name_ok = bits >> 4 & 1,
		.local_fault = bits >> 5 & 1,
		.version = 0x0302 + (int)(bits >> 6 & 3),
		.x509_error = bits >> 8 & 1 ? 10 : 0 };
}

/* Whatever the handshake showed: under an enforced demand nothing goes on but what was proven. */
static void
test_nothing_unproven_passes(void **state)
{
	static const struct {
		enum force force;
		int version;
	} enforced[] = { { ENFORCED, 0x0303 }, { ENFORCED_1_3, 0x0304 }, { VERIFIED, 0x0303 } };
	struct arena *arena = arena_new();
	const struct plan *plan;
	struct judgement got;
	struct proof proof;
	unsigned bits;
	bool proven;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(enforced) / sizeof(enforced[0]); i++)
		for (bits = 0; bits < 512; bits++) {
			proof = proof_of_bits(bits);
			proven = proof.tls == PROOF_ESTABLISHED && proof.chain_ok &&
			    proof.name_ok && !proof.local_fault &&
			    proof.version >= enforced[i].version;
			plan = plan_for(arena, enforced[i].force);
			plan_judge(plan, &plan->hosts[0], &proof, IP1, &got);
			if (got.step != (proven ? ON : NEXT) || got.verified != proven)
				fail_msg("%zu, %x: step %d", i, bits, (int)got.step);
		}
	arena_free(arena);
}

/* Each demand by itself; the enforced one decides. */
static void
test_several_demands(void **state)
{
	struct demand demands[] = { { .source = SOURCE_STS, .need = NEED_CERTIFICATE },
		{ .source = SOURCE_DESTINATION, .need = NEED_ENCRYPTION, .enforce = true } };
	struct proof proof = BAD_CHAIN(10), refused = { .tls = PROOF_NOT_OFFERED };
	struct arena *arena = arena_new();
	const struct plan *plan = plan_for(arena, TESTED);
	struct judgement got;

	(void)state;
	plan->hosts[0].demands = demands;
	plan->hosts[0].demand_count = 2;
	plan_judge(plan, &plan->hosts[0], &proof, IP1, &got);
	assert_int_equal(got.step, ON);
	assert_int_equal(got.source, SOURCE_STS);
	assert_int_equal(got.finding.type, RESULT_CERTIFICATE_EXPIRED);
	plan_judge(plan, &plan->hosts[0], &refused, IP1, &got);
	assert_int_equal(got.step, NEXT);
	assert_int_equal(got.source, SOURCE_DESTINATION);
	arena_free(arena);
}

static void
test_names_in_the_reply(void **state)
{
	struct test_facts facts = { .mx = MX_LITERAL,
		.relay_address = true,
		.tls = TLS_VERIFY,
		.match = "a.example *.example.net",
		.hosts = { { "", 0, IP1, 0 } } };
	struct proof proof = { .tls = PROOF_ESTABLISHED, .version = 0x0304, .chain_ok = true };
	struct arena *arena = arena_new();
	const struct plan *plan = test_plan_make(arena, &facts);
	struct judgement got;

	(void)state;
	plan_judge(plan, &plan->hosts[0], &proof, IP1, &got);
	assert_int_equal(strncmp(got.reply.text, "[192.0.2.1]: ", 13), 0);
	assert_non_null(strstr(got.reply.text, "not valid for a.example or another name of match"));
	plan_judge(plan, &plan->hosts[0], &proof, NULL, &got);
	assert_int_equal(got.step, NEXT);
	arena_free(arena);
}

/* Plaintext by choice under an enforced demand is a bug of ours: the process ends, not the mail. */
static void
test_plaintext_against_a_demand_aborts(void **state)
{
	struct rlimit no_core = { 0, 0 };
	struct proof proof = { .tls = PROOF_NOT_TRIED };
	struct arena *arena = arena_new();
	const struct plan *plan = plan_for(arena, ENFORCED);
	struct judgement got;
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGABRT, SIG_DFL);
		plan_judge(plan, &plan->hosts[0], &proof, IP1, &got);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgements),
		cmocka_unit_test(test_nothing_unproven_passes),
		cmocka_unit_test(test_several_demands),
		cmocka_unit_test(test_names_in_the_reply),
		cmocka_unit_test(test_plaintext_against_a_demand_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
