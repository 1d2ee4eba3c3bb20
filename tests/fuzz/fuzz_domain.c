/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* What domain_parse() accepts may be dialled and logged, and is what it would be parsed to
 * again. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/domain.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct domain domain, again;

	if (domain_parse((const char *)input, length, &domain) != 0)
		return 0;
	if (!domain_is_host(domain.name) || strlen(domain.name) >= DOMAIN_MAX)
		abort();
	if (domain_parse(domain.name, strlen(domain.name), &again) != 0 ||
	    strcmp(domain.name, again.name) != 0 || !domain_equal(domain.name, again.name))
		abort();
	return 0;
}
