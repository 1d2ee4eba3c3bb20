/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What report/tally.c shows report/tally_scan.c.
 */
#ifndef REPORT_TALLY_INSIDE_H
#define REPORT_TALLY_INSIDE_H

#include "report/tally.h"

struct store *tally_store(const struct tally *tally);

#endif
