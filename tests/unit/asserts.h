/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Assertions about texts, which show the whole text when they fail. */
#ifndef TESTS_UNIT_ASSERTS_H
#define TESTS_UNIT_ASSERTS_H

void assert_starts(const char *text, const char *start);
void assert_has(const char *text, const char *part);

#endif
