/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How do the words given for a key land in their field? One kind for each sort of field; a row of
 * base/conf/conf_table.h names its kind. Used by conf_load() alone.
 */
#ifndef BASE_CONF_CONF_KIND_H
#define BASE_CONF_CONF_KIND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/conf/conf_table.h"
#include "base/conf/conf_text.h"

struct conf_word {
	const char *text;
	int line;	/* 0: the default */
};

/* The value of one key, from the file or its default. */
struct conf_given {
	const struct conf_key *key;
	const struct conf_word *words;
	size_t count;	/* 1, or for a list any number */
	int line;	/* of the key itself, for an empty list */
	struct arena *arena;	/* of what the conf points to */
	struct conf_fault *fault;
};

/* Fault "section.key = "word": why" for words[index]; -1. */
int conf_given_refuse(const struct conf_given *given, size_t index, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct conf_kind {
	bool list;
	bool bare;	/* numbers and flags: written without quotes */
	size_t size;	/* octets of a plain value in its field; 0: a char *, or not comparable */
	/* 0, or -1 with a fault. */
	int (*set)(const struct conf_given *given, void *field, void *also);
};

extern const struct conf_kind conf_kind_flag;	/* bool */
extern const struct conf_kind conf_kind_count;	/* unsigned, least to most */
extern const struct conf_kind conf_kind_port;	/* uint16_t */
extern const struct conf_kind conf_kind_size;	/* uint64_t, least to most octets */
extern const struct conf_kind conf_kind_length;	/* size_t, least to most octets */
extern const struct conf_kind conf_kind_duration;	/* int64_t, least to most milliseconds */
extern const struct conf_kind conf_kind_choice;	/* an enum: the index in names */
extern const struct conf_kind conf_kind_either;	/* bool: the index in names */

extern const struct conf_kind conf_kind_text;	/* char *, may be empty */
extern const struct conf_kind conf_kind_user;	/* char * */
extern const struct conf_kind conf_kind_backend;	/* char *, one of names */
extern const struct conf_kind conf_kind_path;	/* char *, absolute */
extern const struct conf_kind conf_kind_file;	/* char *, absolute, readable where given */
extern const struct conf_kind conf_kind_files;	/* struct conf_strings of such */
extern const struct conf_kind conf_kind_host;	/* char *, NULL for "" */
extern const struct conf_kind conf_kind_hosts;	/* struct conf_strings */
extern const struct conf_kind conf_kind_patterns;	/* the same, also "*.name" */
extern const struct conf_kind conf_kind_keywords;	/* struct conf_strings, of EHLO */
extern const struct conf_kind conf_kind_proxy;	/* char * */
extern const struct conf_kind conf_kind_mail;	/* char *, an address or empty */
extern const struct conf_kind conf_kind_submit;	/* char *, "smtp://host:port" or a command */
extern const struct conf_kind conf_kind_reports;	/* char *, NULL for "" */
extern const struct conf_kind conf_kind_socket;	/* char *, "unix:PATH" or empty */

/* base/conf/conf_kind_net.c */
extern const struct conf_kind conf_kind_listen;	/* struct conf_listener's endpoints */
extern const struct conf_kind conf_kind_listen_local;	/* the same, Unix and loopback alone */
extern const struct conf_kind conf_kind_endpoint_local;	/* struct endpoint, Unix or loopback */
extern const struct conf_kind conf_kind_mode;	/* mode_t */
extern const struct conf_kind conf_kind_group;	/* gid_t, -1 for "" */
extern const struct conf_kind conf_kind_blocks;	/* struct conf_block *; also: size_t */
extern const struct conf_kind conf_kind_servers;	/* struct conf_server *; also: size_t */
extern const struct conf_kind conf_kind_source4;	/* struct ip; also: bool */
extern const struct conf_kind conf_kind_source6;	/* struct ip; also: bool */
extern const struct conf_kind conf_kind_families;	/* struct conf: three flags in smtp */
extern const struct conf_kind conf_kind_relay;	/* struct conf_destination: relay_... */

#endif
