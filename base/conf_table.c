/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/conf_kind.h"
#include "base/conf_table.h"

const struct conf_section conf_sections[] = {
	{ "", false },
	{ "lmtp", false },
	{ "policy-map", false },
	{ "control", false },
	{ "dns", false },
	{ "dns.zone", true },
	{ "smtp", false },
	{ "tls", false },
	{ "sts", false },
	{ "dane", false },
	{ "tlsrpt", false },
	{ "store", false },
	{ "milter", false },
	{ "destination", true },
};
const size_t conf_section_count = sizeof(conf_sections) / sizeof(conf_sections[0]);

static const char *const log_names[] = { "stderr", "syslog", NULL };
static const char *const level_names[] = { [LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning", [LOG_LEVEL_INFO] = "info", [LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_DEBUG + 1] = NULL };
static const char *const dane_of_map_names[] = { "none", "mta", NULL };
static const char *const dns_mode_names[] = { [DNS_MODE_SYSTEM] = "system",
	[DNS_MODE_RECURSE] = "recurse", [DNS_MODE_FORWARD] = "forward",
	[DNS_MODE_FORWARD + 1] = NULL };
static const char *const private_names[] = { "refuse", "allow", NULL };
static const char *const tls_required_no_names[] = { "ignore", "honour", NULL };
static const char *const tls_version_names[] = { [TLS_VERSION_1_2] = "TLSv1.2",
	[TLS_VERSION_1_3] = "TLSv1.3", [TLS_VERSION_1_3 + 1] = NULL };
static const char *const enforce_names[] = { [ENFORCE_ON] = "on", [ENFORCE_AUDIT] = "audit",
	[ENFORCE_OFF] = "off", [ENFORCE_OFF + 1] = NULL };
static const char *const tlsrpt_names[] = { [TLSRPT_OFF] = "off", [TLSRPT_COLLECT] = "collect",
	[TLSRPT_SEND] = "send", [TLSRPT_SEND + 1] = NULL };
static const char *const backend_names[] = { "bdb", NULL };
static const char *const refuse_names[] = { [REFUSE_NEVER] = "never",
	[REFUSE_TEMPFAIL] = "tempfail", [REFUSE_REJECT] = "reject", [REFUSE_REJECT + 1] = NULL };
static const char *const tls_names[] = { [TLS_POLICY] = "policy", [TLS_MAY] = "may",
	[TLS_ENCRYPT] = "encrypt", [TLS_VERIFY] = "verify", [TLS_DANE] = "dane",
	[TLS_AUDIT] = "audit", [TLS_AUDIT + 1] = NULL };

static const char *
check_lmtp_listen(const struct conf *conf, size_t index)
{
	if (endpoint_is_loopback(&conf->lmtp.listener.listen[index]) ||
	    conf->lmtp.allow_from_count > 0)
		return NULL;
	return "must have clients named in lmtp.allow-from, since it is not on loopback";
}

static const char *
check_dns_mode(const struct conf *conf, size_t index)
{
	(void)index;
	if (conf->dns.mode != DNS_MODE_FORWARD || conf->dns.server_count > 0)
		return NULL;
	return "must have name servers to forward to in dns.servers";
}

static const char *
check_tlsrpt_enable(const struct conf *conf, size_t index)
{
	(void)index;
	/* RFC 8460 4.4: both go into every report. */
	if (conf->tlsrpt.enable != TLSRPT_SEND ||
	    (conf->tlsrpt.organization[0] != '\0' && conf->tlsrpt.contact[0] != '\0'))
		return NULL;
	return "must have tlsrpt.organization and tlsrpt.contact set, which every report names";
}

/* An offset, and a compile error when the field is of another type than its kind writes. */
#define FIELD(type, member) _Generic(((struct conf *)0)->member, type: offsetof(struct conf, member))
#define IN(structure, type, member) \
	_Generic(((struct structure *)0)->member, type: offsetof(struct structure, member))

#define FLAG(member) .kind = &conf_kind_flag, .at = FIELD(bool, member)
#define COUNT(member, from, to) \
	.kind = &conf_kind_count, .at = FIELD(unsigned, member), .least = (from), .most = (to)
#define PORT(member) .kind = &conf_kind_port, .at = FIELD(uint16_t, member)
#define SIZE(member, from, to) \
	.kind = &conf_kind_size, .at = FIELD(uint64_t, member), .least = (from), .most = (to)
#define DURATION(member, from, to) \
	.kind = &conf_kind_duration, .at = FIELD(int64_t, member), .least = (from), .most = (to)
#define CHOICE(member, table) \
	.kind = &conf_kind_choice, .at = FIELD(unsigned, member), .names = (table)
#define EITHER(member, table) \
	.kind = &conf_kind_either, .at = FIELD(bool, member), .names = (table)
#define TEXT(sort, member) .kind = &conf_kind_##sort, .at = FIELD(char *, member)
#define STRINGS(sort, member) .kind = &conf_kind_##sort, .at = FIELD(struct conf_strings, member)
#define LISTEN(sort, member) .kind = &conf_kind_##sort, .at = FIELD(struct conf_listener, member)
#define MODE(member) .kind = &conf_kind_mode, .at = FIELD(mode_t, member)
#define GROUP(member) .kind = &conf_kind_group, .at = FIELD(gid_t, member)

#define SECOND	INT64_C(1000)
#define DAY	(86400 * SECOND)
#define YEAR	(365 * DAY)
#define KIB	UINT64_C(1024)
#define TIB	(KIB * KIB * KIB * KIB)

const struct conf_key conf_keys[] = {
	{ "", "hostname", TEXT(host, hostname), .fallback = "" },
	{ "", "user", TEXT(user, user), .fallback = "stsgate" },
	{ "", "state-directory", TEXT(path, state_directory), .fallback = "/var/lib/stsgate" },
	{ "", "spool-directory", TEXT(path, spool_directory), .fallback = "/var/tmp" },
	{ "", "spool-memory", SIZE(spool_memory, 0, TIB), .fallback = "256M" },
	{ "", "log", EITHER(log_to_syslog, log_names), .fallback = "syslog" },
	{ "", "log-level", CHOICE(log_level, level_names), .fallback = "info" },

	{ "lmtp", "listen", LISTEN(listen, lmtp.listener),
	    .fallback = "unix:/run/stsgate/lmtp.sock", .check = check_lmtp_listen },
	{ "lmtp", "socket-mode", MODE(lmtp.listener.mode), .fallback = "0660" },
	{ "lmtp", "socket-group", GROUP(lmtp.listener.group), .fallback = "" },
	{ "lmtp", "allow-from", .kind = &conf_kind_blocks,
	    .at = FIELD(struct conf_block *, lmtp.allow_from),
	    .also = FIELD(size_t, lmtp.allow_from_count), .fallback = "" },
	{ "lmtp", "max-sessions", COUNT(lmtp.max_sessions, 1, 100000), .fallback = "1000" },
	{ "lmtp", "max-recipients", COUNT(lmtp.max_recipients, 1, 100000), .fallback = "1000" },
	{ "lmtp", "max-message-size", SIZE(lmtp.max_message_size, 1, TIB), .fallback = "104857600" },
	{ "lmtp", "transaction-time", DURATION(lmtp.transaction_time, SECOND, DAY), .fallback = "30m" },
	{ "lmtp", "parallel-domains", COUNT(lmtp.parallel_domains, 1, 1000), .fallback = "20" },

	{ "policy-map", "listen", LISTEN(listen_local, policy_map.listener),
	    .fallback = "unix:/run/stsgate/policy.sock" },
	{ "policy-map", "socket-mode", MODE(policy_map.listener.mode), .fallback = "0666" },
	{ "policy-map", "socket-group", GROUP(policy_map.listener.group), .fallback = "" },
	{ "policy-map", "dane", EITHER(policy_map.dane_by_mta, dane_of_map_names), .fallback = "mta" },

	{ "control", "listen", LISTEN(listen_local, control.listener),
	    .fallback = "unix:/run/stsgate/control.sock" },
	{ "control", "socket-mode", MODE(control.listener.mode), .fallback = "0600" },
	{ "control", "socket-group", GROUP(control.listener.group), .fallback = "" },

	{ "dns", "mode", CHOICE(dns.mode, dns_mode_names), .fallback = "system",
	    .check = check_dns_mode },
	{ "dns", "servers", .kind = &conf_kind_servers, .at = FIELD(struct conf_server *, dns.servers),
	    .also = FIELD(size_t, dns.server_count), .fallback = "" },
	{ "dns", "trust-anchor", STRINGS(files, dns.trust_anchors),
	    .fallback = "/usr/share/dns/root.key" },
	{ "dns", "insecure", STRINGS(hosts, dns.insecure), .fallback = "" },
	{ "dns", "timeout", DURATION(dns.timeout, SECOND, 600 * SECOND), .fallback = "10s" },
	{ "dns", "private-addresses", EITHER(dns.private_addresses, private_names),
	    .fallback = "refuse" },
	{ "dns.zone", "servers", .kind = &conf_kind_servers,
	    .at = IN(conf_zone, struct conf_server *, servers),
	    .also = IN(conf_zone, size_t, server_count), .fallback = "" },

	{ "smtp", "port", PORT(smtp.port), .fallback = "25" },
	{ "smtp", "connect-timeout", DURATION(smtp.connect_timeout, SECOND, DAY), .fallback = "30s" },
	{ "smtp", "command-timeout", DURATION(smtp.command_timeout, SECOND, DAY), .fallback = "5m" },
	{ "smtp", "data-timeout", DURATION(smtp.data_timeout, SECOND, DAY), .fallback = "3m" },
	{ "smtp", "final-timeout", DURATION(smtp.final_timeout, SECOND, DAY), .fallback = "10m" },
	{ "smtp", "host-retry", DURATION(smtp.host_retry, SECOND, DAY), .fallback = "5m" },
	{ "smtp", "keep-idle", DURATION(smtp.keep_idle, 0, DAY), .fallback = "15s" },
	{ "smtp", "keep-messages", COUNT(smtp.keep_messages, 1, 1000000), .fallback = "100" },
	{ "smtp", "keep-time", DURATION(smtp.keep_time, SECOND, DAY), .fallback = "5m" },
	{ "smtp", "max-deliveries", COUNT(smtp.max_deliveries, 1, 100000), .fallback = "1000" },
	{ "smtp", "max-per-host", COUNT(smtp.max_per_host, 1, 100000), .fallback = "20" },
	{ "smtp", "source-ipv4", .kind = &conf_kind_source4, .at = FIELD(struct ip, smtp.source_ipv4),
	    .also = FIELD(bool, smtp.has_source_ipv4), .fallback = "" },
	{ "smtp", "source-ipv6", .kind = &conf_kind_source6, .at = FIELD(struct ip, smtp.source_ipv6),
	    .also = FIELD(bool, smtp.has_source_ipv6), .fallback = "" },
	{ "smtp", "address-families", .kind = &conf_kind_families, .fallback = "ipv6 ipv4" },
	{ "smtp", "own-names", STRINGS(hosts, smtp.own_names), .fallback = "" },
	{ "smtp", "tls-required-no", EITHER(smtp.tls_required_no, tls_required_no_names),
	    .fallback = "honour" },

	{ "tls", "ca-file", TEXT(file, tls.ca_file),
	    .fallback = "/etc/ssl/certs/ca-certificates.crt" },
	{ "tls", "min-protocol", CHOICE(tls.min_protocol, tls_version_names), .fallback = "TLSv1.2" },
	{ "tls", "plaintext-retry", FLAG(tls.plaintext_retry), .fallback = "true" },

	{ "sts", "enforce", CHOICE(sts.enforce, enforce_names), .fallback = "on" },
	{ "sts", "fetch-timeout", DURATION(sts.fetch_timeout, SECOND, 3600 * SECOND),
	    .fallback = "60s" },
	{ "sts", "max-policy-size", .kind = &conf_kind_length, .at = FIELD(size_t, sts.max_policy_size),
	    .least = 1, .most = KIB * KIB, .fallback = "65536" },
	{ "sts", "refresh-interval", DURATION(sts.refresh_interval, SECOND, YEAR), .fallback = "24h" },
	{ "sts", "retry-interval", DURATION(sts.retry_interval, SECOND, YEAR), .fallback = "5m" },
	{ "sts", "http-proxy", TEXT(proxy, sts.http_proxy), .fallback = "" },
	{ "sts", "cold-failure-grace", DURATION(sts.cold_failure_grace, SECOND, YEAR),
	    .fallback = "1h" },

	{ "dane", "enforce", CHOICE(dane.enforce, enforce_names), .fallback = "on" },

	{ "tlsrpt", "enable", CHOICE(tlsrpt.enable, tlsrpt_names), .fallback = "collect",
	    .check = check_tlsrpt_enable },
	{ "tlsrpt", "organization", TEXT(text, tlsrpt.organization), .fallback = "" },
	{ "tlsrpt", "contact", TEXT(text, tlsrpt.contact), .fallback = "" },
	{ "tlsrpt", "sender", TEXT(mail, tlsrpt.sender), .fallback = "" },
	{ "tlsrpt", "submit", TEXT(submit, tlsrpt.submit), .fallback = "smtp://127.0.0.1:25" },
	{ "tlsrpt", "success-only", FLAG(tlsrpt.success_only), .fallback = "true" },
	{ "tlsrpt", "keep", DURATION(tlsrpt.keep, SECOND, YEAR), .fallback = "14d" },
	{ "tlsrpt", "socket", TEXT(socket, tlsrpt.socket), .fallback = "" },
	{ "tlsrpt", "forward", TEXT(socket, tlsrpt.forward), .fallback = "" },

	{ "store", "backend", TEXT(backend, store.backend), .names = backend_names,
	    .fallback = "bdb" },

	{ "milter", "listen", .kind = &conf_kind_endpoint_local,
	    .at = FIELD(struct endpoint, milter.listen), .fallback = "unix:/run/stsgate/milter.sock" },
	{ "milter", "socket-mode", MODE(milter.mode), .fallback = "0660" },
	{ "milter", "socket-group", GROUP(milter.group), .fallback = "" },
	{ "milter", "refuse", CHOICE(milter.refuse, refuse_names), .fallback = "never" },
	{ "milter", "header", FLAG(milter.header), .fallback = "false" },

	{ "destination", "relay", .kind = &conf_kind_relay, .fallback = "" },
	{ "destination", "tls", .kind = &conf_kind_choice, .at = IN(conf_destination, unsigned, tls),
	    .names = tls_names, .fallback = "policy" },
	{ "destination", "match", .kind = &conf_kind_patterns,
	    .at = IN(conf_destination, struct conf_strings, match), .fallback = "" },
	{ "destination", "max-connections", .kind = &conf_kind_count,
	    .at = IN(conf_destination, unsigned, max_connections), .most = 100000, .fallback = "0" },
	{ "destination", "source-ipv4", .kind = &conf_kind_source4,
	    .at = IN(conf_destination, struct ip, source_ipv4),
	    .also = IN(conf_destination, bool, has_source_ipv4), .fallback = "" },
	{ "destination", "source-ipv6", .kind = &conf_kind_source6,
	    .at = IN(conf_destination, struct ip, source_ipv6),
	    .also = IN(conf_destination, bool, has_source_ipv6), .fallback = "" },
	{ "destination", "hostname", .kind = &conf_kind_host,
	    .at = IN(conf_destination, char *, hostname), .fallback = "" },
	{ "destination", "reports", .kind = &conf_kind_reports,
	    .at = IN(conf_destination, char *, reports), .fallback = "" },
};
const size_t conf_key_count = sizeof(conf_keys) / sizeof(conf_keys[0]);

const struct conf_section *
conf_section_find(const char *path)
{
	size_t i;

	for (i = 0; i < conf_section_count; i++)
		if (strcmp(conf_sections[i].path, path) == 0)
			return &conf_sections[i];
	return NULL;
}

const struct conf_key *
conf_key_find(const char *section, const char *name)
{
	size_t i;

	for (i = 0; i < conf_key_count; i++)
		if (strcmp(conf_keys[i].section, section) == 0 && strcmp(conf_keys[i].name, name) == 0)
			return &conf_keys[i];
	return NULL;
}

/* The default as it would stand in the file. */
static void
write_default(struct buf *buf, const struct conf_key *key)
{
	const char *at = key->fallback, *end;

	if (!key->kind->list) {
		bool bare = key->kind->bare && strpbrk(at, "KM") == NULL;

		buf_printf(buf, bare ? "%s" : "\"%s\"", at);
		return;
	}
	buf_add_char(buf, '{');
	for (; *at != '\0'; at = end + strspn(end, " ")) {
		end = strchrnul(at, ' ');
		buf_printf(buf, "%s\"%.*s\"", at == key->fallback ? "" : ", ", (int)(end - at), at);
	}
	buf_add_char(buf, '}');
}

void
conf_each_key(void (*each)(void *context, const char *key, const char *default_text), void *context)
{
	struct buf name = { 0 }, text = { 0 };
	size_t i;

	for (i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		buf_clear(&name);
		buf_clear(&text);
		buf_printf(&name, "%s%s%s", key->section, key->section[0] == '\0' ? "" : ".", key->name);
		write_default(&text, key);
		each(context, buf_text(&name), buf_text(&text));
	}
	buf_free(&name);
	buf_free(&text);
}
