/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/ip.h"
#include "policy/dns/resolver_setup.h"

/* The defaults starve: with them 200 names on a silent server hold up a name that has nothing to
 * do with it. aggressive-nsec would deny a name that was published a moment ago. The additional
 * section is never read: with val-clean-additional the validator, which pauses between signatures,
 * would need many seconds for the addresses that come with a hundred MX records. */
static const char server_options[] = "server:\n"
				     "  num-threads: 1\n"
				     "  do-daemonize: no\n"
				     "  use-syslog: no\n"
				     "  so-reuseport: no\n"
				     "  do-not-query-localhost: no\n"
				     "  outgoing-range: 2048\n"
				     "  num-queries-per-thread: 2048\n"
				     "  outgoing-num-tcp: 64\n"
				     "  edns-buffer-size: 1232\n"
				     "  qname-minimisation: yes\n"
				     "  harden-glue: yes\n"
				     "  harden-dnssec-stripped: yes\n"
				     "  harden-below-nxdomain: yes\n"
				     "  harden-algo-downgrade: no\n"
				     "  val-clean-additional: no\n"
				     "  val-permissive-mode: no\n"
				     "  serve-expired: no\n"
				     "  aggressive-nsec: no\n"
				     "  cache-max-negative-ttl: 900\n";

static const char large_caches[] = "  msg-cache-size: 32m\n"
				   "  rrset-cache-size: 32m\n"
				   "  key-cache-size: 4m\n";

static const char small_caches[] = "  msg-cache-size: 2m\n"
				   "  rrset-cache-size: 2m\n"
				   "  key-cache-size: 1m\n";

/*
 * All names go through the forwarders, so the effect of one dead zone on them must be short: after
 * a dozen names that a forwarder leaves unanswered, libunbound with its defaults takes the
 * forwarder itself for dead and fails every other name for minutes. Where there are several, it may
 * learn for a few seconds which of them are really dead.
 *
 * A forwarder that has just answered from its cache needs seconds for a name that it must look up
 * itself; libunbound would repeat the question from 50 ms on, and ignore the answers to earlier
 * ones.
 */
static const char one_forwarder[] = "  infra-keep-probing: yes\n"
				    "  infra-host-ttl: 1\n"
				    "  unknown-server-time-limit: 1000\n"
				    "  infra-cache-min-rtt: 1500\n";

static const char several_forwarders[] = "  infra-keep-probing: yes\n"
					 "  infra-host-ttl: 10\n"
					 "  infra-cache-min-rtt: 400\n";

bool
resolver_servers_add(struct resolver_servers *servers, const struct conf_server *server)
{
	char text[IP_TEXT_MAX];

	if (servers->count == RESOLVER_SERVERS_MAX)
		return false;
	ip_format(&server->ip, text);
	snprintf(servers->at[servers->count++], RESOLVER_SERVER_TEXT, "%s@%u", text, server->port);
	return true;
}

/* libunbound answers test., localhost. and others by itself (RFC 6761), but the administrator may
 * use a name that the configuration mentions. */
static void
add_own_name(struct buf *text, const char *name)
{
	if (name[0] != '\0')
		buf_printf(text, "  local-zone: \"%s.\" transparent\n", name);
}

static void
add_names(const struct conf *conf, struct buf *text)
{
	for (size_t i = 0; i < conf->dns.insecure.count; i++) {
		add_own_name(text, conf->dns.insecure.at[i]);
		buf_printf(text, "  domain-insecure: \"%s.\"\n", conf->dns.insecure.at[i]);
	}
	for (size_t i = 0; i < conf->dns.zone_count; i++)
		add_own_name(text, conf->dns.zones[i].name);
}

static bool
is_below(const char *name, size_t length, const char *zone)
{
	size_t zone_length = strlen(zone);

	return zone_length == 0 ||
	    (length >= zone_length &&
		strncasecmp(name + length - zone_length, zone, zone_length) == 0 &&
		(length == zone_length || name[length - zone_length - 1] == '.'));
}

static bool
has_zone(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->dns.zone_count; i++)
		if (is_below(name, strlen(name), conf->dns.zones[i].name))
			return true;
	return false;
}

/*
 * A zone's servers are forwarded to, not made a stub: they get RD and answer for the whole zone,
 * which suits resolvers and authoritative servers alike. Only delegations further down inside an
 * authoritative zone are not followed.
 */
static bool
add_zones(const struct conf *conf, struct buf *text)
{
	bool root = false;

	for (size_t i = 0; i < conf->dns.zone_count; i++) {
		const struct conf_zone *zone = &conf->dns.zones[i];

		root = root || zone->name[0] == '\0';
		buf_printf(text, "forward-zone:\n  name: \"%s.\"\n", zone->name);
		for (size_t j = 0; j < zone->server_count; j++) {
			char ip[IP_TEXT_MAX];

			ip_format(&zone->servers[j].ip, ip);
			buf_printf(text, "  forward-addr: %s@%u\n", ip, zone->servers[j].port);
		}
	}
	return root;
}

static void
forward(struct buf *text, const char *name, const struct resolver_servers *servers)
{
	buf_printf(text, "forward-zone:\n  name: \"%s.\"\n", name);
	for (size_t i = 0; i < servers->count; i++)
		buf_printf(text, "  forward-addr: %s\n", servers->at[i]);
}

