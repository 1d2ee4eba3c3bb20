/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate check DOMAIN: a row a step, as soon as stsgated tells it, and the verdict. On a terminal
 * also what is being tried, until the next row.
 */
#ifndef CMD_STSGATE_CHECK_H
#define CMD_STSGATE_CHECK_H

#include "cmd/stsgate_client.h"
#include "cmd/stsgate_terminal.h"

/* The rows of an answer that is still coming. */
struct stsgate_check_rows {
	struct buf line;	/* what of it is there */
	json_t *last;	/* the whole, once it is told */
	struct stsgate_terminal_line doing;	/* what the next row waits for */
};

void stsgate_check_free(struct stsgate_check_rows *rows);	/* its contents */
/* client->heard_by is a struct stsgate_check_rows, empty, which lives as long as client->http. */
int stsgate_check(const struct stsgate_client *client, const char *domain);

#endif
