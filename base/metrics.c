/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/metrics.h"

#define PREFIX	"stsgate_"
#define LABELS	2
#define SERIES_MAX	48	/* of one metric: the product of its labels' values */

enum type { COUNTER, GAUGE };

static const char *const session_refusals[] = { "full", "address", NULL };
static const char *const message_refusals[] = { "size", "spool", NULL };
static const char *const statuses[] = { "sent", "deferred", "bounced", NULL };
static const char *const policies[] = { "none", "sts", "dane", NULL };
/* RFC 8460 4.3, and what ended before TLS could be judged. */
static const char *const results[] = { "ok", "starttls-not-supported", "certificate-host-mismatch",
	"certificate-not-trusted", "certificate-expired", "validation-failure",
	"sts-policy-fetch-error", "sts-policy-invalid", "sts-webpki-invalid", "tlsa-invalid",
	"dnssec-invalid", "dane-required", "not-judged", NULL };
static const char *const fetch_results[] = { "ok", "sts-policy-fetch-error", "sts-policy-invalid",
	"sts-webpki-invalid", NULL };
static const char *const tls_words[] = { "none", "encrypted", "verified", NULL };
static const char *const answers[] = { "cache", "fetch", "none", "failed", NULL };
static const char *const alarms[] = { "txt-gone", "stuck", "future", "fell", "given-up", "ran-out",
	"fetch-outage", NULL };
static const char *const maps[] = { "postfix", "postfix-tlsrpt", "sts", "json", "line", "unknown",
	NULL };
static const char *const map_answers[] = { "ok", "notfound", "temp", NULL };
static const char *const dns_states[] = { "secure", "insecure", "bogus", "failed", NULL };
static const char *const health_states[] = { "untested", "validates", "recurses", "broken",
	"silent", "unanchored", NULL };
static const char *const operations[] = { "get", "put", "delete", "scan", "change", "purge",
	"checkpoint", NULL };
static const char *const places[] = { "memory", "file", NULL };

static const char *const report_policies[] = { "tlsa", "sts", "no-policy-found", NULL };
static const char *const session_results[] = { "success", "failure", NULL };
static const char *const losses[] = { "store", "bound", "dns", NULL };
static const char *const datagram_results[] = { "taken", "unwanted", "invalid", "full", NULL };
static const char *const forward_results[] = { "sent", "lost", NULL };

static const char *const methods[] = { "mailto", "https", NULL };
static const char *const tries[] = { "taken", "failed", "given-up", "beyond", NULL };

