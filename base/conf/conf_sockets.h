/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is one socket claimed twice? The second bind fails, in the worst case only at the next start.
 */
#ifndef BASE_CONF_CONF_SOCKETS_H
#define BASE_CONF_CONF_SOCKETS_H

#include "base/conf/conf.h"

/* For conf_table.c: what is wrong with an endpoint of the configuration, which stands in it at
 * least once; NULL: nothing. */
const char *conf_sockets_check(const struct conf *conf, const struct endpoint *endpoint);

#endif
