/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is this machine on the Internet at all? Without a route "network unreachable" is no word about
 * the host that was to be reached. Nothing is sent. Any thread.
 */
#ifndef BASE_ROUTES_H
#define BASE_ROUTES_H

#include <stdbool.h>

/* false where that cannot be found out, for want of a descriptor. */
bool routes_lead_out(void);

#endif
