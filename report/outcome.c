/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "report/outcome.h"

const char *
outcome_type_name(enum outcome_type type)
{
	switch (type) {
	case OUTCOME_TLSA:
		return "tlsa";
	case OUTCOME_STS:
		return "sts";
	case OUTCOME_NO_POLICY:
		break;
	}
	return "no-policy-found";
}
