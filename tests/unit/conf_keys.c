/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Prints every key of stsgate.conf and its default, a line each. */
#include "config.h"

#include <stdio.h>

#include "base/conf/conf.h"

static void
print_key(void *context, const char *key, const char *default_text)
{
	(void)context;
	printf("%s = %s\n", key, default_text);
}

int
main(void)
{
	conf_each_key(print_key, NULL);
	return 0;
}
