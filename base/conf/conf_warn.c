/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/conf/conf_warn.h"

/* Why no other host can look this host name up, or NULL. */
static const char *
private_name(const char *name)
{
	const char *last = strrchr(name, '.');

	if (last == NULL)
		return "has no dot";
	if (strcmp(last, ".localhost") == 0)
		return "is below localhost";
	return strcmp(last, ".localdomain") == 0 ? "is below localdomain" : NULL;
}

static void
warn_of_host_name(const struct conf *conf, void (*say)(void *context, const char *warning),
    void *context)
{
	const char *fault = private_name(conf->hostname);
	bool sends = conf->tlsrpt.enable != TLSRPT_OFF && conf->tlsrpt.sender[0] == '\0';
	char warning[768];

	if (fault == NULL)
		return;
	snprintf(warning, sizeof(warning),
	    "hostname \"%s\" %s: receivers refuse such a name in "
	    "EHLO%s%s; set hostname to this host's full name in the DNS",
	    conf->hostname, fault, sends ? ", and reports from tls-reports@" : "",
	    sends ? conf->hostname : "");
	say(context, warning);
}

static void
warn_of_destination(const struct conf_destination *destination,
    void (*say)(void *context, const char *warning), void *context)
{
	const char *fault = destination->hostname != NULL ? private_name(destination->hostname)
							  : NULL;
	char warning[768];

	if (fault == NULL)
		return;
	snprintf(warning, sizeof(warning),
	    "destination \"%s\": hostname \"%s\" %s: receivers "
	    "refuse such a name in EHLO",
	    destination->name, destination->hostname, fault);
	say(context, warning);
}

/* Says nothing but tls = "policy", or nothing at all. */
static bool
is_policy_alone(const struct conf_destination *destination)
{
	return destination->tls == TLS_POLICY && destination->relay_host == NULL &&
	    destination->ignore.count == 0 && destination->max_connections == 0 &&
	    !destination->has_source_ipv4 && !destination->has_source_ipv6 &&
	    destination->hostname == NULL && destination->reports == NULL;
}

/* sts.enforce is not overridden by a destination: the other way round a roll-out works. */
static void
warn_of_audit(const struct conf *conf, const struct conf_destination *destination,
    void (*say)(void *context, const char *warning), void *context)
{
	char warning[768];

	if (conf->sts.enforce != ENFORCE_AUDIT || !is_policy_alone(destination))
		return;
	snprintf(warning, sizeof(warning),
	    "destination \"%s\": tls = \"policy\" enforces nothing while sts.enforce is "
	    "\"audit\"; "
	    "set sts.enforce = \"on\", and tls = \"audit\" in destination \".\" for the "
	    "other domains",
	    destination->name);
	say(context, warning);
}

void
conf_warn(const struct conf *conf, void (*say)(void *context, const char *warning), void *context)
{
	warn_of_host_name(conf, say, context);
	for (size_t i = 0; i < conf->destination_count; i++)
		warn_of_destination(&conf->destinations[i], say, context);
	for (size_t i = 0; i < conf->destination_count; i++)
		warn_of_audit(conf, &conf->destinations[i], say, context);
}
