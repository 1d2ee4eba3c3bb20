/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The texts around a resolver: settings of libunbound, the servers in resolv.conf(5), and the names
 * of the keys in a trust anchor file. Pure.
 */
#ifndef POLICY_DNS_RESOLVER_SETUP_H
#define POLICY_DNS_RESOLVER_SETUP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/domain.h"
#include "base/conf/conf.h"

#define RESOLVER_SERVERS_MAX	16
#define RESOLVER_SERVER_TEXT	72	/* "fe80::1%interface@53" and the NUL */
#define RESOLVER_ANCHORS_MAX	32

/* Recursive servers to ask; none: ask from the root. */
struct resolver_servers {
	char at[RESOLVER_SERVERS_MAX][RESOLVER_SERVER_TEXT];	/* "192.0.2.53@53" */
	size_t count;
};

/* Owner names of the keys in trust anchor files; "." is the root. */
struct resolver_anchors {
	char at[RESOLVER_ANCHORS_MAX][DOMAIN_MAX + 1];
	size_t count;
};

/* false: there are RESOLVER_SERVERS_MAX already. */
bool resolver_servers_add(struct resolver_servers *servers, const struct conf_server *server);

enum resolver_path {
	RESOLVER_BY_SERVERS,	/* the servers, or the root where there are none */
	RESOLVER_AROUND,	/* the root; the servers for names below dns.insecure alone */
	RESOLVER_UNVALIDATED	/* the servers, whatever they answer */
};

/* Names that the servers of this site answer for by any path: of dns.insecure and dns.zone. */
struct resolver_sites;
struct resolver_sites *resolver_sites_new(const struct conf *conf);
void resolver_sites_free(struct resolver_sites *sites);	/* NULL is allowed */
bool resolver_sites_have(const struct resolver_sites *sites, const char *name);

/* unbound.conf(5) for one context. small: little is kept, for a context that lives shortly. */
void resolver_setup_unbound(const struct conf *conf, const struct resolver_servers *servers,
    enum resolver_path path, bool small, struct buf *text);

/* The nameserver lines of a resolv.conf(5), or 127.0.0.1 when there are none, as it says. */
void resolver_setup_resolv_conf(const char *text, struct resolver_servers *servers);

/* Adds the owners of the records in a trust anchor file, each once. */
void resolver_setup_anchors(const char *text, struct resolver_anchors *anchors);

#endif
