/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which valid settings are probably mistakes? Pure; any thread.
 */
#ifndef BASE_CONF_CONF_WARN_H
#define BASE_CONF_CONF_WARN_H

#include "base/conf/conf.h"

/* Says each warning, one line without its end. */
void conf_warn(const struct conf *conf, void (*say)(void *context, const char *warning),
    void *context);

#endif
