/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>

#include "base/metrics.h"
#include "policy/dns/resolver.h"
#include "shim/control/control_stats.h"

/* Takes the text over from buf. */
static void
give(struct control_answer *answer, struct buf *text, const char *type)
{
	answer->status = 200;
	answer->text = text->data;
	answer->type = type;
}

void
control_metrics(const struct gatherer *gatherer, const char *accept, struct control_answer *answer)
{
	struct buf text = { 0 };
	const char *type;

	metrics_choose(METRIC_RESOLVER_HEALTH,
	    resolver_health_name(resolver_health(gatherer->resolver)));
	type = metrics_text(metrics_format_for(accept), &text);
	give(answer, &text, type);
}

void
control_stats(const struct gatherer *gatherer, struct control_answer *answer)
{
	struct buf text = { 0 };

	metrics_choose(METRIC_RESOLVER_HEALTH,
	    resolver_health_name(resolver_health(gatherer->resolver)));
	metrics_json(&text);
	give(answer, &text, NULL);
}
