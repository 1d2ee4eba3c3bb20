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
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf/conf.h"
#include "tests/unit/conf_file.h"

#define COUNT(table)	(sizeof(table) / sizeof((table)[0]))

static struct conf *
must_load(const char *text)
{
	struct conf *conf = conf_file_load_text(text);

	if (conf == NULL)
		fail_msg("refused: %s", conf_file_errors());
	assert_string_equal(conf_file_errors(), "");
	return conf;
}

static void
assert_listener(const struct conf_listener *listener, const char *path, mode_t mode)
{
	assert_int_equal(listener->count, 1);
	assert_string_equal(endpoint_path(&listener->listen[0]), path);
	assert_int_equal(listener->mode, mode);
	assert_true(listener->group == (gid_t)-1);
}

static void
assert_default_servers(const struct conf *conf)
{
	assert_listener(&conf->lmtp.listener, "/run/stsgate/lmtp.sock", 0660);
	assert_int_equal(conf->lmtp.allow_from_count, 0);
	assert_int_equal(conf->lmtp.max_sessions, 1000);
	assert_int_equal(conf->lmtp.max_recipients, 1000);
	assert_int_equal(conf->lmtp.parallel_domains, 20);
	assert_int_equal(conf->lmtp.reply_length, 480);
	assert_int_equal(conf->lmtp.max_message_size, 104857600);
	assert_int_equal(conf->lmtp.transaction_time, 1800000);
	assert_listener(&conf->policy_map.listener, "/run/stsgate/policy.sock", 0666);
	assert_true(conf->policy_map.dane_by_mta);
	assert_listener(&conf->control.listener, "/run/stsgate/control.sock", 0600);
	assert_string_equal(endpoint_path(&conf->milter.listen), "/run/stsgate/milter.sock");
	assert_int_equal(conf->milter.mode, 0660);
	assert_true(conf->milter.group == (gid_t)-1);
	assert_int_equal(conf->milter.refuse, REFUSE_NEVER);
	assert_false(conf->milter.header);
}

static void
assert_default_client(const struct conf *conf)
{
	assert_int_equal(conf->dns.mode, DNS_MODE_SYSTEM);
	assert_int_equal(conf->dns.server_count, 0);
	assert_int_equal(conf->dns.insecure.count, 0);
	assert_int_equal(conf->dns.timeout, 10000);
	assert_false(conf->dns.private_addresses);
	assert_int_equal(conf->dns.zone_count, 0);
	assert_int_equal(conf->smtp.port, 25);
	assert_int_equal(conf->smtp.connect_timeout, 30000);
	assert_int_equal(conf->smtp.command_timeout, 300000);
	assert_int_equal(conf->smtp.data_timeout, 180000);
	assert_int_equal(conf->smtp.final_timeout, 600000);
	assert_int_equal(conf->smtp.host_retry, 300000);
	assert_int_equal(conf->smtp.keep_idle, 15000);
	assert_int_equal(conf->smtp.keep_messages, 100);
	assert_int_equal(conf->smtp.keep_time, 300000);
	assert_int_equal(conf->smtp.max_deliveries, 1000);
	assert_int_equal(conf->smtp.max_per_host, 20);
	assert_int_equal(conf->smtp.sessions_per_message, 5);
	assert_false(conf->smtp.has_source_ipv4 || conf->smtp.has_source_ipv6);
	assert_true(conf->smtp.use_ipv6 && conf->smtp.use_ipv4 && conf->smtp.ipv6_first);
	assert_int_equal(conf->smtp.own_names.count, 0);
	assert_true(conf->smtp.tls_required_no);
	assert_int_equal(conf->tls.min_protocol, TLS_VERSION_1_2);
	assert_true(conf->tls.plaintext_retry);
}

