/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate.conf(5) as a const value: every key is known, checked and has its default here, whether
 * or not this program is the one that uses it. Durations are milliseconds, sizes octets. Nobody
 * changes a conf after conf_load(); a reload makes a new one. One thread at a time may load, since
 * libconfuse has one scanner for the process; any thread may read.
 */
#ifndef BASE_CONF_CONF_H
#define BASE_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/endpoint.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/conf/conf_rules.h"

struct conf_listener {
	struct endpoint *listen;
	size_t count;
	mode_t mode;
	gid_t group;	/* (gid_t)-1: leave it */
};

/* An address block that may connect: "192.0.2.0/24", "2001:db8::/32" or one address. */
struct conf_block {
	struct ip ip;
	int bits;
};

struct conf_server {
	struct ip ip;
	uint16_t port;
};

struct conf_zone {
	char *name;	/* A-labels, lower case; "" is the root */
	struct conf_server *servers;
	size_t server_count;
};

enum conf_dns_mode { DNS_MODE_SYSTEM, DNS_MODE_RECURSE, DNS_MODE_FORWARD };
enum conf_tlsrpt { TLSRPT_OFF, TLSRPT_COLLECT, TLSRPT_SEND };
enum conf_milter_refuse { REFUSE_NEVER, REFUSE_TEMPFAIL, REFUSE_REJECT };

struct conf_destination {
	char *name;	/* "example.com", "*.example.com" or "."; A-labels, lower case */
	char *relay_host;	/* host name or bare address, without brackets; NULL: MX as usual */
	uint16_t relay_port;	/* 0: smtp.port */
	bool relay_literal;	/* relay_host is an address */
	enum conf_tls tls;
	struct conf_strings match;	/* lower case; "name" or "*.name" */
	struct conf_strings ignore;	/* EHLO keywords, upper case; never STARTTLS */
	unsigned max_connections;	/* 0: no limit of its own */
	struct ip source_ipv4, source_ipv6;
	bool has_source_ipv4, has_source_ipv6;
	char *hostname;	/* NULL: the global one */
	char *reports;	/* NULL, "discard" or "mailto:..." */
	char *where;	/* FILE:LINE of the section */
};

struct conf {
	char *hostname;	/* never empty: "" in the file has become the host's FQDN */
	char *user;
	char *state_directory;
	char *spool_directory;
	uint64_t spool_memory;
	bool log_to_syslog;
	enum log_level log_level;

	struct {
		struct conf_listener listener;
		struct conf_block *allow_from;
		size_t allow_from_count;
		unsigned max_sessions, max_recipients, parallel_domains;
		unsigned reply_length;	/* octets of a reply line, without CRLF */
		uint64_t max_message_size;
		int64_t transaction_time;
	} lmtp;
	struct {
		struct conf_listener listener;
		bool dane_by_mta;
	} policy_map;
	struct {
		struct conf_listener listener;
	} control;
	struct {
		enum conf_dns_mode mode;
		struct conf_server *servers;
		size_t server_count;
		struct conf_strings trust_anchors;	/* files */
		struct conf_strings insecure;	/* names, A-labels */
		int64_t timeout;
		bool private_addresses;	/* "allow" */
		struct conf_zone *zones;
		size_t zone_count;
	} dns;
	struct {
		uint16_t port;
		int64_t connect_timeout, command_timeout, data_timeout, final_timeout;
		int64_t host_retry, keep_idle, keep_time;
		unsigned keep_messages, max_deliveries, max_per_host;
		unsigned sessions_per_message;	/* 0: no limit */
		struct ip source_ipv4, source_ipv6;
		bool has_source_ipv4, has_source_ipv6;
		bool use_ipv6, use_ipv4, ipv6_first;	/* address-families, in its order */
		struct conf_strings own_names;
		bool tls_required_no;	/* "honour" */
	} smtp;
	struct {
		char *ca_file;
		enum conf_tls_version min_protocol;
		bool plaintext_retry;
	} tls;
	struct {
		enum conf_enforce enforce;
		int64_t fetch_timeout, refresh_interval, retry_interval, cold_failure_grace;
		size_t max_policy_size;
		char *http_proxy;	/* "" : none */
	} sts;
	struct {
		enum conf_enforce enforce;
	} dane;
	struct {
		enum conf_tlsrpt enable;
		char *organization, *contact, *sender, *submit;
		bool success_only;
		int64_t keep;
		unsigned max_per_receiver;
		char *socket, *forward;	/* "" : none */
		mode_t socket_mode;
		gid_t socket_group;
	} tlsrpt;
	struct {
		char *backend;
	} store;
	struct {
		int64_t keep;	/* 0: nothing */
		uint64_t max_size;
	} history;
	struct {
		struct endpoint listen;
		mode_t mode;
		gid_t group;
		enum conf_milter_refuse refuse;
		bool header;
	} milter;

	struct conf_destination *destinations;
	size_t destination_count;
};

/* Reads and checks path. NULL after one line "FILE:LINE: what is wrong" (or "FILE: why") on
 * errors. The caller ends with EX_CONFIG. */
struct conf *conf_load(const char *path, FILE *errors);
void conf_free(struct conf *conf);

/* The destination with the longest match for an A-label domain, or NULL. */
const struct conf_destination *conf_destination_find(const struct conf *conf, const char *domain);
/* May this peer connect to a TCP listener beyond loopback? */
bool conf_allows(const struct conf_block *blocks, size_t count, const struct ip *peer);

/* Calls each with every key, as "lmtp.listen", and its default as written in the file: for the test
 * that compares them with stsgate.conf(5). */
void conf_each_key(void (*each)(void *context, const char *key, const char *default_text),
    void *context);

#endif
