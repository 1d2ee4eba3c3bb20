/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A report as a mail message (RFC 8460 5.3): 7-bit, lines of 78 octets where names allow, CRLF.
 * Pure; any thread.
 */
#ifndef REPORT_REPORT_MAIL_H
#define REPORT_REPORT_MAIL_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "report/report.h"

struct report_mail {
	const struct reporter_name *name;
	const struct tally_report *report;
	const char *id;	/* report_id() */
	const char *to;	/* the address, its local part not yet quoted */
	const char *file_name;
	const void *packed;	/* the report's JSON in gzip */
	size_t packed_length;
	int64_t now;	/* wall clock, for Date */
};

void report_mail_write(const struct report_mail *mail, struct buf *message);
/* "a,b"@example.com: as a header and the envelope need it. */
const char *report_mail_address(struct arena *arena, const char *address);

#endif
