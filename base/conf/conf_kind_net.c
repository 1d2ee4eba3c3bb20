/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* The kinds of values that name sockets, addresses and relays. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf/conf_kind.h"
#include "base/conf/conf_value.h"

static int
take_endpoint(const struct conf_given *given, size_t index, bool local, struct endpoint *endpoint)
{
	const char *why = "";

	if (endpoint_parse(given->words[index].text, endpoint, &why) != 0)
		return conf_given_refuse(given, index,
		    "must be unix:PATH, inet:ADDRESS:PORT or inet6:[ADDRESS]:PORT: %s", why);
	if (local && !endpoint_is_loopback(endpoint))
		return conf_given_refuse(given, index,
		    "must be a Unix socket or a loopback address, since any client may connect");
	return 0;
}

static int
take_endpoints(const struct conf_given *given, bool local, struct conf_listener *listener)
{
	size_t i;

	listener->listen = arena_array(given->arena, given->count + 1, sizeof(*listener->listen));
	listener->count = given->count;
	for (i = 0; i < given->count; i++)
		if (take_endpoint(given, i, local, &listener->listen[i]) != 0)
			return -1;
	return 0;
}

static int
set_listen(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return take_endpoints(given, false, field);
}

static int
set_listen_local(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return take_endpoints(given, true, field);
}

static int
set_endpoint_local(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	return take_endpoint(given, 0, true, field);
}

static int
set_mode(const struct conf_given *given, void *field, void *also)
{
	(void)also;
	if (conf_mode(given->words[0].text, field) != 0)
		return conf_given_refuse(given, 0, "must be an octal mode from 0000 to 0777");
	return 0;
}

static int
set_group(const struct conf_given *given, void *field, void *also)
{
	const char *name = given->words[0].text;
	size_t room = 64 * 1024;
	struct group entry, *found = NULL;
	char *memory, reason[128];
	int error;

	(void)also;
	*(gid_t *)field = (gid_t)-1;
	if (name[0] == '\0')
		return 0;
	do {
		memory = xmalloc(room);
		error = getgrnam_r(name, &entry, memory, room, &found);
		if (found != NULL)
			*(gid_t *)field = entry.gr_gid;
		free(memory);
		room *= 2;
	} while (error == ERANGE);
	if (error != 0)
		return conf_given_refuse(given, 0, "must be a Unix group: %s",
		    strerror_r(error, reason, sizeof(reason)));
	return found != NULL ? 0 : conf_given_refuse(given, 0, "must be an existing Unix group");
}

static int
set_blocks(const struct conf_given *given, void *field, void *also)
{
	struct conf_block *blocks = arena_array(given->arena, given->count + 1, sizeof(*blocks));
	const char *why = "";
	size_t i;

	for (i = 0; i < given->count; i++)
		if (conf_block(given->words[i].text, &blocks[i], &why) != 0)
			return conf_given_refuse(given, i, "%s", why);
	*(struct conf_block **)field = blocks;
	*(size_t *)also = given->count;
	return 0;
}

static int
set_servers(const struct conf_given *given, void *field, void *also)
{
	struct conf_server *servers = arena_array(given->arena, given->count + 1, sizeof(*servers));
	size_t i;

	for (i = 0; i < given->count; i++)
		if (conf_server(given->words[i].text, &servers[i]) != 0)
			return conf_given_refuse(given, i,
			    "must be an address, or an address, @ and a port from 1 to 65535");
	*(struct conf_server **)field = servers;
	*(size_t *)also = given->count;
	return 0;
}

static int
take_source(const struct conf_given *given, bool v6, struct ip *ip, bool *has)
{
	*has = given->words[0].text[0] != '\0';
	if (*has && (ip_parse(given->words[0].text, ip) != 0 || ip->v6 != v6))
		return conf_given_refuse(given, 0, "must be an %s address", v6 ? "IPv6" : "IPv4");
	return 0;
}

static int
set_source4(const struct conf_given *given, void *field, void *also)
{
	return take_source(given, false, field, also);
}

static int
set_source6(const struct conf_given *given, void *field, void *also)
{
	return take_source(given, true, field, also);
}

static int
set_families(const struct conf_given *given, void *field, void *also)
{
	struct conf *conf = field;
	size_t i;

	(void)also;
	conf->smtp.use_ipv6 = conf->smtp.use_ipv4 = conf->smtp.ipv6_first = false;
	for (i = 0; i < given->count; i++) {
		bool v6 = strcmp(given->words[i].text, "ipv6") == 0;
		bool *use = v6 ? &conf->smtp.use_ipv6 : &conf->smtp.use_ipv4;

		if ((!v6 && strcmp(given->words[i].text, "ipv4") != 0) || *use)
			return conf_given_refuse(given, i,
			    "must be ipv6 or ipv4, each once at most");
		*use = true;
		if (i == 0)
			conf->smtp.ipv6_first = v6;
	}
	return i > 0 ? 0 : conf_given_refuse(given, 0, "must name ipv6, ipv4 or both");
}

static int
set_relay(const struct conf_given *given, void *field, void *also)
{
	struct conf_destination *destination = field;
	struct conf_place place;
	const char *why = "";

	(void)also;
	if (given->words[0].text[0] == '\0')
		return 0;
	if (conf_place(given->words[0].text, &place, &why) != 0)
		return conf_given_refuse(given, 0, "%s", why);
	if (place.literal && !place.bracketed)
		return conf_given_refuse(given, 0, "must have its address in brackets: [%s]",
		    place.host);
	destination->relay_host = arena_strdup(given->arena, place.host);
	destination->relay_port = place.port;
	destination->relay_literal = place.literal;
	return 0;
}

const struct conf_kind conf_kind_listen = { .list = true, .set = set_listen };
const struct conf_kind conf_kind_listen_local = { .list = true, .set = set_listen_local };
const struct conf_kind conf_kind_endpoint_local = { .set = set_endpoint_local };
const struct conf_kind conf_kind_mode = { .set = set_mode, .size = sizeof(mode_t) };
const struct conf_kind conf_kind_group = { .set = set_group, .size = sizeof(gid_t) };
const struct conf_kind conf_kind_blocks = { .list = true, .set = set_blocks };
const struct conf_kind conf_kind_servers = { .list = true, .set = set_servers };
const struct conf_kind conf_kind_source4 = { .set = set_source4 };
const struct conf_kind conf_kind_source6 = { .set = set_source6 };
const struct conf_kind conf_kind_families = { .list = true, .set = set_families };
const struct conf_kind conf_kind_relay = { .set = set_relay };
