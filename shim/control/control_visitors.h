/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Who is connected to the control socket, and who has to go when there are too many? Connections
 * that have nothing asked give way to new ones, the longest silent first: those of the same user
 * where he has LIMIT_CONTROL_OF_ONE, anybody's where there are LIMIT_CONTROL_VISITORS. So nobody,
 * with or without intent, keeps the administrator out. Descriptors stay their owner's, and are only
 * shut down. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_VISITORS_H
#define SHIM_CONTROL_CONTROL_VISITORS_H

#include <stdbool.h>
#include <stdint.h>

struct visitors;
struct visitor;

struct visitors *visitors_new(void);
void visitors_free(struct visitors *visitors);	/* all have left */

/* uid -1: not known; all of those are one. Makes room, or shuts fd itself down where every
 * connection that could go has its question being answered. */
struct visitor *visitors_enter(struct visitors *visitors, int fd, int64_t uid);
/* Its question is whole and is being answered; or that is over. */
void visitors_set_busy(struct visitors *visitors, struct visitor *visitor, bool busy);
void visitors_leave(struct visitors *visitors, struct visitor *visitor);	/* before close() */

#endif