static const struct row {
	const char *name;	/* a counter's sample ends in "_total" */
	enum type type;
	const char *help;
	const char *labels[LABELS];
	const char *const *values[LABELS];
} rows[METRICS] = {
	[METRIC_START_TIME] = { "start_time_seconds", GAUGE,
	    "When stsgated started, in seconds since 1970", { NULL }, { NULL } },
	[METRIC_LMTP_SESSIONS] = { "lmtp_sessions", COUNTER, "LMTP sessions served", { NULL },
	    { NULL } },
	[METRIC_LMTP_SESSIONS_RUNNING] = { "lmtp_sessions_running", GAUGE, "LMTP sessions now",
	    { NULL }, { NULL } },
	[METRIC_LMTP_SESSIONS_REFUSED] = { "lmtp_sessions_refused", COUNTER,
	    "LMTP connections refused", { "reason" }, { session_refusals } },
	[METRIC_TRANSACTIONS] = { "transactions", COUNTER, "Messages accepted for delivery",
	    { NULL }, { NULL } },
	[METRIC_MESSAGES_REFUSED] = { "messages_refused", COUNTER,
	    "Messages that were too large or for which there was no room", { "reason" },
	    { message_refusals } },
	[METRIC_RECIPIENTS] = { "recipients", COUNTER,
	    "Recipients by the result in the reply to "
	    "the MTA",
	    { "status" }, { statuses } },
	[METRIC_ATTEMPTS] = { "attempts", COUNTER,
	    "Attempts at a remote host, by the policy that applied and the result of TLS",
	    { "policy", "result" }, { policies, results } },
	[METRIC_CONNECTIONS] = { "connections", COUNTER,
	    "Attempts at which TLS was judged, on new and kept connections, by what it proved",
	    { "tls" }, { tls_words } },
	[METRIC_CONNECTIONS_OPEN] = { "connections_open", GAUGE,
	    "Remote connections now, of smtp.max-deliveries", { NULL }, { NULL } },
	[METRIC_CONNECTIONS_WAITING] = { "connections_waiting", GAUGE,
	    "Deliveries that wait for a free connection now", { NULL }, { NULL } },
	[METRIC_POLICY_LOOKUPS] = { "policy_lookups", COUNTER,
	    "Look-ups of a domain's MTA-STS policy, by the source of the answer", { "answer" },
	    { answers } },
	[METRIC_POLICY_FETCHES] = { "policy_fetches", COUNTER, "MTA-STS policy fetches",
	    { "result" }, { fetch_results } },
	[METRIC_POLICY_ALARMS] = { "policy_alarms", COUNTER,
	    "Alarms about MTA-STS policies; the log names the domain", { "alarm" }, { alarms } },
	[METRIC_POLICIES_UNSAVED] = { "policies_unsaved", GAUGE,
	    "MTA-STS policies in memory that could not be written to the "
	    "store",
	    { NULL }, { NULL } },
	[METRIC_MAP_QUERIES] = { "map_queries", COUNTER,
	    "Queries to the policy map, by map and kind of answer", { "map", "answer" },
	    { maps, map_answers } },
	[METRIC_MAP_TIMEOUTS] = { "map_timeouts", COUNTER,
	    "Queries to the policy map that were not answered in time, so that the MTA has to "
	    "repeat them",
	    { NULL }, { NULL } },
	[METRIC_MAP_SESSIONS_RUNNING] = { "map_sessions_running", GAUGE,
	    "Connections to the policy map now", { NULL }, { NULL } },
	[METRIC_DNS_LOOKUPS] = { "dns_lookups", COUNTER, "DNS look-ups by the state of the answer",
	    { "state" }, { dns_states } },
	[METRIC_RESOLVER_HEALTH] = { "resolver_health", GAUGE,
	    "1 for the result of the DNSSEC self-test, 0 for the others", { "state" },
	    { health_states } },
	[METRIC_STORE_FAILURES] = { "store_failures", COUNTER,
	    "Store operations that failed; the log says why", { "operation" }, { operations } },
	[METRIC_STORE_DAMAGED] = { "store_damaged_time_seconds", GAUGE,
	    "When the store was last found damaged, in seconds since 1970; 0 for never", { NULL },
	    { NULL } },
	[METRIC_SPOOL_BYTES] = { "spool_bytes", GAUGE,
	    "Octets of message content in use, in memory and in files", { "place" }, { places } },
	[METRIC_TLSRPT_SESSIONS] = { "tlsrpt_sessions", COUNTER,
	    "Sessions counted for TLS reports, once for each evaluated policy",
	    { "policy", "result" }, { report_policies, session_results } },
	[METRIC_TLSRPT_LOST] = { "tlsrpt_lost", COUNTER,
	    "Sessions that are missing from TLS reports: the store could not be written, the "
	    "domain has changed its record too often, or too many sessions waited for the record",
	    { "reason" }, { losses } },
	[METRIC_TLSRPT_DATAGRAMS] = { "tlsrpt_datagrams", COUNTER,
	    "Datagrams received on tlsrpt.socket", { "result" }, { datagram_results } },
	[METRIC_TLSRPT_FORWARDED] = { "tlsrpt_forwarded", COUNTER, "Datagrams for tlsrpt.forward",
	    { "result" }, { forward_results } },
	[METRIC_TLSRPT_REPORTS] = { "tlsrpt_reports", COUNTER,
	    "Attempts to send a TLS report to a receiver", { "method", "result" },
	    { methods, tries } },
	[METRIC_CLOCK_STEP] = { "clock_step_seconds", GAUGE,
	    "Seconds by which the system clock is ahead of its expected time", { NULL }, { NULL } },
};

static _Atomic int64_t series[METRICS][SERIES_MAX];

static size_t
value_count(const struct row *row, size_t label)
{
	size_t count = 0;

	if (row->values[label] == NULL)
		return 1;
	while (row->values[label][count] != NULL)
		count++;
	return count;
}

