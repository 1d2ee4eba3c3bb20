/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The numbers that libtlsrpt has for result types. For datagram.c and datagram_read.c alone.
 */
#ifndef REPORT_DATAGRAM_CODE_H
#define REPORT_DATAGRAM_CODE_H

#include "policy/finding.h"

enum result_type datagram_code_type(long long code);	/* RESULT_OK: not one of them */

#endif
