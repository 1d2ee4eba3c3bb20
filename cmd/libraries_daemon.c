/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <db.h>
#include <microhttpd.h>
#include <unbound.h>

#include "cmd/libraries.h"

void
libraries_daemon(FILE *out)
{
	int major, minor, patch;

	(void)db_version(&major, &minor, &patch);
	fprintf(out, "Berkeley DB %d.%d.%d\n", major, minor, patch);
	fprintf(out, "libmicrohttpd %s\n", MHD_get_version());
	fprintf(out, "libunbound %s\n", ub_version());
}
