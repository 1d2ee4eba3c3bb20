/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "base/conf/conf_sockets.h"

#define CLAIMANTS	5

static size_t
count_in(const struct conf_listener *listener, const struct endpoint *endpoint)
{
	size_t count = 0, i;

	for (i = 0; i < listener->count; i++)
		count += endpoint_equal(&listener->listen[i], endpoint);
	return count;
}

static bool
is_tlsrpt(const struct conf *conf, const struct endpoint *endpoint)
{
	struct endpoint socket;
	const char *why;

	return conf->tlsrpt.socket[0] != '\0' &&
	    endpoint_parse(conf->tlsrpt.socket, &socket, &why) == 0 &&
	    endpoint_equal(&socket, endpoint);
}

/* Blames the later row, so that each pair has one text. */
const char *
conf_sockets_check(const struct conf *conf, const struct endpoint *endpoint)
{
	const struct {
		size_t count;
		const char *text;
	} claimants[CLAIMANTS] = {
		{ count_in(&conf->lmtp.listener, endpoint), "is claimed by lmtp.listen too" },
		{ count_in(&conf->policy_map.listener, endpoint),
		    "is claimed by policy-map.listen too" },
		{ count_in(&conf->control.listener, endpoint), "is claimed by control.listen too" },
		{ endpoint_equal(&conf->milter.listen, endpoint),
		    "is claimed by milter.listen too" },
		{ is_tlsrpt(conf, endpoint), "is claimed by tlsrpt.socket too" },
	};
	const char *first = NULL;
	size_t i;

	for (i = 0; i < CLAIMANTS; i++) {
		if (claimants[i].count > 1)
			return "must not be named twice";
		if (claimants[i].count > 0 && first != NULL)
			return first;
		if (claimants[i].count > 0)
			first = claimants[i].text;
	}
	return NULL;
}
