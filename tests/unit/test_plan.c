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
#define PUBLIC4	"9.9.9.9"
#define PUBLIC6	"2620:fe::fe"
#define MX1	"mx1.example.com"
#define MX2	"mx2.example.com"
#define ENFORCE	.sts = STS_VALID, .mode = STS_MODE_ENFORCE
#define TESTING	.sts = STS_VALID, .mode = STS_MODE_TESTING
#define INSECURE	.mx_state = DNS_INSECURE

struct plan_case {
	const char *name;
	struct test_facts facts;
	const char *used;	/* a plan that may be used; else reply */
	const char *reply;	/* code and enhanced code */
	const char *text;	/* part of the reply */
};

static const struct plan_case cases[] = {
	/* No policy. */
	{ "one host", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_NONE }, MX1, NULL, NULL },
	{ "preference", { .hosts = { { MX2, 20, A2, 0 }, { MX1, 10, A, 0 } } }, MX1 " " MX2, NULL,
	    NULL },
	{ "preference 65535", { .hosts = { { MX1, 65535, A, 0 } } }, MX1, NULL, NULL },
	{ "literal", { .mx = MX_LITERAL, .domain = "[192.0.2.1]", .hosts = { { "", 0, A, 0 } } },
	    "", NULL, NULL },
	{ "implicit MX", { .mx = MX_IMPLICIT, .hosts = { { "example.com", 0, A, 0 } } },
	    "example.com", NULL, NULL },
	{ "fetch failed", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_FETCH_FAILED }, MX1, NULL,
	    NULL },
	{ "A30 after the grace", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_GIVEN_UP }, MX1,
	    NULL, NULL },

	/* What is known about the policy. */
	{ "A30", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_FAILED }, NULL, "451 4.4.3",
	    "example.com" },
	{ "A36", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_BOGUS }, NULL, "451 4.7.5",
	    "example.com" },
	{ "store", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_STORE_FAILED }, NULL, "451 4.3.0",
	    "store" },
	{ "A30 audit",
	    { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_FAILED, .enforce = ENFORCE_AUDIT },
	    MX1, NULL, NULL },
	{ "A36 off",
	    { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_BOGUS, .enforce = ENFORCE_OFF }, MX1,
	    NULL, NULL },
	{ "store, audit",
	    { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_STORE_FAILED, .enforce = ENFORCE_AUDIT },
	    MX1, NULL, NULL },
	{ "A36 tls = audit",
	    { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_BOGUS, .tls = TLS_AUDIT }, MX1, NULL,
	    NULL },
	{ "A36 tls = may", { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_BOGUS, .tls = TLS_MAY },
	    MX1, NULL, NULL },
	{ "store before a null MX that is not proven",
	    { .mx = MX_NULL, INSECURE, .sts = STS_STORE_FAILED }, NULL, "451 4.3.0", NULL },
	{ "store and a proven null MX", { .mx = MX_NULL, .sts = STS_STORE_FAILED }, NULL,
	    "556 5.1.10", NULL },
	{ "A30 and NXDOMAIN", { .mx = MX_NO_DOMAIN, INSECURE, .sts = STS_TXT_FAILED }, NULL,
	    "451 4.4.3", NULL },

	/* The domain. */
	{ "MX failed", { .mx = MX_UNKNOWN, .mx_state = DNS_FAILED }, NULL, "451 4.4.3",
	    "example.com" },
	{ "MX bogus", { .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS }, NULL, "451 4.7.5",
	    "example.com" },
	{ "MX bogus, tls = may", { .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS, .tls = TLS_MAY }, NULL,
	    "451 4.7.5", NULL },
	{ "no domain", { .mx = MX_NO_DOMAIN, INSECURE }, NULL, "550 5.1.2", "example.com" },
	{ "no domain, secure", { .mx = MX_NO_DOMAIN }, NULL, "550 5.1.2", NULL },
	{ "null MX", { .mx = MX_NULL, INSECURE }, NULL, "556 5.1.10", "example.com" },
	{ "neither MX nor address",
	    { .mx = MX_IMPLICIT, INSECURE, .hosts = { { "example.com", 0, NULL, DNS_INSECURE } } },
	    NULL, "550 5.4.4", "neither MX nor address" },
	{ "no host has an address",
	    { INSECURE, .hosts = { { MX1, 10, NULL, DNS_INSECURE }, { MX2, 20, NULL, 0 } } }, NULL,
	    "550 5.4.4", MX2 },
	{ "no host at all", { INSECURE }, NULL, "550 5.4.4", "example.com" },
	{ "relay without address",
	    { .mx = MX_RELAY,
		.domain = "relay.example",
		.hosts = { { "relay.example", 0, NULL, DNS_INSECURE } } },
	    NULL, "550 5.4.4", "relay.example" },

	/* Forged DNS must not bounce protected mail. */
	{ "enforce: no domain",
	    { .mx = MX_NO_DOMAIN, INSECURE, ENFORCE, .patterns = "*.example.com" }, NULL,
	    "451 4.1.2", "mta-sts policy 2016Z of example.com" },
	{ "enforce: no domain, secure",
	    { .mx = MX_NO_DOMAIN, ENFORCE, .patterns = "*.example.com" }, NULL, "550 5.1.2", NULL },
	{ "enforce: null MX", { .mx = MX_NULL, INSECURE, ENFORCE, .patterns = "*.example.com" },
	    NULL, "451 4.1.10", NULL },
	{ "enforce: null MX, secure", { .mx = MX_NULL, ENFORCE, .patterns = "a" }, NULL,
	    "556 5.1.10", NULL },
	{ "testing: null MX", { .mx = MX_NULL, INSECURE, TESTING, .patterns = "a" }, NULL,
	    "556 5.1.10", NULL },
	{ "none: null MX", { .mx = MX_NULL, INSECURE, .sts = STS_VALID }, NULL, "556 5.1.10",
	    NULL },
	{ "audit: null MX",
	    { .mx = MX_NULL, INSECURE, ENFORCE, .patterns = "a", .enforce = ENFORCE_AUDIT }, NULL,
	    "556 5.1.10", NULL },
	{ "tls = audit: no domain",
	    { .mx = MX_NO_DOMAIN, INSECURE, ENFORCE, .patterns = "a", .tls = TLS_AUDIT }, NULL,
	    "550 5.1.2", NULL },
	{ "off: no domain",
	    { .mx = MX_NO_DOMAIN, INSECURE, ENFORCE, .patterns = "a", .enforce = ENFORCE_OFF },
	    NULL, "550 5.1.2", NULL },
	{ "enforce: no address",
	    { INSECURE, ENFORCE, .patterns = MX1, .hosts = { { MX1, 10, NULL, DNS_INSECURE } } },
	    NULL, "451 4.4.4", "2016Z" },
	{ "enforce: no address, MX insecure",
	    { INSECURE, ENFORCE, .patterns = MX1, .hosts = { { MX1, 10, NULL, DNS_SECURE } } },
	    NULL, "451 4.4.4", NULL },
	{ "enforce: no address, address insecure",
	    { ENFORCE, .patterns = MX1, .hosts = { { MX1, 10, NULL, DNS_INSECURE } } }, NULL,
	    "451 4.4.4", NULL },
	{ "enforce: no address, all secure",
	    { ENFORCE, .patterns = MX1, .hosts = { { MX1, 10, NULL, DNS_SECURE } } }, NULL,
	    "550 5.4.4", NULL },
	{ "no address comes before the policy",
	    { ENFORCE, .patterns = "mx.elsewhere.example",
		.hosts = { { MX1, 10, NULL, DNS_SECURE } } },
	    NULL, "550 5.4.4", NULL },
	{ "enforce: neither MX nor address",
	    { .mx = MX_IMPLICIT,
		INSECURE,
		ENFORCE,
		.patterns = "example.com",
		.hosts = { { "example.com", 0, NULL, DNS_INSECURE } } },
	    NULL, "451 4.4.4", NULL },
	{ "enforce: loop",
	    { INSECURE, ENFORCE, .patterns = "*.example.net",
		.hosts = { { "out.example.net", 10, A, 0 } } },
	    NULL, "451 4.4.6", NULL },
	{ "enforce: loop, secure",
	    { ENFORCE, .patterns = "*.example.net", .hosts = { { "out.example.net", 10, A, 0 } } },
	    NULL, "554 5.4.6", NULL },
	{ "enforce: no valid name",
	    { INSECURE, ENFORCE, .patterns = "*.example.com",
		.hosts = { { "ev\\032il", 10, A, 0 } } },
	    NULL, "451 4.4.4", NULL },

	/* Loops, RFC 5321 5.1. */
	{ "loop", { INSECURE, .hosts = { { "out.example.net", 10, A, 0 } } }, NULL, "554 5.4.6",
	    "example.com" },
	{ "loop, capitals and dot", { .hosts = { { "OUT.Example.net.", 10, A, 0 } } }, NULL,
	    "554 5.4.6", NULL },
	{ "loop by another name",
	    { .own_names = "a.example.net " MX1, .hosts = { { MX1, 10, A, 0 } } }, NULL,
	    "554 5.4.6", NULL },
	{ "loop: equals and worse are dropped",
	    { .own_names = MX1,
		.hosts = { { MX1, 10, A, 0 }, { MX2, 10, A2, 0 },
		    { "mx3.example.com", 20, A, 0 } } },
	    NULL, "554 5.4.6", NULL },
	{ "loop: better are used",
	    { .own_names = MX2,
		.hosts = { { MX1, 10, A, 0 }, { MX2, 20, A2, 0 }, { "mx3.example.com", 20, A, 0 },
		    { "mx4.example.com", 30, A, 0 } } },
	    MX1, NULL, NULL },
	{ "loop: best of two own names",
	    { .own_names = MX2 " mx3.example.com",
		.hosts = { { "mx3.example.com", 30, A, 0 }, { MX1, 25, A, 0 },
		    { MX2, 20, A2, 0 } } },
	    NULL, "554 5.4.6", NULL },
	{ "loop: better have no address",
	    { .own_names = MX2, .hosts = { { MX1, 10, NULL, 0 }, { MX2, 20, A2, 0 } } }, NULL,
	    "550 5.4.4", MX1 },
	{ "loop: better failed",
	    { .own_names = MX2, .hosts = { { MX1, 10, NULL, DNS_FAILED }, { MX2, 20, A2, 0 } } },
	    NULL, "451 4.4.3", MX1 },
	{ "loop: implicit MX",
	    { .mx = MX_IMPLICIT,
		.own_names = "example.com",
		.hosts = { { "example.com", 0, A, 0 } } },
	    NULL, "554 5.4.6", NULL },
	{ "no loop: relay to ourselves",
	    { .mx = MX_RELAY, .own_names = "example.com", .hosts = { { "example.com", 0, A, 0 } } },
	    "example.com", NULL, NULL },

	/* Names that are none. */
	{ "bad name dropped",
	    { .hosts = { { "ev\\032il\"x.example", 10, A, 0 }, { MX1, 20, A, 0 } } }, MX1, NULL,
	    NULL },
	{ "bad names alone", { .hosts = { { "a\\046b.example", 10, A, 0 }, { "", 20, A, 0 } } },
	    NULL, "550 5.4.4", "example.com" },
	{ "underscore is a host", { .hosts = { { "mx_1.example.com", 10, A, 0 } } },
	    "mx_1.example.com", NULL, NULL },

	/* Addresses. */
	{ "address failed", { .hosts = { { MX1, 10, NULL, DNS_FAILED } } }, NULL, "451 4.4.3",
	    MX1 },
	{ "address bogus", { .hosts = { { MX1, 10, NULL, DNS_BOGUS } } }, NULL, "451 4.7.5", MX1 },
	{ "address failed, other good",
	    { .hosts = { { MX1, 10, NULL, DNS_FAILED }, { MX2, 20, A, 0 } } }, MX2, NULL, NULL },
	{ "address bogus, other good",
	    { .hosts = { { MX1, 10, A2, DNS_BOGUS }, { MX2, 20, A, 0 } } }, MX1 " " MX2, NULL,
	    NULL },
	{ "address bogus, nothing left, other good",
	    { .hosts = { { MX1, 10, NULL, DNS_BOGUS }, { MX2, 20, A, 0 } } }, MX2, NULL, NULL },
	{ "AAAA bogus, A good", { .hosts = { { MX1, 10, A, DNS_BOGUS } } }, MX1, NULL, NULL },
	{ "AAAA bogus, A private",
	    { .refuse_private = true, .hosts = { { MX1, 10, "10.0.0.1", DNS_BOGUS } } }, NULL,
	    "451 4.7.5", MX1 },
	{ "AAAA failed, A good", { .hosts = { { MX1, 10, A, DNS_FAILED } } }, MX1, NULL, NULL },
	{ "failed beside none",
	    { .hosts = { { MX1, 10, NULL, 0 }, { MX2, 20, NULL, DNS_FAILED } } }, NULL, "451 4.4.3",
	    NULL },
	{ "bogus beside none", { .hosts = { { MX1, 10, NULL, 0 }, { MX2, 20, NULL, DNS_BOGUS } } },
	    NULL, "451 4.7.5", NULL },
	{ "private", { .refuse_private = true, .hosts = { { MX1, 10, "10.0.0.1 ::1", 0 } } }, NULL,
	    "451 4.4.4", MX1 },
	{ "loopback",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "127.0.0.1 ::1", 0 },
		    { MX2, 20, "0.0.0.0 ::ffff:127.1.2.3", 0 } } },
	    NULL, "550 5.4.4", MX1 },
	{ "loopback beside none",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "127.0.0.1", 0 }, { MX2, 20, NULL, 0 } } },
	    NULL, "550 5.4.4", MX1 },
	{ "loopback of no MX",
	    { .mx = MX_IMPLICIT,
		.refuse_private = true,
		.hosts = { { "example.com", 0, "0.0.0.0", 0 } } },
	    NULL, "550 5.4.4", "example.com" },
	{ "loopback beside private",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "127.0.0.1", 0 }, { MX2, 20, "10.0.0.1", 0 } } },
	    NULL, "451 4.4.4", MX1 },
	{ "loopback, AAAA failed",
	    { .refuse_private = true, .hosts = { { MX1, 10, "127.0.0.1", DNS_FAILED } } }, NULL,
	    "451 4.4.3", MX1 },
	{ "loopback beside good",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "127.0.0.1", 0 }, { MX2, 20, PUBLIC4, 0 } } },
	    MX2, NULL, NULL },
	{ "loopback allowed", { .hosts = { { MX1, 10, "127.0.0.1", 0 } } }, MX1, NULL, NULL },
	{ "loopback, enforced",
	    { ENFORCE, .patterns = MX1, .refuse_private = true,
		.hosts = { { MX1, 10, "127.0.0.1", DNS_INSECURE } } },
	    NULL, "451 4.4.4", MX1 },
	{ "loopback, enforced, proven",
	    { ENFORCE, .patterns = MX1, .refuse_private = true,
		.hosts = { { MX1, 10, "127.0.0.1", DNS_SECURE } } },
	    NULL, "550 5.4.4", MX1 },
	{ "private allowed", { .hosts = { { MX1, 10, "10.0.0.1", 0 } } }, MX1, NULL, NULL },
	{ "public", { .refuse_private = true, .hosts = { { MX1, 10, PUBLIC4, 0 } } }, MX1, NULL,
	    NULL },
	{ "private beside none",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "10.0.0.1", 0 }, { MX2, 20, NULL, 0 } } },
	    NULL, "451 4.4.4", NULL },
	{ "private beside failed",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "10.0.0.1", 0 }, { MX2, 20, NULL, DNS_FAILED } } },
	    NULL, "451 4.4.3", NULL },
	{ "private beside public",
	    { .refuse_private = true,
		.hosts = { { MX1, 10, "10.0.0.1", 0 }, { MX2, 20, PUBLIC6, 0 } } },
	    MX2, NULL, NULL },
	{ "private literal",
	    { .mx = MX_LITERAL,
		.domain = "[10.0.0.1]",
		.refuse_private = true,
		.hosts = { { "", 0, "10.0.0.1", 0 } } },
	    NULL, "550 5.4.4", "[10.0.0.1]" },
	{ "private relay",
	    { .mx = MX_RELAY,
		.refuse_private = true,
		.hosts = { { "relay.lan", 0, "10.0.0.1", DNS_INSECURE } } },
	    "relay.lan", NULL, NULL },
	{ "private relay address",
	    { .mx = MX_LITERAL,
		.relay_address = true,
		.domain = "[10.0.0.1]",
		.refuse_private = true,
		.hosts = { { "", 0, "10.0.0.1", 0 } } },
	    "", NULL, NULL },

	/* MTA-STS: which hosts. */
	{ "enforce, matching",
	    { ENFORCE, .patterns = "*.example.com", .hosts = { { MX1, 10, A, 0 } } }, MX1, NULL,
	    NULL },
	{ "C12",
	    { .mx = MX_IMPLICIT,
		ENFORCE,
		.patterns = "example.com",
		.hosts = { { "example.com", 0, A, 0 } } },
	    "example.com", NULL, NULL },
	{ "C12 not listed",
	    { .mx = MX_IMPLICIT,
		ENFORCE,
		.patterns = "*.example.com",
		.hosts = { { "example.com", 0, A, 0 } } },
	    NULL, "451 4.7.5", "example.com" },
	{ "C15", { ENFORCE, .patterns = "", .hosts = { { MX1, 10, A, 0 } } }, NULL, "451 4.7.5",
	    MX1 },
	{ "C18 some match",
	    { ENFORCE, .patterns = MX2,
		.hosts = { { MX1, 10, A, 0 }, { "mx3.example.com", 30, A, 0 },
		    { MX2, 20, A, 0 } } },
	    MX2, NULL, NULL },
	{ "C18 order",
	    { ENFORCE, .patterns = "*.example.com",
		.hosts = { { MX2, 20, A, 0 }, { "mx1.evil.example", 1, A, 0 },
		    { MX1, 10, A, 0 } } },
	    MX1 " " MX2, NULL, NULL },
	{ "C18 none match",
	    { INSECURE, ENFORCE, .patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, A, 0 }, { "mx2.evil.example", 20, A, 0 } } },
	    NULL, "451 4.7.5",
	    "mta-sts policy 2016Z of example.com lists none of its MX hosts: "
	    "mx1.evil.example, mx2.evil.example; ask postmaster@example.com" },
	{ "C18 none match, secure",
	    { ENFORCE, .patterns = "*.example.com", .hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    NULL, "451 4.7.5", NULL },
	{ "H10 says how to override",
	    { ENFORCE, .patterns = "*.example.com", .hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    NULL, "451 4.7.5",
	    "(mode enforce, mx *.example.com; to override set tls = \"audit\" in destination "
	    "\"example.com\")" },
	{ "none match, one without address",
	    { ENFORCE, .patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, A, 0 },
		    { "mx2.evil.example", 20, NULL, 0 } } },
	    NULL, "451 4.7.5", NULL },
	{ "none match, look-ups failed",
	    { ENFORCE, .patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, NULL, DNS_FAILED } } },
	    NULL, "451 4.7.5", NULL },
	{ "listed host failed",
	    { ENFORCE, .patterns = MX1,
		.hosts = { { MX1, 10, NULL, DNS_FAILED }, { "mx1.evil.example", 20, A, 0 } } },
	    NULL, "451 4.4.3", NULL },
	{ "listed host bogus",
	    { ENFORCE, .patterns = MX1,
		.hosts = { { MX1, 10, NULL, DNS_BOGUS }, { "mx1.evil.example", 20, A, 0 } } },
	    NULL, "451 4.7.5", "DNSSEC" },
	{ "listed host has no address",
	    { ENFORCE, .patterns = MX1,
		.hosts = { { MX1, 10, NULL, 0 }, { "mx1.evil.example", 20, A, 0 } } },
	    NULL, "451 4.4.4", "2016Z" },
	{ "listed host is private",
	    { ENFORCE, .patterns = MX1, .refuse_private = true,
		.hosts = { { MX1, 10, "10.0.0.1", 0 }, { "mx1.evil.example", 20, PUBLIC4, 0 } } },
	    NULL, "451 4.4.4", NULL },
	{ "testing, not listed",
	    { TESTING, .patterns = "*.example.com", .hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    "mx1.evil.example", NULL, NULL },
	{ "none, not listed",
	    { .sts = STS_VALID,
		.patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    "mx1.evil.example", NULL, NULL },
	{ "audit, not listed",
	    { ENFORCE, .enforce = ENFORCE_AUDIT, .patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    "mx1.evil.example", NULL, NULL },
	{ "tls = audit, not listed",
	    { ENFORCE, .tls = TLS_AUDIT, .patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    "mx1.evil.example", NULL, NULL },
	{ "off, not listed",
	    { ENFORCE, .enforce = ENFORCE_OFF, .patterns = "*.example.com",
		.hosts = { { "mx1.evil.example", 10, A, 0 } } },
	    "mx1.evil.example", NULL, NULL },
	{ "H12 relay under its policy",
	    { .mx = MX_RELAY,
		ENFORCE,
		.domain = "relay.example",
		.patterns = "relay.example",
		.hosts = { { "relay.example", 0, A, 0 } } },
	    "relay.example", NULL, NULL },
	{ "H12 relay not listed",
	    { .mx = MX_RELAY,
		ENFORCE,
		.domain = "relay.example",
		.patterns = "mx.relay.example",
		.hosts = { { "relay.example", 0, A, 0 } } },
	    NULL, "451 4.7.5", "relay.example" },

	/* Destinations. */
	{ "may, policy not asked",
	    { ENFORCE, .tls = TLS_MAY, .patterns = "a", .hosts = { { MX1, 10, A, 0 } } }, MX1, NULL,
	    NULL },
	{ "none, policy not asked",
	    { ENFORCE, .tls = TLS_NONE, .patterns = "a", .hosts = { { MX1, 10, A, 0 } } }, MX1,
	    NULL, NULL },
	{ "encrypt", { INSECURE, .tls = TLS_ENCRYPT, .hosts = { { MX1, 10, A, 0 } } }, MX1, NULL,
	    NULL },
	{ "verify a secure MX name", { .tls = TLS_VERIFY, .hosts = { { MX1, 10, A, 0 } } }, MX1,
	    NULL, NULL },
	{ "verify without a name", { INSECURE, .tls = TLS_VERIFY, .hosts = { { MX1, 10, A, 0 } } },
	    NULL, "451 4.7.5", "example.com" },
	{ "verify at an insecure MX by match",
	    { INSECURE, .tls = TLS_VERIFY, .match = "*.example.net",
		.hosts = { { MX1, 10, A, 0 } } },
	    MX1, NULL, NULL },
	{ "verify at a relay",
	    { .mx = MX_RELAY,
		INSECURE,
		.tls = TLS_VERIFY,
		.hosts = { { "relay.example", 0, A, DNS_INSECURE } } },
	    "relay.example", NULL, NULL },
	{ "verify at a literal",
	    { .mx = MX_LITERAL,
		.relay_address = true,
		.tls = TLS_VERIFY,
		.hosts = { { "", 0, A, 0 } } },
	    NULL, "451 4.7.5", NULL },
	{ "verify, no address first",
	    { INSECURE, .tls = TLS_VERIFY, .hosts = { { MX1, 10, NULL, DNS_INSECURE } } }, NULL,
	    "550 5.4.4", NULL },
	{ "verify, address failed",
	    { .tls = TLS_VERIFY, .hosts = { { MX1, 10, NULL, DNS_FAILED } } }, NULL, "451 4.4.3",
	    NULL },
	{ "G21 dane without TLSA", { .tls = TLS_DANE, .hosts = { { MX1, 10, A, 0 } } }, NULL,
	    "451 4.7.5", "dane" },
};

static void
check(struct arena *arena, const struct plan_case *c)
{
	const struct plan *plan = test_plan_make(arena, &c->facts);
	char line[REPLY_LINE_MAX + 1];

	if (c->used != NULL) {
		if (plan->verdict != PLAN_USE || plan->use_count == 0)
			fail_msg("%s: %s", c->name, plan->reply.text);
		if (strcmp(test_plan_used(arena, plan), c->used) != 0)
			fail_msg("%s: uses %s", c->name, test_plan_used(arena, plan));
		return;
	}
	reply_line(&plan->reply, line);
	if (strncmp(line, c->reply, strlen(c->reply)) != 0 || line[strlen(c->reply)] != ' ')
		fail_msg("%s: %s", c->name, line);
	if (plan->verdict != (c->reply[0] == '5' ? PLAN_REFUSE : PLAN_DEFER) ||
	    plan->use_count != 0)
		fail_msg("%s: verdict %s", c->name, plan_verdict_name(plan->verdict));
	if (c->text != NULL && strstr(line, c->text) == NULL)
		fail_msg("%s: %s", c->name, line);
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

#define OURS	.resolver = RESOLVER_BROKEN, .resolver_fault = "servers drop DNSSEC: repair them"
#define DEAF	.resolver = RESOLVER_SILENT, .resolver_fault = "servers do not answer"
#define NO_FAULT	"by no fault of example.com: servers drop DNSSEC: repair them"

/* Whose fault a bogus or missing answer is, and what may be done: words that must be there, and
 * some that must not. */
static const struct {
	struct test_facts facts;
	const char *start, *words, *never;
} blames[] = {
	{ { .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS }, "451 4.7.5",
	    "the DNS of example.com must "
	    "be repaired (until then name it in dns.insecure, or set relay in destination "
	    "\"example.com\")",
	    "fault" },
	{ { .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS, OURS }, "451 4.7.5", NO_FAULT, "the DNS of" },
	{ { .mx = MX_UNKNOWN, .mx_state = DNS_FAILED, OURS }, "451 4.4.3", "MX", "fault" },
	{ { .mx = MX_UNKNOWN, .mx_state = DNS_FAILED, DEAF }, "451 4.4.3",
	    "by no fault of example.com: servers do not answer", "the DNS of" },
	{ { .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS, DEAF }, "451 4.7.5", "must be repaired",
	    "fault" },
	{ { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_BOGUS }, "451 4.7.5",
	    "(until then set "
	    "tls = \"audit\" in destination \"example.com\", or name it in dns.insecure)",
	    "fault" },
	{ { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_BOGUS, OURS }, "451 4.7.5", NO_FAULT,
	    "the DNS of" },
	{ { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_HOST_BOGUS }, "451 4.7.5",
	    "(until then set "
	    "tls = \"audit\" in destination \"example.com\", or name it in dns.insecure)",
	    "fault" },
	{ { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_HOST_BOGUS, OURS }, "451 4.7.5", NO_FAULT,
	    "the DNS of" },
	{ { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_HOST_FAILED, DEAF }, "451 4.4.3",
	    "by no fault of example.com: servers do not answer", "repaired" },
	{ { .hosts = { { MX1, 10, A, 0 } }, .sts = STS_TXT_FAILED, DEAF }, "451 4.4.3",
	    "by no fault of example.com: servers do not answer", "repaired" },
	{ { .hosts = { { MX1, 10, NULL, DNS_BOGUS } } }, "451 4.7.5",
	    "the DNS of " MX1 " must be "
	    "repaired (until then name their domain in dns.insecure)",
	    "fault" },
	{ { .hosts = { { MX1, 10, NULL, DNS_BOGUS } }, OURS }, "451 4.7.5", "servers drop DNSSEC",
	    "the DNS of" },
	{ { .hosts = { { MX1, 10, NULL, DNS_FAILED } }, DEAF }, "451 4.4.3",
	    "servers do not answer", "repaired" },
	{ { .hosts = { { MX1, 10, A, 0 } },
	      .tlsa = { { .state = TLSA_UNKNOWN, .answer = DNS_BOGUS } } },
	    "451 4.7.5",
	    "the DNS of " MX1 " must be repaired (until "
	    "then "
	    "set tls = \"audit\" in destination \"example.com\")",
	    "fault" },
	{ { .hosts = { { MX1, 10, A, 0 } },
	      .tlsa = { { .state = TLSA_UNKNOWN, .answer = DNS_BOGUS } },
	      OURS },
	    "451 4.7.5", "servers drop DNSSEC", "the DNS of" },
	{ { .hosts = { { MX1, 10, NULL, DNS_BOGUS } }, .wish = WISH_REQUIRETLS, OURS }, "451 4.7.5",
	    "servers drop DNSSEC", "the DNS of" },
};

static void
test_blame(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(blames) / sizeof(blames[0]); i++) {
		struct arena *arena = arena_new();
		char line[REPLY_LINE_MAX + 1];

		reply_line(&test_plan_make(arena, &blames[i].facts)->reply, line);
		if (strncmp(line, blames[i].start, strlen(blames[i].start)) != 0 ||
		    strstr(line, blames[i].words) == NULL || strstr(line, blames[i].never) != NULL)
			fail_msg("%zu: %s", i, line);
		arena_free(arena);
	}
}

/* However long the names are, domain, id and host stand before the cut. */
static void
test_long_names_leave_the_reply_readable(void **state)
{
#define L50	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx"
	static const char domain[] = L50 "." L50 "." L50 ".example";
	static const char host[] = "mx." L50 "." L50 "." L50 ".evil.example";
	struct test_facts facts = { ENFORCE, .domain = domain, .patterns = "*.example.com",
		.hosts = { { host, 1, A, 0 }, { host, 2, A, 0 }, { host, 3, A, 0 } } };
	struct arena *arena = arena_new();
	char line[REPLY_LINE_MAX + 1];

	(void)state;
	reply_line(&test_plan_make(arena, &facts)->reply, line);
	assert_non_null(strstr(line, "2016Z"));
	assert_non_null(strstr(line, domain));
	assert_non_null(strstr(line, host));
	assert_non_null(strstr(line, "and 2 more"));
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_long_names_leave_the_reply_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