static void
assert_default_policy(const struct conf *conf)
{
	assert_int_equal(conf->sts.enforce, ENFORCE_ON);
	assert_int_equal(conf->sts.fetch_timeout, 60000);
	assert_int_equal(conf->sts.max_policy_size, 65536);
	assert_int_equal(conf->sts.refresh_interval, 86400000);
	assert_int_equal(conf->sts.retry_interval, 300000);
	assert_string_equal(conf->sts.http_proxy, "");
	assert_int_equal(conf->sts.cold_failure_grace, 3600000);
	assert_int_equal(conf->dane.enforce, ENFORCE_ON);
	assert_int_equal(conf->tlsrpt.enable, TLSRPT_COLLECT);
	assert_string_equal(conf->tlsrpt.organization, "");
	assert_string_equal(conf->tlsrpt.contact, "");
	assert_string_equal(conf->tlsrpt.sender, "");
	assert_string_equal(conf->tlsrpt.submit, "smtp://127.0.0.1:25");
	assert_true(conf->tlsrpt.success_only);
	assert_int_equal(conf->tlsrpt.keep, INT64_C(1209600000));
	assert_string_equal(conf->tlsrpt.socket, "");
	assert_string_equal(conf->tlsrpt.forward, "");
	assert_string_equal(conf->store.backend, "bdb");
	assert_int_equal(conf->destination_count, 0);
	assert_null(conf_destination_find(conf, "example.com"));
}

static void
assert_defaults(const struct conf *conf)
{
	assert_true(strlen(conf->hostname) > 0);
	assert_string_equal(conf->user, STSGATE_USER);
	assert_string_equal(conf->state_directory, "/var/lib/stsgate");
	assert_string_equal(conf->spool_directory, "/var/tmp");
	assert_int_equal(conf->spool_memory, 268435456);
	assert_true(conf->log_to_syslog);
	assert_int_equal(conf->log_level, LOG_LEVEL_INFO);
	assert_default_servers(conf);
	assert_default_client(conf);
	assert_default_policy(conf);
}

/* Files that the defaults name may be missing on the host: they count when the file names them. */
static void
test_empty_file(void **state)
{
	static const char *const texts[] = { "", "\n", "# nothing\n", "lmtp {}\ndns { }\n",
		"/**/" };
	struct conf *conf;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		conf = must_load(texts[i]);
		assert_defaults(conf);
		assert_string_equal(conf->tls.ca_file, "/etc/ssl/certs/ca-certificates.crt");
		assert_int_equal(conf->dns.trust_anchors.count, 1);
		assert_string_equal(conf->dns.trust_anchors.at[0], "/usr/share/dns/root.key");
		conf_free(conf);
	}
	conf_free(NULL);
}

struct writer {
	struct buf text;
	char section[32];
	size_t keys;
};

static void
write_key(void *context, const char *key, const char *default_text)
{
	struct writer *writer = context;
	const char *dot = strrchr(key, '.');
	char section[32];

	writer->keys++;
	if (strncmp(key, "destination.", 12) == 0 || strncmp(key, "dns.zone.", 9) == 0 ||
	    strcmp(key, "tls.ca-file") == 0 || strcmp(key, "dns.trust-anchor") == 0)
		return;
	(void)snprintf(section, sizeof(section), "%.*s", dot == NULL ? 0 : (int)(dot - key), key);
	if (strcmp(section, writer->section) != 0)
		buf_printf(&writer->text, "%s%s {\n", writer->section[0] == '\0' ? "" : "}\n",
		    section);
	memcpy(writer->section, section, sizeof(section));
	buf_printf(&writer->text, "%s = %s\n", dot == NULL ? key : dot + 1, default_text);
}

/* The defaults, written out as conf_each_key() gives them, are a file that means the same. */
static void
test_written_defaults(void **state)
{
	struct writer writer = { .keys = 0 };
	struct conf *conf;

	(void)state;
	conf_each_key(write_key, &writer);
	buf_add_text(&writer.text, "}\n");
	conf = must_load(buf_text(&writer.text));
	assert_true(writer.keys > 70);
	assert_defaults(conf);
	conf_free(conf);
	buf_free(&writer.text);
}