/* Which of a label's values is this? value_count() for none of them. */
static size_t
value_index(const struct row *row, size_t label, const char *value)
{
	size_t i, count = value_count(row, label);

	if (row->values[label] == NULL || value == NULL)
		return row->values[label] == NULL && value == NULL ? 0 : count;
	for (i = 0; i < count && strcmp(row->values[label][i], value) != 0; i++)
		continue;
	return i;
}

static _Atomic int64_t *
find(enum metric metric, const char *first, const char *second)
{
	const struct row *row = &rows[metric];
	size_t i = value_index(row, 0, first), j = value_index(row, 1, second);

	if (i == value_count(row, 0) || j == value_count(row, 1))
		return NULL;
	return &series[metric][i * value_count(row, 1) + j];
}

void
metrics_count(enum metric metric, const char *first, const char *second)
{
	_Atomic int64_t *one = find(metric, first, second);

	if (one != NULL)
		atomic_fetch_add_explicit(one, 1, memory_order_relaxed);
}

void
metrics_add(enum metric metric, const char *value, int64_t by)
{
	_Atomic int64_t *one = find(metric, value, NULL);

	if (one != NULL)
		atomic_fetch_add_explicit(one, by, memory_order_relaxed);
}

void
metrics_set(enum metric metric, int64_t number)
{
	atomic_store_explicit(&series[metric][0], number, memory_order_relaxed);
}

void
metrics_choose(enum metric metric, const char *value)
{
	const struct row *row = &rows[metric];
	size_t i, count = value_count(row, 0), chosen = value_index(row, 0, value);

	for (i = 0; i < count; i++)
		atomic_store_explicit(&series[metric][i], i == chosen, memory_order_relaxed);
}

int64_t
metrics_get(enum metric metric, const char *first, const char *second)
{
	const _Atomic int64_t *one = find(metric, first, second);

	return one == NULL ? -1 : atomic_load_explicit(one, memory_order_relaxed);
}

static const char *
suffix_of(const struct row *row)
{
	switch (row->type) {
	case COUNTER:
		return "_total";
	case GAUGE:
		break;
	}
	return "";
}

static const char *
type_of(const struct row *row)
{
	switch (row->type) {
	case COUNTER:
		return "counter";
	case GAUGE:
		break;
	}
	return "gauge";
}

/* The value of a label that the series with this number has; NULL without that label. */
static const char *
value_of(const struct row *row, size_t label, size_t number)
{
	size_t inner = value_count(row, 1);

	if (row->labels[label] == NULL)
		return NULL;
	return row->values[label][label == 0 ? number / inner : number % inner];
}

static void
add_sample(struct buf *text, const struct row *row, size_t number, int64_t value)
{
	buf_printf(text, PREFIX "%s%s", row->name, suffix_of(row));
	for (size_t label = 0; label < LABELS && row->labels[label] != NULL; label++)
		buf_printf(text, "%c%s=\"%s\"", label == 0 ? '{' : ',', row->labels[label],
		    value_of(row, label, number));
	buf_printf(text, "%s %" PRId64 "\n", row->labels[0] != NULL ? "}" : "", value);
}

static void
add_member(struct buf *text, const struct row *row, size_t number, int64_t value)
{
	const char *label_value;

	buf_printf(text, "%s\"%s%s", text->length > 1 ? "," : "", row->name, suffix_of(row));
	for (size_t label = 0; label < LABELS; label++) {
		label_value = value_of(row, label, number);
		if (label_value != NULL)
			buf_printf(text, ".%s", label_value);
	}
	buf_printf(text, "\":%" PRId64, value);
}

static void
add_series(struct buf *text, enum metric metric,
    void (*add)(struct buf *text, const struct row *row, size_t number, int64_t value))
{
	const struct row *row = &rows[metric];
	size_t i, count = value_count(row, 0) * value_count(row, 1);

	for (i = 0; i < count; i++)
		add(text, row, i, atomic_load_explicit(&series[metric][i], memory_order_relaxed));
}

/* OpenMetrics names a family without the suffix of its samples; the plain format knows no families,
 * and takes a sample without a line of its own name for one without help. */
