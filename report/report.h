/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The report about one domain, day and TXT record (RFC 8460 4.4, 5): its names and its JSON. The
 * same figures give the same octets. Pure; any thread; results live in the caller's arena.
 */
#ifndef REPORT_REPORT_H
#define REPORT_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/conf/conf.h"
#include "report/tally.h"

/* The reporting organization. */
struct reporter_name {
	const char *organization;
	const char *contact;	/* an address */
	const char *sender;	/* of the mail: the envelope's address */
	char submitter[DOMAIN_MAX];	/* contact's domain, in A-labels */
};

/* Organization and contact may be unset: then the host's name stands in, for showing alone. */
void reporter_name_from(struct arena *arena, const struct conf *conf, struct reporter_name *name);
/* Is this the envelope sender of this site's own reports? */
bool reporter_is_sender(const struct conf *conf, const char *mailbox);
/* Are those set that sending needs? */
bool reporter_may_send(const struct conf *conf);

/* YYYYMMDD.DIGEST.DOMAIN@SUBMITTER, a msg-id: the same on every try, another for each day, domain
 * and TXT record. running: the day is not over, and its report not the one that it will have. */
const char *report_id(struct arena *arena, const struct tally_report *report,
    const struct reporter_name *name, bool running);
/* RFC 8460 5.1. unique: "", or what tells further reports of a domain and day from the first. */
const char *report_file_name(struct arena *arena, const char *submitter, const char *domain,
    int64_t day, const char *unique);
const char *report_json(struct arena *arena, const struct tally_report *report,
    const struct reporter_name *name, bool running);

#endif