static const char everything[] =
    "hostname = \"Mail.Bücher.example\" user = 'mail'\n"
    "state-directory = /srv/state spool-directory = \"/srv/spool\" spool-memory = 1K\n"
    "log = stderr log-level = debug\n"
    "lmtp {\n"
    "  listen = { \"inet:127.0.0.1:2424\", // one\n"
    "    unix:/run/x.sock, # two\n"
    "    \"inet6:[2001:db8::1]:24\", /* three */ }\n"
    "  socket-mode = \"0600\" allow-from = {\"192.0.2.0/24\", \"2001:db8::1\"}\n"
    "  max-sessions = 1 max-recipients = 2 max-message-size = \"10M\"\n"
    "  transaction-time = 1h parallel-domains = 3\n"
    "}\n"
    "policy-map { listen = {} socket-mode = 666 dane = \"none\" }\n"
    "control { listen = \"inet6:[::1]:8080\" socket-mode = \"0640\" }\n"
    "dns {\n"
    "  mode = forward servers = {192.0.2.53@5353, \"::1\"} trust-anchor = {\"/dev/null\"}\n"
    "  insecure = {Corp.LAN., \"x.bücher.example\"} timeout = 3s private-addresses = allow\n"
    "  zone \"Corp.LAN\" { servers = {\"10.0.0.53\"} }\n"
    "  zone . { servers = {\"::1@1\", \"::2\"} }\n"
    "}\n"
    "smtp {\n"
    "  port = 2525 connect-timeout = 1s command-timeout = 2s data-timeout = 3s\n"
    "  final-timeout = 4s host-retry = 5s keep-idle = 0s keep-messages = 6 keep-time = 7s\n"
    "  max-deliveries = 8 max-per-host = 9 sessions-per-message = 0\n"
    "  source-ipv4 = \"192.0.2.9\" source-ipv6 = \"::9\"\n"
    "  address-families = {\"ipv4\"} own-names = {\"MX.example.com\"} tls-required-no = ignore\n"
    "}\n"
    "tls { ca-file = '/dev/null' min-protocol = TLSv1.3 plaintext-retry = no }\n"
    "sts {\n"
    "  enforce = audit fetch-timeout = 1m max-policy-size = 32K refresh-interval = 12h\n"
    "  retry-interval = 10m http-proxy = \"http://proxy.example.com:3128/\"\n"
    "  cold-failure-grace = 2h\n"
    "}\n"
    "dane { enforce = off }\n"
    "tlsrpt {\n"
    "  enable = send organization = \"Example \\\"GmbH\\\" \\\\ Söhne\" contact = 'a@b'\n"
    "  sender = \"reports@example.com\" submit = \"/usr/sbin/sendmail -i -t\"\n"
    "  success-only = false keep = 1d socket = \"unix:/run/t.sock\" forward = \"unix:/run/f\"\n"
    "}\n"
    "store { backend = bdb }\n"
    "milter { listen = \"inet:127.0.0.1:9999\" socket-mode = 0666 refuse = reject header = yes }\n"
    "destination \"Bücher.example\" {\n"
    "  relay = \"[2001:DB8::25]:2525\" tls = verify match = {\"*.Example.NET\", mx.example.org}\n"
    "  max-connections = 4 source-ipv4 = \"192.0.2.10\" source-ipv6 = \"::10\"\n"
    "  ignore = {pipelining, SIZE}\n"
    "  hostname = Out.example.com reports = \"mailto:r@example.com\"\n"
    "}\n"
    "destination . { tls = dane relay = smart.example.com reports = discard }";

static void
assert_everything_served(const struct conf *conf)
{
	assert_int_equal(conf->lmtp.listener.count, 3);
	assert_string_equal(conf->lmtp.listener.listen[0].text, "inet:127.0.0.1:2424");
	assert_string_equal(endpoint_path(&conf->lmtp.listener.listen[1]), "/run/x.sock");
	assert_false(endpoint_is_loopback(&conf->lmtp.listener.listen[2]));
	assert_int_equal(conf->lmtp.listener.mode, 0600);
	assert_int_equal(conf->lmtp.allow_from_count, 2);
	assert_int_equal(conf->lmtp.allow_from[0].bits, 24);
	assert_int_equal(conf->lmtp.max_sessions, 1);
	assert_int_equal(conf->lmtp.max_recipients, 2);
	assert_int_equal(conf->lmtp.max_message_size, 10485760);
	assert_int_equal(conf->lmtp.transaction_time, 3600000);
	assert_int_equal(conf->lmtp.parallel_domains, 3);
	assert_int_equal(conf->policy_map.listener.count, 0);
	assert_int_equal(conf->policy_map.listener.mode, 0666);
	assert_false(conf->policy_map.dane_by_mta);
	assert_string_equal(conf->control.listener.listen[0].text, "inet6:[::1]:8080");
	assert_int_equal(conf->control.listener.mode, 0640);
	assert_string_equal(conf->milter.listen.text, "inet:127.0.0.1:9999");
	assert_int_equal(conf->milter.mode, 0666);
	assert_int_equal(conf->milter.refuse, REFUSE_REJECT);
	assert_true(conf->milter.header);
}

