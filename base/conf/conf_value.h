/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does the text of one value mean? Pure but for conf_file_error(). Functions returning int
 * give 0, or -1 when the text is no such value; *why is then a constant text beginning with
 * "must". Any thread.
 */
#ifndef BASE_CONF_CONF_VALUE_H
#define BASE_CONF_CONF_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/domain.h"
#include "base/conf/conf.h"

int conf_number(const char *text, uint64_t *number);	/* digits alone, no sign */
int conf_duration(const char *text, int64_t *ms);	/* "90s", "5m", "1h", "14d" */
int conf_size(const char *text, uint64_t *octets);	/* "1000", "64K", "256M" */
int conf_flag(const char *text, bool *flag);	/* the words libconfuse knows: true, yes, on, ... */
int conf_mode(const char *text, mode_t *mode);	/* "0660" */

int conf_block(const char *text, struct conf_block *block, const char **why);
int conf_server(const char *text, struct conf_server *server);	/* "192.0.2.53", "::1@5353" */

/* "host", "host:port", "192.0.2.1:port", "[192.0.2.1]:port", "[2001:db8::1]". */
struct conf_place {
	char host[DOMAIN_MAX];	/* A-labels, or an address without brackets */
	bool literal;	/* host is an address */
	bool bracketed;	/* it was written in brackets */
	uint16_t port;	/* 0: none given */
};
int conf_place(const char *text, struct conf_place *place, const char **why);

/* "example.com", "*.example.com" or, where root is allowed, "."; A-labels, lower case. */
#define CONF_PATTERN_MAX	(DOMAIN_MAX + 2)
int conf_pattern(const char *text, bool root_allowed, char pattern[CONF_PATTERN_MAX]);
int conf_host(const char *text, struct domain *host);	/* a name, and no IPv4 address */

bool conf_is_ehlo_keyword(const char *text);	/* one that is registered, in capitals */
bool conf_is_mail_address(const char *text);	/* local@domain, as far as can be told cheaply */
int conf_proxy(const char *text, char *url, size_t room);	/* "http://host:port" */
int conf_file_error(const char *path);	/* 0 when path is a file that can be read, else an errno */

#endif
