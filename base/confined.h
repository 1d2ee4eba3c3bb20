/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How far has this process confined itself, by what the kernel says? Any thread.
 */
#ifndef BASE_CONFINED_H
#define BASE_CONFINED_H

#include <stdbool.h>

struct confined {
	bool no_new_privs;
	bool seccomp;	/* a filter is in force */
	int landlock;	/* the ABI of the rules in force, 0: none */
};
void confined_read(struct confined *confined);

#endif
