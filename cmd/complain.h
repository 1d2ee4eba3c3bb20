/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Errors for the administrator who starts a daemon: they must be visible wherever the log goes.
 */
#ifndef CMD_COMPLAIN_H
#define CMD_COMPLAIN_H

#include "base/conf/conf.h"

/* To the log, and to stderr when the log goes elsewhere. why "": what says it all. */
void complain(const struct conf *conf, const char *what, const char *why);

#endif
