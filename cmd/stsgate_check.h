/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate check DOMAIN: a row a step, as soon as stsgated tells it, and the verdict.
 */
#ifndef CMD_STSGATE_CHECK_H
#define CMD_STSGATE_CHECK_H

#include "cmd/stsgate_client.h"

/* The rows of an answer that is still coming. */
struct check_rows {
	struct buf line;	/* what of it is there */
	json_t *last;	/* the whole, once it is told */
};

void stsgate_check_free(struct check_rows *rows);	/* its contents */
/* client->heard_by is a struct check_rows, empty, which lives as long as client->http. */
int stsgate_check(const struct client *client, const char *domain);

#endif
