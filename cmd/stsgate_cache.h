/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate cache: what each of its verbs does. They return the exit status. domain is NULL for the
 * verbs that take none.
 */
#ifndef CMD_STSGATE_CACHE_H
#define CMD_STSGATE_CACHE_H

#include "cmd/stsgate_client.h"

int stsgate_cache_list(const struct stsgate_client *client, const char *domain);
int stsgate_cache_show(const struct stsgate_client *client, const char *domain);
int stsgate_cache_refresh(const struct stsgate_client *client, const char *domain);
int stsgate_cache_forget(const struct stsgate_client *client, const char *domain);
int stsgate_cache_export(const struct stsgate_client *client, const char *domain);
int stsgate_cache_import(const struct stsgate_client *client, const char *domain);

#endif
