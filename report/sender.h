/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The receivers of a report, and one attempt to send it: by HTTPS, or as mail through the site's
 * MTA. Blocks; any thread.
 */
#ifndef REPORT_SENDER_H
#define REPORT_SENDER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/http.h"
#include "base/wait.h"
#include "base/conf/conf.h"
#include "policy/dns/resolver.h"
#include "report/report.h"
#include "report/rua.h"

/* All const, and the caller's. */
struct sender {
	const struct conf *conf;
	struct resolver *resolver;
	struct http *http;
	struct watch watch;	/* is it to be given up? */
};

/* The receivers of this report: those in its record, unless the destination section of its domain
 * says otherwise; none when it holds no failure and tlsrpt.success-only is off. */
void sender_ruas(const struct conf *conf, struct arena *arena, const struct tally_report *report,
    struct rua_list *list);

/* 0: it has been taken, by the MTA's queue or with a 2xx. -1 with the reason. */
int sender_try(const struct sender *sender, const struct tally_report *report,
    const struct rua *rua, bool running, char *why, size_t why_room);

#endif
