/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What has this process done, and what is its state? Counters and gauges for GET /metrics, GET
 * /v1/stats and stsgate stats. One row in the table of metrics.c is one metric: its name, what it
 * means and the few values that its labels can have. They are global, like the log: any layer and
 * any thread may count, and counting neither fails nor waits.
 *
 *	metrics_count(METRIC_TRANSACTIONS, NULL, NULL);
 *	metrics_count(METRIC_ATTEMPTS, "sts", "certificate-expired");
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include <stdint.h>

#include "base/buf.h"

enum metric {
	METRIC_START_TIME,
	METRIC_LMTP_SESSIONS,
	METRIC_LMTP_SESSIONS_RUNNING,
	METRIC_LMTP_SESSIONS_REFUSED,	/* by reason */
	METRIC_TRANSACTIONS,
	METRIC_MESSAGES_REFUSED,	/* by reason */
	METRIC_RECIPIENTS,	/* by status */
	METRIC_ATTEMPTS,	/* by policy and result */
	METRIC_CONNECTIONS,	/* by tls */
	METRIC_CONNECTIONS_OPEN,
	METRIC_CONNECTIONS_WAITING,
	METRIC_POLICY_LOOKUPS,	/* by answer */
	METRIC_POLICY_FETCHES,	/* by result */
	METRIC_POLICY_ALARMS,	/* by alarm */
	METRIC_POLICIES_UNSAVED,
	METRIC_MAP_QUERIES,	/* by map and answer */
	METRIC_MAP_TIMEOUTS,
	METRIC_MAP_SESSIONS_RUNNING,
	METRIC_DNS_LOOKUPS,	/* by state */
	METRIC_RESOLVER_HEALTH,	/* by state */
	METRIC_STORE_FAILURES,	/* by operation */
	METRIC_STORE_DAMAGED,
	METRIC_SPOOL_BYTES,	/* by place */
	METRIC_TLSRPT_SESSIONS,	/* by policy and result */
	METRIC_TLSRPT_LOST,	/* by reason */
	METRIC_TLSRPT_REPORTS,	/* by method and result */
	METRIC_TLSRPT_DATAGRAMS,	/* by result */
	METRIC_TLSRPT_FORWARDED,	/* by result */
	METRIC_CLOCK_STEP,
	METRICS	/* how many */
};

/* One more. The values of the labels, in order; NULL where there is none. A value that is not in
 * the table is counted nowhere. */
void metrics_count(enum metric metric, const char *first, const char *second);

/* Gauges with one label at most. */
void metrics_add(enum metric metric, const char *value, int64_t by);
void metrics_set(enum metric metric, int64_t number);
/* 1 for this value of the label and 0 for all others. */
void metrics_choose(enum metric metric, const char *value);

/* -1: not in the table. */
int64_t metrics_get(enum metric metric, const char *first, const char *second);

enum metrics_format {
	METRICS_OPEN,	/* OpenMetrics 1.0, with its "# EOF" */
	METRICS_PLAIN	/* Prometheus' text format 0.0.4 */
};
/* Which of them a client wants that sends this Accept header, or NULL. METRICS_OPEN where it does
 * not say, or wants something else. */
enum metrics_format metrics_format_for(const char *accept);
/* All of them. Returns the media type. */
const char *metrics_text(enum metrics_format format, struct buf *text);
/* The same as one flat JSON object: the name without its prefix, and after dots the values of the
 * labels: "recipients_total.sent". */
void metrics_json(struct buf *text);

#endif
