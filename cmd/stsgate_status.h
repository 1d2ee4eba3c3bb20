/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate status: is stsgated well, and how busy is it? With --watch again and again.
 */
#ifndef CMD_STSGATE_STATUS_H
#define CMD_STSGATE_STATUS_H

#include "cmd/stsgate_client.h"

/* 0 ok, 1 warning, 2 critical; EX_UNAVAILABLE after a message. */
int stsgate_status(const struct stsgate_client *client, const char *domain);

#endif
