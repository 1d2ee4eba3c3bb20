/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is this text a configuration file that libconfuse reads just as it is written? By itself
 * libconfuse skips octets it does not know, expands ${NAME}, closes open sections at the end of the
 * file, lets a repeat replace or join what came before, and loses count of lines at comments. Here
 * all of that is an error or removed. This file does not know which keys exist.
 */
#ifndef BASE_CONF_CONF_TEXT_H
#define BASE_CONF_CONF_TEXT_H

#include <stddef.h>

#include "base/arena.h"

#define CONF_TEXT_MAX	(1024 * 1024)	/* octets of a configuration file */
#define CONF_VALUE_MAX	4096	/* octets of a name or value in it */

/* The error, for the one line that conf_load() writes. */
struct conf_fault {
	int line;	/* 0: of no line in particular */
	char text[512];
};

/* Fills fault; -1, so that a function can end with it. */
int conf_fault_set(struct conf_fault *fault, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

enum conf_shape { CONF_SCALAR, CONF_LIST, CONF_SECTION };

/* A key or a section as written in the file. */
struct conf_entry {
	enum conf_shape shape;
	const char *name;
	const char *title;	/* of a section: without quotes, escapes as written; NULL without */
	int line;	/* of the title, or of the name */
	int parent;	/* index of the section around it, -1 at the file's top; always smaller */
};

struct conf_text {
	char *clean;	/* for libconfuse: comments, titles and carriage returns are blanks now */
	struct conf_entry *entries;	/* in the file's order */
	size_t count;
};

/* 0, or -1 with fault. Everything handed out lives in the arena. */
int conf_text_read(struct arena *arena, const char *octets, size_t length, struct conf_text *text,
    struct conf_fault *fault);

#endif
