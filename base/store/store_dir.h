/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The store's place on the disk: its lock, and moving it. Used by one thread, at start. why
 * describes each failure for the administrator.
 */
#ifndef BASE_STORE_STORE_DIR_H
#define BASE_STORE_STORE_DIR_H

#include <stdbool.h>
#include <stddef.h>

/* Takes DIRECTORY/lock for as long as the descriptor is open. -1: the directory cannot be used, or
 * another process has it, which is not disturbed. */
int store_dir_lock(const char *directory, char *why, size_t why_room);

/* true: others than its owner may write to the directory; why names them. */
bool store_dir_is_exposed(const char *directory, char *why, size_t why_room);
bool store_dir_exists(const char *path);	/* a file or directory of that name */
/* Makes path an empty directory that only we may enter. 0 or -1. */
int store_dir_make(const char *path, char *why, size_t why_room);
/* An unused name next to path, to set the damaged store aside. */
void store_dir_aside(const char *path, char *aside, size_t room);
/* 0 or -1 */
int store_dir_rename(const char *from, const char *to, char *why, size_t why_room);
int store_dir_sync(const char *path, char *why, size_t why_room);	/* its entries; 0 or -1 */

#endif
