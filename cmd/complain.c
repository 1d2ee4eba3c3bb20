/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "cmd/complain.h"

void
complain(const struct conf *conf, const char *what, const char *why)
{
	const char *colon = why[0] == '\0' ? "" : ": ";

	if (conf->log_to_syslog)
		fprintf(stderr, "%s: %s%s%s\n", program_invocation_short_name, what, colon, why);
	log_message(LOG_LEVEL_ERROR, "start", "%s%s%s", what, colon, why);
}
