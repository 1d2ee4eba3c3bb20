/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <libmilter/mfapi.h>

#include "cmd/libraries.h"

void
libraries_milter(FILE *out)
{
	unsigned major, minor, patch;

	(void)smfi_version(&major, &minor, &patch);
	fprintf(out, "libmilter %u.%u.%u\n", major, minor, patch);
}
