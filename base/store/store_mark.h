/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Must the whole store be read before it is used? A mark beside it, DIRECTORY/bdb.mark, tells how
 * it was left. In order, with files that are as they were then, or by a process that was killed
 * while the machine ran on: its pages are whole, and the first message need not wait for a million
 * of them. After anything else, or two such ends in a row, everything is read.
 * Used by one thread, but for store_mark_suspect(). What cannot be written costs time, not safety.
 */
#ifndef BASE_STORE_STORE_MARK_H
#define BASE_STORE_STORE_MARK_H

#include <stdbool.h>

/* home is the directory of the environment, which no process has open. */
bool store_mark_is_sound(const char *directory, const char *home);
/* Before it is opened for use; examined: everything has been read. */
void store_mark_opened(const char *directory, bool examined);
/* After it was closed in order. */
void store_mark_closed(const char *directory, const char *home);
/* Damage showed: whatever comes next, everything is to be read. Any thread. */
void store_mark_suspect(const char *directory);

#endif