static void
add_head(struct buf *text, const struct row *row, enum metrics_format format)
{
	const char *suffix = format == METRICS_PLAIN ? suffix_of(row) : "";

	buf_printf(text, "# TYPE " PREFIX "%s%s %s\n", row->name, suffix, type_of(row));
	buf_printf(text, "# HELP " PREFIX "%s%s %s.\n", row->name, suffix, row->help);
}

const char *
metrics_text(enum metrics_format format, struct buf *text)
{
	for (enum metric metric = 0; metric < METRICS; metric++) {
		add_head(text, &rows[metric], format);
		add_series(text, metric, add_sample);
	}
	if (format == METRICS_PLAIN)
		return "text/plain; version=0.0.4; charset=utf-8";
	buf_add_text(text, "# EOF\n");
	return "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

#define WEIGHT_MAX	1000

/* RFC 9110 12.4.2: up to three digits after the point. -1: no weight. */
static int
read_weight(const char *text, size_t length)
{
	int weight = 0, scale = WEIGHT_MAX;
	size_t i;

	if (length == 0 || length > 5 || (text[0] != '0' && text[0] != '1') ||
	    (length > 1 && text[1] != '.'))
		return -1;
	weight = (text[0] - '0') * WEIGHT_MAX;
	for (i = 2; i < length; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		weight += (text[i] - '0') * (scale /= 10);
	}
	return weight <= WEIGHT_MAX ? weight : -1;
}

struct piece {
	const char *at;
	size_t length;
};

/* Cuts the text before the next separator off rest, without the white space round it. */
static struct piece
cut(struct piece *rest, char separator)
{
	const char *end = memchr(rest->at, separator, rest->length);
	struct piece piece = { rest->at, end != NULL ? (size_t)(end - rest->at) : rest->length };
	size_t used = piece.length + (end != NULL);

	rest->at += used;
	rest->length -= used;
	while (piece.length > 0 && (piece.at[0] == ' ' || piece.at[0] == '\t')) {
		piece.at++;
		piece.length--;
	}
	while (piece.length > 0 &&
	    (piece.at[piece.length - 1] == ' ' || piece.at[piece.length - 1] == '\t'))
		piece.length--;
	return piece;
}

static bool
piece_is(const struct piece *piece, const char *text)
{
	return piece->length == strlen(text) && strncasecmp(piece->at, text, piece->length) == 0;
}

/* The weight that the parameters of a range give it. -1: none that can be read. */
static int
weight_of(struct piece parameters)
{
	struct piece value, name;

	while (parameters.length > 0) {
		value = cut(&parameters, ';');
		name = cut(&value, '=');
		if (piece_is(&name, "q"))
			return read_weight(value.at, value.length);
	}
	return WEIGHT_MAX;
}

/* How well a format is liked: by the range that names it most closely (RFC 9110 12.5.1). */
struct liking {
	const char *names[3];	/* closest first */
	size_t closeness;	/* of the range that counts; 0: none does yet */
	int weight;
};

static void
take_range(struct liking *liking, const struct piece *range, int weight)
{
	for (size_t i = 0; i < 3; i++)
		if (piece_is(range, liking->names[i]) && 3 - i > liking->closeness) {
			liking->closeness = 3 - i;
			liking->weight = weight;
		}
}

enum metrics_format
metrics_format_for(const char *accept)
{
	struct liking open = { { "application/openmetrics-text", "application/*", "*/*" }, 0, 0 };
	struct liking plain = { { "text/plain", "text/*", "*/*" }, 0, 0 };
	struct piece rest = { accept, accept != NULL ? strlen(accept) : 0 }, range, name;
	int weight;

	while (rest.length > 0) {
		range = cut(&rest, ',');
		name = cut(&range, ';');
		weight = weight_of(range);
		if (weight < 0)
			continue;
		take_range(&open, &name, weight);
		take_range(&plain, &name, weight);
	}
	if (plain.weight == open.weight)	/* one of them was named */
		return plain.closeness > open.closeness && plain.weight > 0 ? METRICS_PLAIN
									    : METRICS_OPEN;
	return plain.weight > open.weight ? METRICS_PLAIN : METRICS_OPEN;
}

void
metrics_json(struct buf *text)
{
	buf_clear(text);
	buf_add_char(text, '{');
	for (enum metric metric = 0; metric < METRICS; metric++)
		add_series(text, metric, add_member);
	buf_add_char(text, '}');
}
