/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <confuse.h>
#include <idn2.h>
#include <jansson.h>

#include "cmd/libraries.h"

void
libraries_base(FILE *out)
{
	fprintf(out, "libConfuse %s\n", confuse_version);
	fprintf(out, "libidn2 %s\n", idn2_check_version(NULL));
	fprintf(out, "Jansson %s\n", jansson_version_str());
}
