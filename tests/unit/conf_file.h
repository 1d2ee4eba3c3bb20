/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Loads a text as a configuration file, through a real file in a directory of the test's own. */
#ifndef TESTS_UNIT_CONF_FILE_H
#define TESTS_UNIT_CONF_FILE_H

#include <stddef.h>

#include "base/conf/conf.h"

int conf_file_setup(void **state);	/* for cmocka: makes the directory */
int conf_file_teardown(void **state);
const char *conf_file_directory(void);

/* The conf, or NULL. What was written to the stream is conf_file_errors(), without the file's name
 * and its colon. */
struct conf *conf_file_load(const char *octets, size_t length);
struct conf *conf_file_load_text(const char *text);
const char *conf_file_errors(void);

#endif
