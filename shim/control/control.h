/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The administrator's door: HTTP/1.1 with JSON on libmicrohttpd, over control.listen. A TCP
 * listener serves what only tells, never what shows policies or changes anything.
 */
#ifndef SHIM_CONTROL_CONTROL_H
#define SHIM_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf/conf.h"
#include "policy/facts/gather.h"
#include "shim/smtp/deliver.h"
#include "shim/control/control_tlsrpt.h"

struct control;

struct control_context {
	const struct conf *conf;
	struct gatherer gatherer;
	const struct deliver_context *deliver;	/* for checks; must outlive it */
	struct control_tlsrpt tlsrpt;
};

struct control *control_new(const struct control_context *context);
/* Starts serving a bound, listening socket, which control then owns. 0 or -1 with errno. */
int control_listen(struct control *control, int listener, bool tcp);
/* Breaks off what runs there, which is answered so, and closes it. */
void control_unlisten(struct control *control, int listener);
void control_free(struct control *control);	/* the same for all */

#endif
