/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate report show, send and status. Each returns an exit status.
 */
#ifndef CMD_STSGATE_REPORT_H
#define CMD_STSGATE_REPORT_H

#include "cmd/stsgate_client.h"

int stsgate_report_show(const struct stsgate_client *client, const char *domain);
int stsgate_report_send(const struct stsgate_client *client, const char *domain);
int stsgate_report_status(const struct stsgate_client *client, const char *domain);

#endif
