/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Do policy fetches fail whomever they are for? Then it is hardly the policy hosts' fault. Any
 * thread.
 */
#ifndef POLICY_FACTS_STS_OUTAGE_H
#define POLICY_FACTS_STS_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

struct sts_outage;

struct sts_outage *sts_outage_new(void);
void sts_outage_free(struct sts_outage *outage);

/* A fetch for domain failed. true: so have all of the last ten minutes, for five domains at least.
 */
bool sts_outage_failed(struct sts_outage *outage, const char *domain, int64_t now_ms);
void sts_outage_succeeded(struct sts_outage *outage);

#endif