static void
assert_everything_dns(const struct conf *conf)
{
	assert_int_equal(conf->dns.mode, DNS_MODE_FORWARD);
	assert_int_equal(conf->dns.server_count, 2);
	assert_int_equal(conf->dns.servers[0].port, 5353);
	assert_true(conf->dns.servers[1].ip.v6);
	assert_int_equal(conf->dns.servers[1].port, 53);
	assert_string_equal(conf->dns.trust_anchors.at[0], "/dev/null");
	assert_int_equal(conf->dns.insecure.count, 2);
	assert_string_equal(conf->dns.insecure.at[0], "corp.lan");
	assert_string_equal(conf->dns.insecure.at[1], "x.xn--bcher-kva.example");
	assert_int_equal(conf->dns.timeout, 3000);
	assert_true(conf->dns.private_addresses);
	assert_int_equal(conf->dns.zone_count, 2);
	assert_string_equal(conf->dns.zones[0].name, "corp.lan");
	assert_int_equal(conf->dns.zones[0].server_count, 1);
	assert_string_equal(conf->dns.zones[1].name, "");
	assert_int_equal(conf->dns.zones[1].server_count, 2);
	assert_int_equal(conf->dns.zones[1].servers[0].port, 1);
}

static void
assert_everything_sent(const struct conf *conf)
{
	assert_int_equal(conf->smtp.port, 2525);
	assert_int_equal(conf->smtp.connect_timeout, 1000);
	assert_int_equal(conf->smtp.command_timeout, 2000);
	assert_int_equal(conf->smtp.data_timeout, 3000);
	assert_int_equal(conf->smtp.final_timeout, 4000);
	assert_int_equal(conf->smtp.host_retry, 5000);
	assert_int_equal(conf->smtp.keep_idle, 0);
	assert_int_equal(conf->smtp.keep_messages, 6);
	assert_int_equal(conf->smtp.keep_time, 7000);
	assert_int_equal(conf->smtp.max_deliveries, 8);
	assert_int_equal(conf->smtp.max_per_host, 9);
	assert_int_equal(conf->smtp.sessions_per_message, 0);
	assert_true(conf->smtp.has_source_ipv4 && !conf->smtp.source_ipv4.v6);
	assert_true(conf->smtp.has_source_ipv6 && conf->smtp.source_ipv6.v6);
	assert_true(conf->smtp.use_ipv4 && !conf->smtp.use_ipv6 && !conf->smtp.ipv6_first);
	assert_string_equal(conf->smtp.own_names.at[0], "mx.example.com");
	assert_false(conf->smtp.tls_required_no);
	assert_string_equal(conf->tls.ca_file, "/dev/null");
	assert_int_equal(conf->tls.min_protocol, TLS_VERSION_1_3);
	assert_false(conf->tls.plaintext_retry);
}

static void
assert_everything_policy(const struct conf *conf)
{
	assert_int_equal(conf->sts.enforce, ENFORCE_AUDIT);
	assert_int_equal(conf->sts.fetch_timeout, 60000);
	assert_int_equal(conf->sts.max_policy_size, 32768);
	assert_int_equal(conf->sts.refresh_interval, 43200000);
	assert_int_equal(conf->sts.retry_interval, 600000);
	assert_string_equal(conf->sts.http_proxy, "http://proxy.example.com:3128");
	assert_int_equal(conf->sts.cold_failure_grace, 7200000);
	assert_int_equal(conf->dane.enforce, ENFORCE_OFF);
	assert_int_equal(conf->tlsrpt.enable, TLSRPT_SEND);
	assert_string_equal(conf->tlsrpt.organization, "Example \"GmbH\" \\ Söhne");
	assert_string_equal(conf->tlsrpt.contact, "a@b");
	assert_string_equal(conf->tlsrpt.sender, "reports@example.com");
	assert_string_equal(conf->tlsrpt.submit, "/usr/sbin/sendmail -i -t");
	assert_false(conf->tlsrpt.success_only);
	assert_int_equal(conf->tlsrpt.keep, 86400000);
	assert_string_equal(conf->tlsrpt.socket, "unix:/run/t.sock");
	assert_string_equal(conf->tlsrpt.forward, "unix:/run/f");
}

