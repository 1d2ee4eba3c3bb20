/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A path that is taken has no octet that ends or divides it once it is decoded.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "shim/control/control_path.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *octets, size_t length)
{
	char *uri = xcalloc(length + 1, 1);
	const char *escape;

	memcpy(uri, octets, length);
	if (control_path_is_sound(uri)) {
		for (escape = strchr(uri, '%'); escape != NULL; escape = strchr(escape + 1, '%'))
			if (strlen(escape) < 3 || strncmp(escape, "%00", 3) == 0)
				abort();
		if (strpbrk(uri, "\r\n\t\x7f") != NULL)
			abort();
	}
	free(uri);
	return 0;
}
