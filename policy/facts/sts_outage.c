/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/domain.h"
#include "policy/facts/sts_outage.h"

#define DOMAINS	5
#define SPAN_MS	(10 * 60 * 1000)

struct sts_outage {
	pthread_mutex_t lock;
	/* The last that failed, each once, with no success since. */
	struct {
		char domain[DOMAIN_MAX];	/* "": free */
		int64_t failed_ms;
	} slots[DOMAINS];
};

struct sts_outage *
sts_outage_new(void)
{
	struct sts_outage *outage = xcalloc(1, sizeof(*outage));

	(void)pthread_mutex_init(&outage->lock, NULL);
	return outage;
}

void
sts_outage_free(struct sts_outage *outage)
{
	if (outage == NULL)
		return;
	(void)pthread_mutex_destroy(&outage->lock);
	free(outage);
}

/* The domain's slot, a free one, or that of the oldest failure. With the lock held. */
static size_t
slot_for(const struct sts_outage *outage, const char *domain)
{
	size_t best = 0;

	for (size_t i = 0; i < DOMAINS; i++) {
		if (strcmp(outage->slots[i].domain, domain) == 0)
			return i;
		if (outage->slots[best].domain[0] != '\0' &&
		    (outage->slots[i].domain[0] == '\0' ||
			outage->slots[i].failed_ms < outage->slots[best].failed_ms))
			best = i;
	}
	return best;
}

bool
sts_outage_failed(struct sts_outage *outage, const char *domain, int64_t now_ms)
{
	bool all = true;
	size_t at;

	(void)pthread_mutex_lock(&outage->lock);
	at = slot_for(outage, domain);
	(void)snprintf(outage->slots[at].domain, DOMAIN_MAX, "%s", domain);
	outage->slots[at].failed_ms = now_ms;
	for (size_t i = 0; i < DOMAINS; i++)
		if (outage->slots[i].domain[0] == '\0' ||
		    now_ms - outage->slots[i].failed_ms > SPAN_MS)
			all = false;
	(void)pthread_mutex_unlock(&outage->lock);
	return all;
}

void
sts_outage_succeeded(struct sts_outage *outage)
{
	(void)pthread_mutex_lock(&outage->lock);
	for (size_t i = 0; i < DOMAINS; i++)
		outage->slots[i].domain[0] = '\0';
	(void)pthread_mutex_unlock(&outage->lock);
}