/* The root does not know the names of this site. One with a zone has its own servers. */
static void
forward_insecure(const struct conf *conf, const struct resolver_servers *servers, struct buf *text)
{
	for (size_t i = 0; i < conf->dns.insecure.count; i++)
		if (!has_zone(conf, conf->dns.insecure.at[i]))
			forward(text, conf->dns.insecure.at[i], servers);
}

void
resolver_setup_unbound(const struct conf *conf, const struct resolver_servers *servers,
    enum resolver_path path, bool small, struct buf *text)
{
	bool around = path == RESOLVER_AROUND;

	buf_add_text(text, server_options);
	buf_printf(text, "  module-config: \"%siterator\"\n",
	    path == RESOLVER_UNVALIDATED ? "" : "validator ");
	buf_add_text(text, small ? small_caches : large_caches);
	if (servers->count > 0 && !around)
		buf_add_text(text, servers->count == 1 ? one_forwarder : several_forwarders);
	add_names(conf, text);
	if (!add_zones(conf, text) && servers->count > 0 && !around)
		forward(text, "", servers);
	if (servers->count > 0 && around)
		forward_insecure(conf, servers, text);
}

struct resolver_sites {
	size_t count;
	char *names[];
};

struct resolver_sites *
resolver_sites_new(const struct conf *conf)
{
	size_t i, insecure = conf->dns.insecure.count;
	struct resolver_sites *sites = xcalloc(1,
	    sizeof(*sites) + (insecure + conf->dns.zone_count) * sizeof(sites->names[0]));

	for (i = 0; i < insecure; i++)
		sites->names[sites->count++] = xstrdup(conf->dns.insecure.at[i]);
	for (i = 0; i < conf->dns.zone_count; i++)
		sites->names[sites->count++] = xstrdup(conf->dns.zones[i].name);
	return sites;
}

void
resolver_sites_free(struct resolver_sites *sites)
{
	for (size_t i = 0; sites != NULL && i < sites->count; i++)
		free(sites->names[i]);
	free(sites);
}

bool
resolver_sites_have(const struct resolver_sites *sites, const char *name)
{
	size_t length = strlen(name);

	if (length > 0 && name[length - 1] == '.')
		length--;
	for (size_t i = 0; i < sites->count; i++)
		if (is_below(name, length, sites->names[i]))
			return true;
	return false;
}

/* An address, for IPv6 perhaps with %interface: nothing that could mean more in unbound.conf. */
static bool
is_address(const char *text, size_t length)
{
	char bare[IP_TEXT_MAX];
	size_t scope = 0, address;
	struct ip ip;

	for (address = 0; address < length && text[address] != '%'; address++)
		if (address == sizeof(bare) - 1)
			return false;
	memcpy(bare, text, address);
	bare[address] = '\0';
	for (size_t i = address; i < length; i++, scope++)
		if (i > address && !isalnum((unsigned char)text[i]) &&
		    strchr("-_.", text[i]) == NULL)
			return false;
	return ip_parse(bare, &ip) == 0 && scope <= 20 && scope != 1;
}

static void
take_resolv_conf_line(const char *line, size_t length, struct resolver_servers *servers)
{
	static const char keyword[] = "nameserver";
	size_t at = sizeof(keyword) - 1, end;

	if (length <= at || memcmp(line, keyword, at) != 0 || (line[at] != ' ' && line[at] != '\t'))
		return;
	while (at < length && (line[at] == ' ' || line[at] == '\t'))
		at++;
	for (end = at; end < length && !isspace((unsigned char)line[end]); end++)
		;
	if (servers->count < RESOLVER_SERVERS_MAX && is_address(line + at, end - at))
		snprintf(servers->at[servers->count++], RESOLVER_SERVER_TEXT, "%.*s@53",
		    (int)(end - at), line + at);
}

void
resolver_setup_resolv_conf(const char *text, struct resolver_servers *servers)
{
	servers->count = 0;
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		take_resolv_conf_line(text, length, servers);
		text += length + (text[length] == '\n');
	}
	if (servers->count == 0)
		snprintf(servers->at[servers->count++], RESOLVER_SERVER_TEXT, "127.0.0.1@53");
}

static void
add_anchor(struct resolver_anchors *anchors, const char *name, size_t length)
{
	char text[DOMAIN_MAX + 1];

	if (length == 0 || length >= sizeof(text) || anchors->count == RESOLVER_ANCHORS_MAX)
		return;
	memcpy(text, name, length);
	text[length] = '\0';
	for (size_t i = 0; i < anchors->count; i++)
		if (strcasecmp(anchors->at[i], text) == 0)
			return;
	memcpy(anchors->at[anchors->count++], text, length + 1);
}

/* A record begins at the start of a line (RFC 1035 5.1) unless a parenthesis is still open. */
void
resolver_setup_anchors(const char *text, struct resolver_anchors *anchors)
{
	int open = 0;

	while (*text != '\0') {
		size_t length = strcspn(text, "\n"), written = strcspn(text, ";\n");

		if (open == 0 && strchr(" \t\r\n;$", text[0]) == NULL)
			add_anchor(anchors, text, strcspn(text, " \t\r\n;"));
		for (size_t i = 0; i < written; i++)
			open += (text[i] == '(') - (text[i] == ')');
		text += length + (text[length] == '\n');
	}
}
