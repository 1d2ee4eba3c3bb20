/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How is one of our endpoints written for libmilter? Pure.
 */
#ifndef INTEGRATION_MILTER_MILTER_CONN_H
#define INTEGRATION_MILTER_MILTER_CONN_H

#include "base/endpoint.h"

#define MILTER_CONN_MAX	(ENDPOINT_TEXT_MAX + 8)

/* "unix:/path", "inet:PORT@[ADDRESS]" or "inet6:PORT@[ADDRESS]": what stands in brackets is not
 * looked up as a name. */
void milter_conn(const struct endpoint *endpoint, char text[MILTER_CONN_MAX]);

#endif
