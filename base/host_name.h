/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is this host called? Asks the resolver of libc, so it may block for its time-outs.
 * Any thread.
 */
#ifndef BASE_HOST_NAME_H
#define BASE_HOST_NAME_H

#include "base/domain.h"

int host_name(struct domain *name);	/* the FQDN where one is known; -1: no host name at all */

#endif
