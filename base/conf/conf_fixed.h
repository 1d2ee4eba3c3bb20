/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which differences between two configurations take effect only after a restart of stsgated? Those
 * of the keys whose row says `fixed`.
 */
#ifndef BASE_CONF_CONF_FIXED_H
#define BASE_CONF_CONF_FIXED_H

#include "base/buf.h"
#include "base/conf/conf.h"

/* Writes their names, "user, lmtp.socket-mode", or nothing. */
void conf_fixed_changed(const struct conf *running, const struct conf *next, struct buf *names);

#endif
