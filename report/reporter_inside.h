/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The schedule (reporter.c), as sending by hand (reporter_send.c) needs it.
 */
#ifndef REPORT_REPORTER_INSIDE_H
#define REPORT_REPORTER_INSIDE_H

#include "report/jobs.h"
#include "report/reporter.h"

const struct reporter_plan *reporter_plan_of(const struct reporter *reporter);
struct jobs *reporter_jobs(const struct reporter *reporter);

#endif
