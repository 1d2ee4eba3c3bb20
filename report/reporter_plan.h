/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What the reporter works with. It must outlive the reporter.
 */
#ifndef REPORT_REPORTER_PLAN_H
#define REPORT_REPORTER_PLAN_H

#include "base/http.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "base/store/store.h"
#include "policy/dns/resolver.h"
#include "report/tally.h"

struct reporter_plan {
	const struct conf *conf;	/* of the start, for what is fixed */
	struct conf_now *now;	/* contents, receivers and transport of reports */
	struct store *store;
	struct tally *tally;
	struct resolver *resolver;
	struct http *http;
};

#endif
