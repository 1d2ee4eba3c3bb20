/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Was this program built with AddressSanitizer or ThreadSanitizer? gcc and clang say it in ways of
 * their own.
 */
#ifndef TESTS_UNIT_SANITIZED_H
#define TESTS_UNIT_SANITIZED_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED_ADDRESS	1
#endif
#if __has_feature(thread_sanitizer)
#define SANITIZED_THREAD	1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED_ADDRESS	1
#endif
#ifdef __SANITIZE_THREAD__
#define SANITIZED_THREAD	1
#endif
#ifndef SANITIZED_ADDRESS
#define SANITIZED_ADDRESS	0
#endif
#ifndef SANITIZED_THREAD
#define SANITIZED_THREAD	0
#endif

#endif
