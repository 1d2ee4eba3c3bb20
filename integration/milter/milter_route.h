/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Does mail for this recipient leave by SMTP, and for which next-hop domain? Pure: what the MTA
 * tells at RCPT in, a domain out. A doubtful recipient is ignored, since refusing mail for the
 * site's own users would be worse than gathering a policy later.
 */
#ifndef INTEGRATION_MILTER_MILTER_ROUTE_H
#define INTEGRATION_MILTER_MILTER_ROUTE_H

#include <stdbool.h>

#include "base/domain.h"
#include "base/conf/conf.h"

struct milter_rcpt {
	const char *argument;	/* of RCPT: "<user@example.com>"; Postfix's cleanup omits the <> */
	/* {rcpt_mailer}, {rcpt_host}, {rcpt_addr}; or NULL */
	const char *mailer, *host, *address;
};

/*
 * True with the domain to ask about. False: local, a fixed host, an address literal, or an unknown
 * mailer. Remote are the mailers whose name contains "smtp", "relay", those whose name starts with
 * "stsgate", and any that hands over to one of lmtp's listeners; and every recipient for whom the
 * MTA names no mailer.
 */
bool milter_route(const struct milter_rcpt *rcpt, const struct conf_listener *lmtp,
    struct domain *domain);

#endif
