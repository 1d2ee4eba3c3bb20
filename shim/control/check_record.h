/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does a domain publish as its MTA-STS record (RFC 8461 3.1), in the words of its owner? Asks
 * past earlier answers. Any thread.
 */
#ifndef SHIM_CONTROL_CHECK_RECORD_H
#define SHIM_CONTROL_CHECK_RECORD_H

#include "base/arena.h"
#include "base/deadline.h"
#include "policy/dns/resolver.h"
#include "policy/sts.h"

struct check_record {
	enum sts_txt_state state;	/* STS_TXT_NONE also where the look-up failed */
	char id[LIMIT_STS_ID + 1];	/* STS_TXT_VALID */
	const char *fault;	/* in words; NULL: it is valid, or there is nothing like it */
};

void check_record_ask(struct resolver *resolver, struct arena *arena, const char *domain,
    struct deadline deadline, struct check_record *record);

#endif
