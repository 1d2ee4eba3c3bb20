/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Does a request on the control socket have an unambiguous path? All later code sees the decoded
 * path as a string: one that a NUL cuts, or with a slash that came escaped, would name something
 * else. Pure.
 */
#ifndef SHIM_CONTROL_CONTROL_PATH_H
#define SHIM_CONTROL_CONTROL_PATH_H

#include <stdbool.h>

/* uri: path and query as they came, not decoded. */
bool control_path_is_sound(const char *uri);
/* end: of the URI, which the parser has made a string in its buffer; next: what follows it in the
 * request line. Are there characters other than blanks between them? Then there was a NUL on the
 * wire. false when next is not shortly after end. */
bool control_path_is_cut(const char *end, const char *next);

#endif
