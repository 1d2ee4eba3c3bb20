/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/buf.h"
#include "base/reply.h"
#include "base/conf/conf_kind.h"
#include "base/conf/conf_sockets.h"
#include "base/conf/conf_table.h"

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
	{ "history", false },
	{ "milter", false },
	{ "destination", true },
};
const size_t conf_section_count = sizeof(conf_sections) / sizeof(conf_sections[0]);

static const char *const log_names[] = { "stderr", "syslog", NULL };
static const char *const level_names[] = { [LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
	[LOG_LEVEL_DEBUG + 1] = NULL };
static const char *const dane_of_map_names[] = { "none", "mta", NULL };
static const char *const dns_mode_names[] = { [DNS_MODE_SYSTEM] = "system",
	[DNS_MODE_RECURSE] = "recurse",
	[DNS_MODE_FORWARD] = "forward",
	[DNS_MODE_FORWARD + 1] = NULL };
static const char *const private_names[] = { "refuse", "allow", NULL };
static const char *const tls_required_no_names[] = { "ignore", "honour", NULL };
static const char *const tls_version_names[] = {
	[TLS_VERSION_1_2] = "TLSv1.2", [TLS_VERSION_1_3] = "TLSv1.3", [TLS_VERSION_1_3 + 1] = NULL
};
static const char *const enforce_names[] = { [ENFORCE_ON] = "on",
	[ENFORCE_AUDIT] = "audit",
	[ENFORCE_OFF] = "off",
	[ENFORCE_OFF + 1] = NULL };
static const char *const tlsrpt_names[] = { [TLSRPT_OFF] = "off",
	[TLSRPT_COLLECT] = "collect",
	[TLSRPT_SEND] = "send",
	[TLSRPT_SEND + 1] = NULL };
static const char *const backend_names[] = { "bdb", NULL };
static const char *const refuse_names[] = { [REFUSE_NEVER] = "never",
	[REFUSE_TEMPFAIL] = "tempfail",
	[REFUSE_REJECT] = "reject",
	[REFUSE_REJECT + 1] = NULL };
static const char *const tls_names[] = { [TLS_POLICY] = "policy",
	[TLS_MAY] = "may",
	[TLS_ENCRYPT] = "encrypt",
	[TLS_VERIFY] = "verify",
	[TLS_DANE] = "dane",
	[TLS_AUDIT] = "audit",
	[TLS_NONE] = "none",
	[TLS_NONE + 1] = NULL };

const char *
conf_tls_name(enum conf_tls tls)
{
	return tls_names[tls];
}

static const char *
check_lmtp_listen(const struct conf *conf, size_t index)
{
	const struct endpoint *endpoint = &conf->lmtp.listener.listen[index];

	if (!endpoint_is_loopback(endpoint) && conf->lmtp.allow_from_count == 0)
		return "must have clients named in lmtp.allow-from, since it is not on loopback";
	return conf_sockets_check(conf, endpoint);
}

static const char *
check_policy_map_listen(const struct conf *conf, size_t index)
{
	return conf_sockets_check(conf, &conf->policy_map.listener.listen[index]);
}

static const char *
check_control_listen(const struct conf *conf, size_t index)
{
	return conf_sockets_check(conf, &conf->control.listener.listen[index]);
}

static const char *
check_milter_listen(const struct conf *conf, size_t index)
{
	(void)index;
	return conf_sockets_check(conf, &conf->milter.listen);
}

static const char *
check_tlsrpt_socket(const struct conf *conf, size_t index)
{
	struct endpoint endpoint;
	const char *why;

	(void)index;
	if (conf->tlsrpt.socket[0] == '\0' ||
	    endpoint_parse(conf->tlsrpt.socket, &endpoint, &why) != 0)
		return NULL;
	return conf_sockets_check(conf, &endpoint);
}

static const char *
check_dns_mode(const struct conf *conf, size_t index)
{
	(void)index;
	if (conf->dns.mode != DNS_MODE_FORWARD || conf->dns.server_count > 0)
		return NULL;
	return "must have name servers to forward to in dns.servers";
}

/* Another mode would ask other servers than the administrator expects. */
static const char *
check_dns_servers(const struct conf *conf, size_t index)
{
	(void)index;
	if (conf->dns.mode == DNS_MODE_FORWARD)
		return NULL;
	return "is used with dns.mode = \"forward\" alone: set that, or leave the servers out";
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

static const char *
check_tlsrpt_forward(const struct conf *conf, size_t index)
{
	(void)index;
	if (conf->tlsrpt.forward[0] == '\0' ||
	    strcmp(conf->tlsrpt.forward, conf->tlsrpt.socket) != 0)
		return NULL;
	return "must not be tlsrpt.socket, or every session would come back";
}

/* An offset, and a compile error when the field is of another type than its kind writes. */
#define IN(structure, type, member)	\
	_Generic(((struct structure *)0)->member, type : offsetof(struct structure, member))
#define FIELD(type, member)	IN(conf, type, member)

#define FLAG(member)	.kind = &conf_kind_flag, .at = FIELD(bool, member)
#define COUNT(member, from, to)	\
	.kind = &conf_kind_count, .at = FIELD(unsigned, member), .least = (from), .most = (to)
#define PORT(member)	.kind = &conf_kind_port, .at = FIELD(uint16_t, member)
#define SIZE(member, from, to)	\
	.kind = &conf_kind_size, .at = FIELD(uint64_t, member), .least = (from), .most = (to)
#define DURATION(member, from, to)	\
	.kind = &conf_kind_duration, .at = FIELD(int64_t, member), .least = (from), .most = (to)
#define CHOICE(member, table)	\
	.kind = &conf_kind_choice, .at = FIELD(unsigned, member), .names = (table)
#define EITHER(member, table) .kind = &conf_kind_either, .at = FIELD(bool, member), .names = (table)
#define TEXT(sort, member)	.kind = &conf_kind_##sort, .at = FIELD(char *, member)
#define STRINGS(sort, member)	.kind = &conf_kind_##sort, .at = FIELD(struct conf_strings, member)
#define LISTEN(sort, member)	.kind = &conf_kind_##sort, .at = FIELD(struct conf_listener, member)
#define MODE(member)	.kind = &conf_kind_mode, .at = FIELD(mode_t, member)
#define GROUP(member)	.kind = &conf_kind_group, .at = FIELD(gid_t, member)

#define SECOND	INT64_C(1000)
#define DAY	(86400 * SECOND)
#define YEAR	(365 * DAY)
#define KIB	UINT64_C(1024)
#define TIB	(KIB * KIB * KIB * KIB)

const struct conf_key conf_keys[] = {
	{ "", "hostname", "", TEXT(host, hostname) },
	{ "", "user", STSGATE_USER, TEXT(user, user), .fixed = true },
	{ "", "state-directory", "/var/lib/stsgate", TEXT(path, state_directory), .fixed = true },
	{ "", "spool-directory", "/var/tmp", TEXT(path, spool_directory), .fixed = true },
	{ "", "spool-memory", "256M", SIZE(spool_memory, 0, TIB), .fixed = true },
	{ "", "log", "syslog", EITHER(log_to_syslog, log_names), .fixed = true },
	{ "", "log-level", "info", CHOICE(log_level, level_names) },

	{ "lmtp", "listen", "unix:/run/stsgate/lmtp.sock", LISTEN(listen, lmtp.listener),
	    .check = check_lmtp_listen },
	{ "lmtp", "socket-mode", "0660", MODE(lmtp.listener.mode), .fixed = true },
	{ "lmtp", "socket-group", "", GROUP(lmtp.listener.group), .fixed = true },
	{ "lmtp", "allow-from", "", .kind = &conf_kind_blocks,
	    .at = FIELD(struct conf_block *, lmtp.allow_from),
	    .also = FIELD(size_t, lmtp.allow_from_count) },
	{ "lmtp", "max-sessions", "1000", COUNT(lmtp.max_sessions, 1, 100000) },
	{ "lmtp", "max-recipients", "1000", COUNT(lmtp.max_recipients, 1, 100000) },
	{ "lmtp", "max-message-size", "104857600", SIZE(lmtp.max_message_size, 1, TIB) },
	{ "lmtp", "transaction-time", "30m", DURATION(lmtp.transaction_time, SECOND, DAY) },
	{ "lmtp", "reply-length", "480", COUNT(lmtp.reply_length, 200, REPLY_LINE_MAX) },
	{ "lmtp", "parallel-domains", "20", COUNT(lmtp.parallel_domains, 1, 1000) },

	{ "policy-map", "listen", "unix:/run/stsgate/policy.sock",
	    LISTEN(listen_local, policy_map.listener), .check = check_policy_map_listen },
	{ "policy-map", "socket-mode", "0666", MODE(policy_map.listener.mode), .fixed = true },
	{ "policy-map", "socket-group", "", GROUP(policy_map.listener.group), .fixed = true },
	{ "policy-map", "dane", "mta", EITHER(policy_map.dane_by_mta, dane_of_map_names) },

	{ "control", "listen", "unix:/run/stsgate/control.sock",
	    LISTEN(listen_local, control.listener), .check = check_control_listen },
	{ "control", "socket-mode", "0600", MODE(control.listener.mode), .fixed = true },
	{ "control", "socket-group", "", GROUP(control.listener.group), .fixed = true },

	{ "dns", "mode", "system", CHOICE(dns.mode, dns_mode_names), .check = check_dns_mode },
	{ "dns", "servers", "", .kind = &conf_kind_servers,
	    .at = FIELD(struct conf_server *, dns.servers), .also = FIELD(size_t, dns.server_count),
	    .check = check_dns_servers },
	{ "dns", "trust-anchor", "/usr/share/dns/root.key", STRINGS(files, dns.trust_anchors) },
	{ "dns", "insecure", "", STRINGS(hosts, dns.insecure) },
	{ "dns", "timeout", "10s", DURATION(dns.timeout, SECOND, 600 * SECOND) },
	{ "dns", "private-addresses", "refuse", EITHER(dns.private_addresses, private_names) },
	{ "dns.zone", "servers", "", .kind = &conf_kind_servers,
	    .at = IN(conf_zone, struct conf_server *, servers),
	    .also = IN(conf_zone, size_t, server_count) },

	{ "smtp", "port", "25", PORT(smtp.port) },
	{ "smtp", "connect-timeout", "30s", DURATION(smtp.connect_timeout, SECOND, DAY) },
	{ "smtp", "command-timeout", "5m", DURATION(smtp.command_timeout, SECOND, DAY) },
	{ "smtp", "data-timeout", "3m", DURATION(smtp.data_timeout, SECOND, DAY) },
	{ "smtp", "final-timeout", "10m", DURATION(smtp.final_timeout, SECOND, DAY) },
	{ "smtp", "host-retry", "5m", DURATION(smtp.host_retry, SECOND, DAY) },
	{ "smtp", "keep-idle", "15s", DURATION(smtp.keep_idle, 0, DAY) },
	{ "smtp", "keep-messages", "100", COUNT(smtp.keep_messages, 1, 1000000) },
	{ "smtp", "keep-time", "5m", DURATION(smtp.keep_time, SECOND, DAY) },
	{ "smtp", "max-deliveries", "1000", COUNT(smtp.max_deliveries, 1, 100000) },
	{ "smtp", "max-per-host", "20", COUNT(smtp.max_per_host, 1, 100000) },
	{ "smtp", "sessions-per-message", "5", COUNT(smtp.sessions_per_message, 0, 1000) },
	{ "smtp", "source-ipv4", "", .kind = &conf_kind_source4,
	    .at = FIELD(struct ip, smtp.source_ipv4), .also = FIELD(bool, smtp.has_source_ipv4) },
	{ "smtp", "source-ipv6", "", .kind = &conf_kind_source6,
	    .at = FIELD(struct ip, smtp.source_ipv6), .also = FIELD(bool, smtp.has_source_ipv6) },
	{ "smtp", "address-families", "ipv6 ipv4", .kind = &conf_kind_families },
	{ "smtp", "own-names", "", STRINGS(hosts, smtp.own_names) },
	{ "smtp", "tls-required-no", "honour",
	    EITHER(smtp.tls_required_no, tls_required_no_names) },

	{ "tls", "ca-file", "/etc/ssl/certs/ca-certificates.crt", TEXT(file, tls.ca_file) },
	{ "tls", "min-protocol", "TLSv1.2", CHOICE(tls.min_protocol, tls_version_names) },
	{ "tls", "plaintext-retry", "true", FLAG(tls.plaintext_retry) },

	{ "sts", "enforce", "on", CHOICE(sts.enforce, enforce_names) },
	{ "sts", "fetch-timeout", "60s", DURATION(sts.fetch_timeout, SECOND, 3600 * SECOND) },
	{ "sts", "max-policy-size", "65536", .kind = &conf_kind_length,
	    .at = FIELD(size_t, sts.max_policy_size), .least = 1, .most = KIB * KIB },
	{ "sts", "refresh-interval", "24h", DURATION(sts.refresh_interval, SECOND, YEAR) },
	{ "sts", "retry-interval", "5m", DURATION(sts.retry_interval, SECOND, YEAR) },
	{ "sts", "http-proxy", "", TEXT(proxy, sts.http_proxy), .fixed = true },
	{ "sts", "cold-failure-grace", "1h", DURATION(sts.cold_failure_grace, SECOND, YEAR) },

	{ "dane", "enforce", "on", CHOICE(dane.enforce, enforce_names) },

	{ "tlsrpt", "enable", "collect", CHOICE(tlsrpt.enable, tlsrpt_names),
	    .check = check_tlsrpt_enable, .fixed = true },
	{ "tlsrpt", "organization", "", TEXT(text, tlsrpt.organization) },
	{ "tlsrpt", "contact", "", TEXT(mail, tlsrpt.contact) },
	{ "tlsrpt", "sender", "", TEXT(mail, tlsrpt.sender) },
	{ "tlsrpt", "submit", "smtp://127.0.0.1:25", TEXT(submit, tlsrpt.submit) },
	{ "tlsrpt", "success-only", "true", FLAG(tlsrpt.success_only) },
	{ "tlsrpt", "keep", "14d", DURATION(tlsrpt.keep, SECOND, YEAR), .fixed = true },
	{ "tlsrpt", "max-per-receiver", "100", COUNT(tlsrpt.max_per_receiver, 1, 1000000) },
	{ "tlsrpt", "socket", "", TEXT(socket, tlsrpt.socket), .check = check_tlsrpt_socket,
	    .fixed = true },
	{ "tlsrpt", "socket-mode", "0660", MODE(tlsrpt.socket_mode), .fixed = true },
	{ "tlsrpt", "socket-group", "", GROUP(tlsrpt.socket_group), .fixed = true },
	{ "tlsrpt", "forward", "", TEXT(socket, tlsrpt.forward), .check = check_tlsrpt_forward,
	    .fixed = true },

	{ "store", "backend", "bdb", TEXT(backend, store.backend), .names = backend_names,
	    .fixed = true },

	{ "history", "keep", "90d", DURATION(history.keep, 0, YEAR) },
	{ "history", "max-size", "64M", SIZE(history.max_size, 64 * KIB, TIB) },

	{ "milter", "listen", "unix:/run/stsgate/milter.sock", .kind = &conf_kind_endpoint_local,
	    .at = FIELD(struct endpoint, milter.listen), .check = check_milter_listen },
	{ "milter", "socket-mode", "0660", MODE(milter.mode) },
	{ "milter", "socket-group", "", GROUP(milter.group) },
	{ "milter", "refuse", "never", CHOICE(milter.refuse, refuse_names) },
	{ "milter", "header", "false", FLAG(milter.header) },

	{ "destination", "relay", "", .kind = &conf_kind_relay },
	{ "destination", "tls", "policy", .kind = &conf_kind_choice,
	    .at = IN(conf_destination, unsigned, tls), .names = tls_names },
	{ "destination", "match", "", .kind = &conf_kind_patterns,
	    .at = IN(conf_destination, struct conf_strings, match) },
	{ "destination", "ignore", "", .kind = &conf_kind_keywords,
	    .at = IN(conf_destination, struct conf_strings, ignore) },
	{ "destination", "max-connections", "0", .kind = &conf_kind_count,
	    .at = IN(conf_destination, unsigned, max_connections), .most = 100000 },
	{ "destination", "source-ipv4", "", .kind = &conf_kind_source4,
	    .at = IN(conf_destination, struct ip, source_ipv4),
	    .also = IN(conf_destination, bool, has_source_ipv4) },
	{ "destination", "source-ipv6", "", .kind = &conf_kind_source6,
	    .at = IN(conf_destination, struct ip, source_ipv6),
	    .also = IN(conf_destination, bool, has_source_ipv6) },
	{ "destination", "hostname", "", .kind = &conf_kind_host,
	    .at = IN(conf_destination, char *, hostname) },
	{ "destination", "reports", "", .kind = &conf_kind_reports,
	    .at = IN(conf_destination, char *, reports) },
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
		if (strcmp(conf_keys[i].section, section) == 0 &&
		    strcmp(conf_keys[i].name, name) == 0)
			return &conf_keys[i];
	return NULL;
}

/* The default as written in the file. */
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
		buf_printf(&name, "%s%s%s", key->section, key->section[0] == '\0' ? "" : ".",
		    key->name);
		write_default(&text, key);
		each(context, buf_text(&name), buf_text(&text));
	}
	buf_free(&name);
	buf_free(&text);
}
