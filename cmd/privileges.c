/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "cmd/privileges.h"

int
privileges_find(struct privileges *privileges, const char *user, char *why, size_t why_room)
{
	const struct passwd *entry;

	*privileges = (struct privileges){ .was_root = geteuid() == 0 };
	if (!privileges->was_root)
		return 0;
	entry = getpwnam(user);
	if (entry == NULL) {
		snprintf(why, why_room,
		    "user \"%s\" does not exist: create it (adduser --system"
		    " --group %s) or name another in `user`",
		    user, user);
		return -1;
	}
	privileges->user = entry->pw_uid;
	privileges->group = entry->pw_gid;
	snprintf(privileges->name, sizeof(privileges->name), "%s", user);
	return 0;
}

int
privileges_lower(const struct privileges *privileges)
{
	if (!privileges->was_root)
		return 0;
	if (initgroups(privileges->name, privileges->group) != 0 || setegid(privileges->group) != 0)
		return -1;
	return seteuid(privileges->user);
}

int
privileges_raise(const struct privileges *privileges)
{
	if (!privileges->was_root)
		return 0;
	if (seteuid(0) != 0)
		return -1;
	return setegid(0);
}

int
privileges_drop(const struct privileges *privileges)
{
	if (!privileges->was_root)
		return 0;
	if (initgroups(privileges->name, privileges->group) != 0 ||
	    setresgid(privileges->group, privileges->group, privileges->group) != 0 ||
	    setresuid(privileges->user, privileges->user, privileges->user) != 0)
		return -1;
	if (privileges->user != 0 && setuid(0) == 0) {
		errno = EPERM;
		return -1;
	}
	return 0;
}

void
privileges_confine(void)
{
	struct rlimit limit = { 0, 0 };

	setrlimit(RLIMIT_CORE, &limit);
	prctl(PR_SET_DUMPABLE, 0);
	(void)descriptors_raise();
	umask(077);
}
