/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Has libunbound run out of something? A question that it cannot send for want of a descriptor ends
 * as one that no server answered; only its log tells them apart. For policy/dns/resolver_engine.c
 * alone. Any thread.
 */
#ifndef POLICY_DNS_RESOLVER_TROUBLE_H
#define POLICY_DNS_RESOLVER_TROUBLE_H

#include <stdio.h>

/* The stream for ub_ctx_debugout(), of all contexts, and never closed here. NULL: none. */
FILE *resolver_trouble_stream(void);
/* Grows with every such message, of all contexts. */
unsigned resolver_trouble_count(void);

#endif