static void
assert_everything_destinations(const struct conf *conf)
{
	const struct conf_destination *books = conf_destination_find(conf, "xn--bcher-kva.example");
	const struct conf_destination *rest = conf_destination_find(conf, "example.com");

	assert_int_equal(conf->destination_count, 2);
	assert_string_equal(books->name, "xn--bcher-kva.example");
	assert_string_equal(books->relay_host, "2001:db8::25");
	assert_int_equal(books->relay_port, 2525);
	assert_true(books->relay_literal);
	assert_int_equal(books->tls, TLS_VERIFY);
	assert_int_equal(books->match.count, 2);
	assert_string_equal(books->match.at[0], "*.example.net");
	assert_string_equal(books->match.at[1], "mx.example.org");
	assert_int_equal(books->ignore.count, 2);
	assert_string_equal(books->ignore.at[0], "PIPELINING");
	assert_string_equal(books->ignore.at[1], "SIZE");
	assert_int_equal(books->max_connections, 4);
	assert_true(books->has_source_ipv4 && books->has_source_ipv6);
	assert_string_equal(books->hostname, "out.example.com");
	assert_string_equal(books->reports, "mailto:r@example.com");
	assert_string_equal(rest->name, ".");
	assert_string_equal(rest->relay_host, "smart.example.com");
	assert_int_equal(rest->relay_port, 0);
	assert_false(rest->relay_literal);
	assert_int_equal(rest->tls, TLS_DANE);
	assert_int_equal(rest->match.count, 0);
	assert_int_equal(rest->max_connections, 0);
	assert_false(rest->has_source_ipv4 || rest->has_source_ipv6);
	assert_null(rest->hostname);
	assert_string_equal(rest->reports, "discard");
}

static void
test_every_key(void **state)
{
	struct conf *conf = must_load(everything);

	(void)state;
	assert_string_equal(conf->hostname, "mail.xn--bcher-kva.example");
	assert_string_equal(conf->user, "mail");
	assert_string_equal(conf->state_directory, "/srv/state");
	assert_string_equal(conf->spool_directory, "/srv/spool");
	assert_int_equal(conf->spool_memory, 1024);
	assert_false(conf->log_to_syslog);
	assert_int_equal(conf->log_level, LOG_LEVEL_DEBUG);
	assert_everything_served(conf);
	assert_everything_dns(conf);
	assert_everything_sent(conf);
	assert_everything_policy(conf);
	assert_everything_destinations(conf);
	conf_free(conf);
}

static void
test_group(void **state)
{
	struct group *root = getgrgid(0);
	char text[128];
	struct conf *conf;

	(void)state;
	assert_non_null(root);
	(void)snprintf(text, sizeof(text), "control { socket-group = \"%s\" }", root->gr_name);
	conf = must_load(text);
	assert_true(conf->control.listener.group == 0);
	assert_true(conf->lmtp.listener.group == (gid_t)-1);
	conf_free(conf);
}

static void
test_forms(void **state)
{
	static const char *const texts[] = {
		"user = x\r\nlog = stderr\r\n",
		"user=x#comment",
		"user\n=\n'x'\n",
		"lmtp{max-sessions=5}smtp{port=26}",
		"lmtp { listen = {\n} }",
		"lmtp { listen = unix:/x.sock }",
		"destination a {} destination \"*.a\" {} destination . {} destination 'b' {}",
		"user = 'back\\slash'",
		"tlsrpt { organization = '$HOME {x} $' }",
		"/* ${comment} \"\n' */ # ' \" ${x\n// /* \nuser = x",
		"hostname = \"x\" // no newline",
		"lmtp { listen = {\"unix:/a\", /* a\n comment */ \"unix:/b\"} }",
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		struct conf *conf = conf_file_load_text(texts[i]);

		if (conf == NULL)
			fail_msg("%zu: %s", i, conf_file_errors());
		conf_free(conf);
	}
}

static void
test_environment_is_not_read(void **state)
{
	struct conf *conf;

	(void)state;
	assert_int_equal(setenv("STSGATE_TEST", "expanded", 1), 0);
	conf = must_load("tlsrpt { organization = \"$STSGATE_TEST $(STSGATE_TEST) ~ $\" }");
	assert_string_equal(conf->tlsrpt.organization, "$STSGATE_TEST $(STSGATE_TEST) ~ $");
	conf_free(conf);
	conf = must_load("state-directory = \"/~/$HOME\" # ${STSGATE_TEST}\n");
	assert_string_equal(conf->state_directory, "/~/$HOME");
	conf_free(conf);
}

