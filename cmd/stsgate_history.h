/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate refused and stsgate audit: what was refused by policy, and what enforcement would have
 * refused, a row a domain and reason. They return the exit status; domain is not used.
 */
#ifndef CMD_STSGATE_HISTORY_H
#define CMD_STSGATE_HISTORY_H

#include "cmd/stsgate_client.h"

int stsgate_history_refused(const struct stsgate_client *client, const char *domain);
int stsgate_history_audit(const struct stsgate_client *client, const char *domain);

#endif
