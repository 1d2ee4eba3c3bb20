/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How many descriptors may this process have, and are there some left? Connections leave the last
 * of them to what cannot do without: the store, the log, files, libraries. Any thread.
 */
#ifndef BASE_DESCRIPTORS_H
#define BASE_DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

/* At the start: the soft limit becomes the hard one. Returns the limit. */
size_t descriptors_raise(void);
size_t descriptors_limit(void);

/* Of a connection that was just made, or -1 with errno: fd, or, where only the reserve is left, -1
 * with EMFILE and fd is closed. */
int descriptors_spare(int fd);

/* Is a descriptor free without touching the reserve? */
bool descriptors_have_spare(void);

/* Can so many be opened now? For operations that must not start without them. */
bool descriptors_left(size_t count);

#endif
