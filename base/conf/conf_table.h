/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which sections and keys are there? One row each; everything conf_load() knows about a key is in
 * its row, and stsgate.conf(5) is compared with the rows by a test.
 */
#ifndef BASE_CONF_CONF_TABLE_H
#define BASE_CONF_CONF_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf/conf.h"

struct conf_kind;

struct conf_section {
	const char *path;	/* "" the file's top, "lmtp", "dns.zone" */
	bool titled;	/* may repeat, each with a title of its own */
};

struct conf_key {
	const char *section;	/* a path above */
	const char *name;
	const char *fallback;	/* the default, without quotes; of a list: words and blanks */
	const struct conf_kind *kind;
	size_t at;	/* offset of the field in struct conf, or in the titled section's struct */
	size_t also;	/* offset of its second field, for the kinds that have two */
	uint64_t least, most;
	const char *const *names;	/* ends with NULL */
	bool fixed;	/* of an open socket, or a directory or file in use: a new value takes
			   effect only after a restart of stsgated */
	/* Looks at a given value once all are set: NULL, or what it must be. */
	const char *(*check)(const struct conf *conf, size_t index);
};

extern const struct conf_section conf_sections[];	/* the first is the file's top */
extern const size_t conf_section_count;
extern const struct conf_key conf_keys[];
extern const size_t conf_key_count;

const struct conf_section *conf_section_find(const char *path);	/* NULL: none */
const struct conf_key *conf_key_find(const char *section, const char *name);	/* NULL: none */

#endif
