/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Root is needed to bind sockets and for nothing else. The store is opened, and everything after
 * the listeners done, as the configured user. For the main thread, before others start.
 */
#ifndef CMD_PRIVILEGES_H
#define CMD_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct privileges {
	bool was_root;	/* false: everything here does nothing */
	uid_t user;
	gid_t group;
	char name[64];
};

/* 0, or -1 with why: started as root, and there is no such user. */
int privileges_find(struct privileges *privileges, const char *user, char *why, size_t why_room);
/* effective ids alone; 0 or -1 with errno */
int privileges_lower(const struct privileges *privileges);
int privileges_raise(const struct privileges *privileges);
int privileges_drop(const struct privileges *privileges);	/* for good */
/* Messages and envelopes may be in memory: no core files, nobody else's debugger, no file for
 * others; and as many descriptors as there may be. Changing the user undoes it. */
void privileges_confine(void);

#endif
