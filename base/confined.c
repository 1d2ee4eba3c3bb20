/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "base/confined.h"

void
confined_read(struct confined *confined)
{
	confined->no_new_privs = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
	confined->seccomp = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
	confined->landlock = 0;
}
