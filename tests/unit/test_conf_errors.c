/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is refused, at which line, in which words; and that it is one line and nothing else.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf/conf.h"
#include "tests/unit/conf_file.h"

#define COUNT(table)	(sizeof(table) / sizeof((table)[0]))

struct refused {
	const char *text;
	int line;	/* 0: none is told */
	const char *says;	/* part of the message */
};

static void
assert_refused(const char *octets, size_t length, int line, const char *says)
{
	struct conf *conf = conf_file_load(octets, length);
	const char *errors = conf_file_errors();
	char start[32] = " ";

	if (conf != NULL)
		fail_msg("taken: %.*s", (int)length, octets);
	if (line > 0)
		(void)snprintf(start, sizeof(start), "%d: ", line);
	if (strncmp(errors, start, strlen(start)) != 0 || strstr(errors, says) == NULL ||
	    strchr(errors, '\n') != errors + strlen(errors) - 1)
		fail_msg("%.*s\n says \"%s\"\n not %s%s", (int)length, octets, errors, start, says);
}

static void
assert_all_refused(const struct refused *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		assert_refused(cases[i].text, strlen(cases[i].text), cases[i].line, cases[i].says);
}

static void
test_values(void **state)
{
	static const struct refused cases[] = {
		{ "hostname = \"a b\"", 1, "hostname = \"a b\": must be a host name" },
		{ "hostname = \"192.0.2.1\"", 1, "hostname = \"192.0.2.1\"" },
		{ "user = \"\"", 1, "user = \"\"" },
		{ "state-directory = var", 1,
		    "state-directory = \"var\": must be an absolute path" },
		{ "spool-directory = \"\"", 1, "spool-directory = \"\"" },
		{ "spool-memory = 1G", 1, "spool-memory = \"1G\": must be an integer of octets" },
		{ "spool-memory = \"17592186044416M\"", 1, "from 0 to 1099511627776" },
		{ "\n\nlog = \"file\"", 3, "log = \"file\": must be stderr or syslog" },
		{ "log-level = notice", 1, "must be error, warning, info or debug" },
		{ "log-level = Info", 1, "log-level = \"Info\"" },
		{ "lmtp { socket-mode = \"0999\" }", 1,
		    "lmtp.socket-mode = \"0999\": must be an octal" },
		{ "lmtp { socket-mode = \"04755\" }", 1, "from 0000 to 0777" },
		{ "lmtp { socket-group = \"no such group\" }", 1,
		    "must be an existing Unix "
		    "group" },
		{ "lmtp { max-sessions = 0 }", 1, "must be an integer from 1 to 100000" },
		{ "lmtp { max-sessions = 100001 }", 1, "lmtp.max-sessions = \"100001\"" },
		{ "lmtp { max-sessions = -1 }", 1, "lmtp.max-sessions = \"-1\"" },
		{ "lmtp { max-sessions = 4294967297 }", 1, "must be an integer" },
		{ "lmtp { max-sessions = 18446744073709551617 }", 1, "must be an integer" },
		{ "lmtp { max-sessions = \"\" }", 1, "lmtp.max-sessions = \"\"" },
		{ "lmtp { max-message-size = 0 }", 1, "lmtp.max-message-size = \"0\"" },
		{ "lmtp { transaction-time = 30 }", 1,
		    "must be an integer and s, m, h or d, from 1s to 1d" },
		{ "lmtp { transaction-time = 0s }", 1, "lmtp.transaction-time = \"0s\"" },
		{ "lmtp { transaction-time = 25h }", 1, "from 1s to 1d" },
		{ "smtp { keep-idle = 0 }", 1, "from 0s to 1d" },
		{ "smtp { host-retry = 0s }", 1, "smtp.host-retry = \"0s\"" },
		{ "sts { cold-failure-grace = 0s }", 1, "sts.cold-failure-grace = \"0s\"" },
		{ "sts { retry-interval = 366d }", 1, "from 1s to 365d" },
		{ "smtp { port = 0 }", 1, "smtp.port = \"0\": must be a port from 1 to 65535" },
		{ "smtp { port = 65536 }", 1, "smtp.port = \"65536\"" },
		{ "smtp { port = smtp }", 1, "smtp.port = \"smtp\"" },
		{ "smtp { source-ipv4 = \"::1\" }", 1, "must be an IPv4 address" },
		{ "smtp { source-ipv6 = \"192.0.2.1\" }", 1, "must be an IPv6 address" },
		{ "smtp { address-families = {} }", 1, "smtp.address-families = {}: must name" },
		{ "smtp {\n address-families =\n {} }", 2, "must name ipv6, ipv4 or both" },
		{ "smtp { address-families = {\"ipv4\",\n \"ipv4\"} }", 2, "each once at most" },
		{ "smtp { address-families = {\"ipv5\"} }", 1, "smtp.address-families = \"ipv5\"" },
		{ "smtp { own-names = {\"*.example.com\"} }", 1, "must be a domain name" },
		{ "smtp { tls-required-no = honor }", 1, "must be ignore or honour" },
		{ "tls { min-protocol = \"TLSv1.1\" }", 1, "must be TLSv1.2 or TLSv1.3" },
		{ "tls { plaintext-retry = never }", 1, "must be true or false" },
		{ "sts { enforce = testing }", 1, "must be on, audit or off" },
		{ "sts { max-policy-size = 1025K }", 1, "from 1 to 1048576" },
		{ "sts { http-proxy = \"https://p:1\" }", 1,
		    "must be http://host:port or host:port" },
		{ "policy-map { dane = both }", 1, "must be none or mta" },
		{ "store { backend = redis }", 1, "store.backend = \"redis\": must be bdb" },
		{ "tlsrpt { sender = reports }", 1, "must be a mail address" },
		{ "tlsrpt { contact = \"mailto:tls@example.com, us\" }", 1,
		    "must be a mail address" },
		{ "tlsrpt { submit = sendmail }", 1, "must be smtp://host:port, or a command" },
		{ "tlsrpt { submit = \"smtp://\" }", 1, "tlsrpt.submit" },
		{ "tlsrpt { submit = \"smtp://h:0\" }", 1, "tlsrpt.submit" },
		{ "tlsrpt { socket = \"inet:127.0.0.1:1\" }", 1, "must be unix:PATH" },
		{ "milter { refuse = always }", 1, "must be never, tempfail or reject" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_endpoints(void **state)
{
	static const struct refused cases[] = {
		{ "lmtp { listen = \"127.0.0.1:2424\" }", 1,
		    "must be unix:PATH, inet:ADDRESS:PORT" },
		{ "lmtp { listen = {\"inet:localhost:2424\"} }", 1,
		    "lmtp.listen = \"inet:localhost:2424\"" },
		{ "lmtp { listen = {\"inet:127.0.0.1:0\"} }", 1, "lmtp.listen" },
		{ "lmtp { listen = {\"unix:relative\"} }", 1, "absolute" },
		{ "lmtp { listen = {\"unix:/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"} }",
		    1, "107 octets" },
		{ "lmtp { listen = {\"inet:0.0.0.0:24\"} }", 1, "lmtp.allow-from" },
		{ "lmtp { listen = {\"inet6:[::]:24\"} }", 1, "lmtp.allow-from" },
		{ "lmtp {\n listen = {\n\"unix:/x\",\n\n\"inet:192.0.2.1:24\" }\n allow-from = {}\n}",
		    5, "lmtp.listen = \"inet:192.0.2.1:24\"" },
		{ "lmtp { allow-from = {\"192.0.2.1/24\"} }", 1, "only zeros" },
		{ "lmtp { allow-from = {\"10.0.0.0/8\",\n\"example.com\"} }", 2,
		    "must be an address or a block" },
		{ "policy-map { listen = {\"inet:192.0.2.1:1\"} }", 1, "policy-map.listen" },
		{ "control { listen = {\"inet6:[::]:1\"} }", 1,
		    "must be a Unix socket or a loopback" },
		{ "milter { listen = \"inet:0.0.0.0:1\" }", 1, "milter.listen" },
		{ "milter { listen = \"\" }", 1, "milter.listen = \"\"" },
		{ "dns { servers = {\"ns.example.com\"} }", 1,
		    "must be an address, or an address, @" },
		{ "dns { servers = {\"127.0.0.1:53\"} }", 1, "dns.servers" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_titled_sections(void **state)
{
	static const struct refused cases[] = {
		{ "destination a {\n ignore = {PIPELINING, StartTLS}\n}", 2, "tls = \"none\"" },
		{ "destination a {\n ignore = {PIPELINIG}\n}", 2, "such as PIPELINING" },
		{ "destination a {\n ignore = {\"\"}\n}", 2, "keyword of EHLO" },
		{ "destination a { tls = never }", 1, "tls" },
		{ "destination \"a b\" {}", 1,
		    "destination \"a b\": must be a domain name, *. and" },
		{ "destination \"*\" {}", 1, "destination \"*\"" },
		{ "destination \"*.\" {}", 1, "destination \"*.\"" },
		{ "destination \"a.*.b\" {}", 1, "must be a domain name" },
		{ "destination \"[192.0.2.1]\" {}", 1, "must be a domain name" },
		{ "destination \"\" {}", 1, "destination \"\"" },
		{ "destination\n\"..\"\n{\n}", 2, "must be a domain name" },
		{ "destination \"a\\\\b\" {}", 1, "must be a domain name" },
		{ "destination {}", 1, "must have a title" },
		{ "lmtp \"x\" {}", 1, "section lmtp takes no title" },
		{ "destination a {}\ndestination 'a' {}", 2,
		    "section destination \"a\" is given twice" },
		{ "destination \"Example.com\" {}\n\ndestination \"example.COM.\" {}", 3,
		    "destination \"example.COM.\" is the same as \"Example.com\" in line 1" },
		{ "destination b\xc3\xbc"
		  "cher.example {}",
		    1, "unexpected octet" },
		{ "destination \"b\xc3\xbc"
		  "cher.example\" {}\ndestination \"xn--bcher-kva.example\" {}",
		    2, "is the same as" },
		{ "destination \"*.a\" {}\ndestination \"*.A\" {}", 2, "is the same as" },
		{ "dns {\n zone \"x\" { servers = \"::1\" }\n zone \"X.\" { servers = \"::1\" }\n}",
		    3, "zone \"X.\" is the same as \"x\" in line 2" },
		{ "dns { zone \"x\" {} }", 1, "zone \"x\": must have name servers" },
		{ "dns {\n\n zone \"x\" { servers = {} } }", 3,
		    "zone \"x\": must have name servers" },
		{ "dns { zone \"*.x\" { servers = \"::1\" } }", 1,
		    "must be a domain name or \".\"" },
		{ "destination a { relay = \"2001:db8::1\" }", 1,
		    "must have its IPv6 address in brackets" },
		{ "destination a { relay = \"192.0.2.1\" }", 1, "[192.0.2.1]" },
		{ "destination a { relay = \"h:0\" }", 1, "a port from 1 to 65535" },
		{ "destination a { relay = \"h:25x\" }", 1, "destination.relay = \"h:25x\"" },
		{ "destination a { relay = \"[h]\" }", 1, "in the brackets" },
		{ "destination a { tls = secure }", 1,
		    "must be policy, may, encrypt, verify, dane, audit or none" },
		{ "destination a { match = {\".example.com\"} }", 1, "must be a host name, or *." },
		{ "destination a { match = {\".\"} }", 1, "destination.match = \".\"" },
		{ "destination a { max-connections = -1 }", 1, "from 0 to 100000" },
		{ "destination a { hostname = \"x y\" }", 1, "destination.hostname" },
		{ "destination a { reports = \"https://x\" }", 1, "must be discard, or mailto:" },
		{ "destination a { reports = \"mailto:x\" }", 1, "destination.reports" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_values_together(void **state)
{
	static const struct refused cases[] = {
		{ "dns {\n mode = \"forward\" }", 2,
		    "dns.mode = \"forward\": must have name servers" },
		{ "dns {\n servers = {\"192.0.2.53\"}\n}", 2,
		    "dns.servers = \"192.0.2.53\": is used with dns.mode = \"forward\" alone" },
		{ "dns {\n mode = \"recurse\"\n servers = {\"::1\",\n\"::2\"}\n}", 3,
		    "dns.servers = \"::1\": is used with dns.mode" },
		{ "dns {\n servers = {\"::1\"}\n mode = \"system\"\n}", 2,
		    "dns.servers = \"::1\": is used with dns.mode" },
		{ "tlsrpt {\n\n enable = send\n}", 3,
		    "must have tlsrpt.organization and tlsrpt.contact" },
		{ "tlsrpt { organization = x enable = send }", 1, "tlsrpt.enable = \"send\"" },
		{ "tlsrpt { enable = send contact = \"a@b\" }", 1, "tlsrpt.enable = \"send\"" },
		{ "lmtp { listen = {\"unix:/a\",\n \"unix:/b\",\n \"/a\"} }", 1,
		    "must not be named twice" },
		{ "lmtp { listen = {\"unix:/b\",\n \"inet:127.0.0.1:1\", \"inet:127.0.0.1:1\"} }",
		    2, "lmtp.listen = \"inet:127.0.0.1:1\": must not be named twice" },
		{ "control { listen = {\"inet6:[::1]:9\", \"inet6:[0::1]:9\"} }", 1, "twice" },
		{ "policy-map { listen = {\"unix:/a\", \"unix:/a\"} }", 1, "twice" },
		{ "\ncontrol { listen = {\"unix:/run/stsgate/lmtp.sock\"} }", 2,
		    "is claimed by lmtp.listen too" },
		{ "policy-map { listen = {\"inet:127.0.0.1:5\"} }\n"
		  "control { listen = {\"inet:127.0.0.1:5\"} }",
		    1, "policy-map.listen" },
		{ "milter { listen = \"unix:/run/stsgate/control.sock\" }", 1,
		    "is claimed by control.listen too" },
		{ "lmtp { listen = {\"inet:127.0.0.1:8\"} }\n"
		  "milter { listen = \"inet:127.0.0.1:8\" }",
		    1, "is claimed by lmtp.listen too" },
		{ "tlsrpt { socket = \"/run/stsgate/milter.sock\" }", 1,
		    "is claimed by milter.listen too" },
		{ "tlsrpt { socket = \"unix:/a\"\n forward = \"unix:/a\" }", 2,
		    "must not be tlsrpt.socket" },
		{ "tls { ca-file = \"/nonexistent\" }", 1, "No such file" },
		{ "tls {\n ca-file = \"/tmp\" }", 2, "Is a directory" },
		{ "tls { ca-file = \"ca.pem\" }", 1, "must be an absolute path" },
		{ "dns { trust-anchor = {\"/dev/null\",\n \"/nonexistent\"} }", 2,
		    "dns.trust-anchor = \"/nonexistent\": must be a file that can be read" },
		{ "dns { trust-anchor = {\"root.key\"} }", 1, "must be an absolute path" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_names(void **state)
{
	static const struct refused cases[] = {
		{ "hostnmae = x", 1, "unknown key \"hostnmae\"" },
		{ "Hostname = x", 1, "unknown key \"Hostname\"" },
		{ "max-sessions = 5", 1, "it belongs in section lmtp" },
		{ "lmtp { user = x }", 1,
		    "unknown key \"user\" in section lmtp: it belongs outside" },
		{ "lmtp {\n\n  lisen = {} }", 3, "unknown key \"lisen\" in section lmtp" },
		{ "lmpt { }", 1, "unknown section \"lmpt\"" },
		{ "lmtp { dns {} }", 1, "unknown section \"dns\" in section lmtp" },
		{ "zone x { servers = \"::1\" }", 1, "unknown section \"zone\"" },
		{ "dns { destination x {} }", 1, "unknown section \"destination\" in section dns" },
		{ "lmtp = 5", 1, "lmtp is a section" },
		{ "lmtp { listen { \"x\" } }", 1,
		    "the name of a key or section was expected, not \"x\"" },
		{ "lmtp { listen {} }", 1, "listen is a key" },
		{ "smtp { port = {25} }", 1, "port takes one value, not a list" },
		{ "lmtp.listen = {}", 1, "unknown key \"lmtp.listen\"" },
		{ "lmtp|listen = {}", 1, "unexpected \"|\"" },
		{ "\"hostname\" = x", 1, "the name of a key or section was expected" },
		{ "__unknown = x", 1, "unknown key \"__unknown\"" },
		{ "include(\"/etc/passwd\")", 1, "no include" },
		{ "include = x", 1, "unknown key \"include\"" },
		{ "include \"/etc/passwd\"", 1, "\"=\" is missing after \"include\"" },
		{ "user = x\nlog = (stderr)", 2, "\"(\"" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_repeats(void **state)
{
	static const struct refused cases[] = {
		{ "user = a\nuser = a", 2, "user is given twice, first in line 1" },
		{ "user = a\n\nlog = stderr\n user = b\nlog = stderr", 4, "user is given twice" },
		{ "lmtp {}\nlmtp {}", 2, "section lmtp is given twice" },
		{ "lmtp { max-sessions = 1\nmax-sessions = 1 }", 2,
		    "lmtp.max-sessions is given twice" },
		{ "lmtp { listen = {}\nlisten = {} }", 2, "lmtp.listen is given twice" },
		{ "lmtp { listen = {\"unix:/a\"}\nlisten = {\"unix:/b\"} }", 2,
		    "lmtp.listen is given twice" },
		{ "lmtp { listen = {\"unix:/a\"}\nlisten += {\"unix:/b\"} }", 2, "\"+=\"" },
		{ "lmtp { listen += {\"unix:/b\"} }", 1, "\"+=\"" },
		{ "destination a { tls = may\ntls = may }", 2, "destination.tls is given twice" },
		{ "dns { zone x { servers = \"::1\"\nservers = \"::1\" } }", 2,
		    "zone.servers is given twice" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_text(void **state)
{
	static const struct refused cases[] = {
		{ "hostname =", 1, "hostname: the file ends where a value was expected" },
		{ "hostname =\n\n# end\n", 1, "the file ends where a value was expected" },
		{ "hostname", 1, "the file ends where \"=\" or \"{\" was expected" },
		{ "hostname = = x", 1, "a value was expected, not \"=\"" },
		{ "hostname x\nuser = y", 1, "\"=\" is missing after \"hostname\"" },
		{ "hostname\nuser = y", 1, "\"=\" is missing after \"hostname\"" },
		{ "hostname = \"x\nuser = y", 1, "not closed on this line" },
		{ "\nhostname = 'x", 2,
		    "hostname: the value that begins with ' here is not closed" },
		{ "hostname = \"x\\", 1, "hostname: a backslash" },
		{ "hostname = \"x\\n\"", 1, "a backslash in a value may only precede \" or \\" },
		{ "hostname = \"\\x24{HOME}\"", 1, "a backslash" },
		{ "hostname = 'x\\\n'", 1, "not closed on this line" },
		{ "user = \"${HOME}\"", 1, "user: \"${\" in a value" },
		{ "user = '${HOME}'", 1, "\"${\" in a value" },
		{ "user = ${HOME}", 1, "\"${\" in a value" },
		{ "user = \"x${\"", 1, "\"${\" in a value" },
		{ "destination \"${HOME}\" {}", 1, "\"${\" in a value" },
		{ "lmtp { listen = {\"unix:/a\",\n\"unix:${X}\"} }", 2,
		    "lmtp.listen: \"${\" in a value" },
		{ "user = x /* a\n\nb", 1, "the comment that begins here has no end" },
		{ "\nuser = x /*/", 2, "the comment that begins here has no end" },
		{ "sts { http-proxy = http://p:1 }", 1, "stands in double quotes" },
		{ "user = a*b", 1, "unexpected \"*\"" },
		{ "user = x;\nlog = stderr;", 1, "unexpected \";\"" },
		{ "user = x\rlog = stderr", 1, "octet 0x0d" },
		{ "user = \"a\tb\"", 1, "octet 0x09 in a value" },
		{ "user = \"a\x7f\"", 1, "octet 0x7f in a value" },
		{ "user = \"\xff\"", 1, "octet 0xff in a value" },
		{ "user = \"\xc3\"", 1, "octet 0xc3 in a value" },
		{ "user = \"\xed\xa0\x80\"", 1, "octet 0xed in a value" },
		{ "\xef\xbb\xbfuser = x", 1, "unexpected octet 0xef" },
		{ "lmtp {\n max-sessions = 5\n\n", 1, "section lmtp is not closed" },
		{ "\ndns {\n zone x {\n }\n", 2, "section dns is not closed" },
		{ "lmtp {\n listen = {\n\"unix:/a\"\n", 2,
		    "lmtp.listen: the list that begins here is not closed" },
		{ "lmtp { listen = {\"unix:/a\" \"unix:/b\"} }", 1, "\",\" or \"}\" was expected" },
		{ "lmtp { listen = {,} }", 1, "a value of the list was expected" },
		{ "lmtp { listen = {{}} }", 1, "a value of the list was expected" },
		{ "user = x\n}\n", 2, "\"}\" closes no section" },
		{ "lmtp {}}", 1, "\"}\" closes no section" },
		{ "= x", 1, "the name of a key or section was expected" },
		{ "a{a{a{a{a{a{a{a{", 1, "too deep" },
		{ "@", 1, "the file ends where" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_lines(void **state)
{
	static const struct refused cases[] = {
		{ "# one\n/* two\n three */ /* */ /* */\nsmtp {\n# x\n  port = 0\n}", 6,
		    "smtp.port" },
		{ "smtp {\r\n\r\n  port = 0\r\n}\r\n", 3, "smtp.port" },
		{ "smtp { port =\n\n\n0\n\n}", 4, "smtp.port" },
		{ "smtp { own-names = {\n\"a\", # x\n\n\"b\", /* y\n\n */ \"*\"\n} }\n", 6,
		    "smtp.own-names" },
		{ "user = x\nlog-level = x", 2, "log-level" },
		{ "log-level = x\nlog = x", 1, "log-level" },
		{ "log = x\nlog-level = x", 1, "log = " },
		{ "\n\n\n\n\nuser = x\n\n\n\nlog = \"x\"", 10, "log = " },
		{ "destination a {\n}\ndestination b {\n tls = x\n}\n", 4, "destination.tls" },
		{ "destination a { tls = may }\nsmtp { port = 0 }\n", 2, "smtp.port" },
	};

	(void)state;
	assert_all_refused(cases, COUNT(cases));
}

static void
test_nul_octets(void **state)
{
	static const char in_value[] = "user = x\nlog = \"std\0err\"\n";
	static const char in_comment[] = "user = x\n\n# \0\n";
	static const char at_end[] = "user = x\n";

	(void)state;
	assert_refused(in_value, sizeof(in_value) - 1, 2, "a NUL octet");
	assert_refused(in_comment, sizeof(in_comment) - 1, 3, "a NUL octet");
	assert_refused(at_end, sizeof(at_end), 2, "a NUL octet");
	assert_refused("", 1, 1, "a NUL octet");
}

static void
test_large_files(void **state)
{
	size_t room = 1024 * 1024 + 1;
	char *text = malloc(room);
	struct conf *conf;

	(void)state;
	assert_non_null(text);
	memset(text, '#', room);
	conf = conf_file_load(text, room - 1);
	assert_non_null(conf);
	conf_free(conf);
	assert_refused(text, room, 0, "larger than 1048576 octets");
	memset(text, '\n', room);
	assert_refused(text, room, 0, "larger than");
	memset(text, 'a', room);
	assert_refused(text, room - 1, 1, "longer than 4096 octets");
	text[4096] = '=';
	assert_refused(text, 4098, 1, "unknown key \"aaaa");
	memset(text, '{', room);
	assert_refused(text, room - 1, 1, "the name of a key");
	memset(text, '"', room);
	assert_refused(text, room - 1, 1, "the name of a key");
	memcpy(text, "user = \"", 8);
	memset(text + 8, 'a', room - 8);
	assert_refused(text, room - 1, 1, "not closed");
	text[room - 2] = '"';
	assert_refused(text, room - 1, 1, "user: longer than 4096 octets");
	text[8 + 4096] = '"';
	conf = conf_file_load(text, 8 + 4097);
	assert_non_null(conf);
	conf_free(conf);
	memcpy(text, "log =  \"", 8);
	assert_refused(text, 8 + 4097, 1, "log = \"aaaaaaaa");
	memset(text, '\n', 100);
	memset(text + 100, '/', room - 100);
	memcpy(text + 100, "/*", 2);
	assert_refused(text, room - 1, 101, "has no end");
	free(text);
}

/* Octets of a small generator: whatever they are, one line and no crash. */
static void
test_binary_junk(void **state)
{
	static const char letters[] = "lmtp{}=\"', \n\\#/*$+()dns zone\0\x80\xff";
	char junk[512];
	uint32_t seed = 1;
	size_t i;
	int round;

	(void)state;
	for (round = 0; round < 400; round++) {
		for (i = 0; i < sizeof(junk); i++) {
			seed = seed * 1664525 + 1013904223;
			junk[i] = round % 2 == 0 ? (char)(seed >> 24)
						 : letters[(seed >> 16) % (sizeof(letters) - 1)];
		}
		junk[0] = '?';
		assert_null(conf_file_load(junk, sizeof(junk)));
		assert_true(strchr(conf_file_errors(), '\n') ==
		    conf_file_errors() + strlen(conf_file_errors()) - 1);
		junk[0] = '\n';
		conf_free(conf_file_load(junk, sizeof(junk)));
	}
}

static void
test_unreadable_file(void **state)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "/nonexistent", "/nonexistent: No such file or directory\n" },
		{ "/tmp", "/tmp: Is a directory\n" },
		{ "/dev/zero", "/dev/zero: larger than 1048576 octets\n" },
	};
	char *written = NULL;
	size_t size, i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		FILE *errors = open_memstream(&written, &size);

		assert_null(conf_load(cases[i].path, errors));
		(void)fclose(errors);
		assert_string_equal(written, cases[i].says);
		free(written);
	}
}

/* libconfuse writes to stderr by itself unless it is kept from it. */
static void
test_stderr_stays_empty(void **state)
{
	static const char *const texts[] = { "smtp { port = {1} }", "user = \"${X}\"", "lmtp {",
		"a = 1", "user = 'x", "destination \"a\\\"b\" {}\ndestination 'a\"b' {}" };
	char path[128];
	struct stat status;
	int saved = dup(STDERR_FILENO), file;
	size_t i;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/stderr", conf_file_directory());
	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(saved >= 0 && file >= 0);
	assert_true(dup2(file, STDERR_FILENO) >= 0);
	for (i = 0; i < COUNT(texts); i++)
		conf_free(conf_file_load_text(texts[i]));
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_int_equal(fstat(file, &status), 0);
	assert_int_equal(status.st_size, 0);
	(void)close(saved);
	(void)close(file);
	(void)unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_titled_sections),
		cmocka_unit_test(test_values_together),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_nul_octets),
		cmocka_unit_test(test_large_files),
		cmocka_unit_test(test_binary_junk),
		cmocka_unit_test(test_unreadable_file),
		cmocka_unit_test(test_stderr_stays_empty),
	};

	return cmocka_run_group_tests(tests, conf_file_setup, conf_file_teardown);
}
