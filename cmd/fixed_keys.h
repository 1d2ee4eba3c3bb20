/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which differences between two configurations take effect only after a restart of stsgated?
 */
#ifndef CMD_FIXED_KEYS_H
#define CMD_FIXED_KEYS_H

#include "base/buf.h"
#include "base/conf/conf.h"

/* Writes their names, "user, lmtp.socket-mode", or nothing. */
void fixed_keys_changed(const struct conf *running, const struct conf *next, struct buf *names);

#endif
