/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/plan_inside.h"

bool
plan_is_own_fault(const struct facts *facts, enum dns_state state)
{
	if (facts->resolver_fault[0] == '\0')
		return false;
	return state == (facts->resolver == RESOLVER_SILENT ? DNS_FAILED : DNS_BOGUS);
}

const char *
plan_blame(struct arena *arena, const struct facts *facts, enum dns_state state, const char *domain,
    const char *way_out)
{
	if (plan_is_own_fault(facts, state))
		return arena_printf(arena, ", by no fault of %s: %s", domain,
		    facts->resolver_fault);
	if (state != DNS_BOGUS)
		return "";
	return arena_printf(arena, "; the DNS of %s must be repaired (until then %s)", domain,
	    way_out);
}

const char *
plan_own_fault(struct arena *arena, const struct facts *facts, enum dns_state state)
{
	return plan_is_own_fault(facts, state) ? arena_printf(arena, " (%s)", facts->resolver_fault)
					       : "";
}
