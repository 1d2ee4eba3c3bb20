/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which reports follow from the figures of one domain's day, and which receivers get each? Figures
 * are counted for each TXT record that the domain had; a receiver that several of them name gets
 * one report, of all of these: otherwise a domain that changes its record with every message could
 * have a third party mailed as often. Pure but for reading; any thread; results live in the
 * caller's arena.
 */
#ifndef REPORT_BUNDLE_H
#define REPORT_BUNDLE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/conf/conf.h"
#include "report/rua.h"
#include "report/tally.h"

struct bundle {
	struct tally_report report;	/* of one record its own, digest and all */
	struct rua *at;	/* the receivers; none: it is only shown */
	size_t count;
};

struct bundles {
	struct bundle *at;	/* each receiver is in one of them */
	size_t count;
	size_t left_out;	/* receivers beyond LIMIT_REPORT_RECEIVERS */
};

/* reports: all of one domain and day, which must live as long as the result. */
void bundle_reports(struct arena *arena, const struct conf *conf,
    const struct tally_report *reports, size_t count, struct bundles *bundles);
/* The same, read from the tally. STORE_ABSENT: there are no figures. */
enum store_result bundle_read(struct tally *tally, struct arena *arena, const struct conf *conf,
    int64_t day, const char *domain, struct bundles *bundles);
/* While tally_scan() hands out reports: those of a domain with its first one, none with others. */
enum store_result bundle_scanned(struct tally *tally, struct arena *arena, const struct conf *conf,
    const struct tally_report *report, struct bundles *bundles);

#endif
