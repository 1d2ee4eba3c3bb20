/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A report by HTTPS (RFC 8460 5.4): one POST to port 443 of a URI that a remote party has chosen,
 * so no redirect, no private address, and no longer than the deadline. Blocks; any thread.
 */
#ifndef REPORT_UPLOAD_H
#define REPORT_UPLOAD_H

#include <stddef.h>

#include "base/deadline.h"
#include "base/http.h"
#include "base/conf/conf.h"
#include "policy/dns/resolver.h"

struct upload {
	const struct conf *conf;
	struct resolver *resolver;
	struct http *http;
	const char *uri;	/* as rua_parse() gave it */
	const void *packed;	/* the report's JSON in gzip */
	size_t length;
	struct deadline deadline;
};

/* 0: a 2xx was answered. -1 with the reason. */
int upload_report(const struct upload *upload, char *why, size_t why_room);

#endif
