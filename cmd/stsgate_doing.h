/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is a check waiting for, in words? Pure.
 */
#ifndef CMD_STSGATE_DOING_H
#define CMD_STSGATE_DOING_H

#include "base/buf.h"

/* what: of a line with "doing" (shim/control/check.h), also one that is not known here. host and
 * address: "" where it has none. */
void stsgate_doing_words(const char *what, const char *host, const char *address,
    struct buf *words);

#endif