static void
test_longest_match(void **state)
{
	static const struct {
		const char *domain, *name;
	} cases[] = {
		{ "example.com", "example.com" },
		{ "a.example.com", "*.example.com" },
		{ "a.b.example.com", "*.b.example.com" },
		{ "c.a.b.example.com", "*.b.example.com" },
		{ "b.example.com", "*.example.com" },
		{ "x.b.example.com", "x.b.example.com" },
		{ "y.x.b.example.com", "*.b.example.com" },
		{ "notexample.com", "*.com" },
		{ "com", "." },
		{ "example.org", "." },
		{ "org", "." },
		{ "", "." },
	};
	struct conf *conf =
	    must_load("destination '*.com' {} destination . {}\n"
		      "destination '*.b.example.com' {} destination example.com {}\n"
		      "destination '*.EXAMPLE.com.' {} destination x.b.example.com {}\n");
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++)
		assert_string_equal(conf_destination_find(conf, cases[i].domain)->name,
		    cases[i].name);
	conf_free(conf);
	conf = must_load("destination '*.example.com' {}");
	assert_null(conf_destination_find(conf, "example.com"));
	assert_null(conf_destination_find(conf, "example.org"));
	assert_non_null(conf_destination_find(conf, "a.b.example.com"));
	conf_free(conf);
}

static void
test_allows(void **state)
{
	static const struct {
		const char *peer;
		bool allowed;
	} cases[] = {
		{ "192.0.2.0", true },
		{ "192.0.2.127", true },
		{ "192.0.2.128", false },
		{ "192.0.3.1", false },
		{ "198.51.100.7", true },
		{ "198.51.100.6", false },
		{ "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.129", false },
		{ "::192.0.2.1", false },
		{ "2001:db8:7fff::1", true },
		{ "2001:db8:8000::1", false },
		{ "127.0.0.1", false },
		{ "::1", false },
	};
	struct conf *conf = must_load("lmtp { allow-from = {\"192.0.2.0/25\", "
				      "\"198.51.100.7\", \"2001:db8::/33\"} }");
	struct ip ip;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(ip_parse(cases[i].peer, &ip), 0);
		if (conf_allows(conf->lmtp.allow_from, conf->lmtp.allow_from_count, &ip) !=
		    cases[i].allowed)
			fail_msg("%s", cases[i].peer);
		assert_false(conf_allows(NULL, 0, &ip));
	}
	conf_free(conf);
	conf = must_load("lmtp { allow-from = {\"0.0.0.0/0\"} }");
	assert_int_equal(ip_parse("203.0.113.9", &ip), 0);
	assert_true(conf_allows(conf->lmtp.allow_from, 1, &ip));
	assert_int_equal(ip_parse("2001:db8::1", &ip), 0);
	assert_false(conf_allows(conf->lmtp.allow_from, 1, &ip));
	conf_free(conf);
}

static void
test_many_destinations(void **state)
{
	struct buf text = { 0 };
	struct conf *conf;
	int i;

	(void)state;
	for (i = 0; i < 3000; i++)
		buf_printf(&text, "destination d%d.example.com { tls = encrypt }\n", i);
	conf = must_load(buf_text(&text));
	assert_int_equal(conf->destination_count, 3000);
	assert_string_equal(conf_destination_find(conf, "d2999.example.com")->name,
	    "d2999.example.com");
	assert_null(conf_destination_find(conf, "d3000.example.com"));
	conf_free(conf);
	buf_free(&text);
}

static void
test_shipped_examples(void **state)
{
	static const char *const names[] = { "stsgate.conf", "stsgate-minimal.conf" };
	const char *source = getenv("srcdir");
	struct buf path = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++) {
		struct conf *conf;

		buf_clear(&path);
		buf_printf(&path, "%s/integration/examples/%s", source == NULL ? "." : source,
		    names[i]);
		conf = conf_load(buf_text(&path), stderr);
		assert_non_null(conf);
		assert_string_equal(conf->lmtp.listener.listen[0].text, "inet:127.0.0.1:2424");
		conf_free(conf);
	}
	buf_free(&path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_file),
		cmocka_unit_test(test_written_defaults),
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_environment_is_not_read),
		cmocka_unit_test(test_longest_match),
		cmocka_unit_test(test_allows),
		cmocka_unit_test(test_many_destinations),
		cmocka_unit_test(test_shipped_examples),
	};

	return cmocka_run_group_tests(tests, conf_file_setup, conf_file_teardown);
}
