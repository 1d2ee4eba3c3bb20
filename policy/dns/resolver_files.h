/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The files that a resolver depends on: resolv.conf(5) and the trust anchors.
 */
#ifndef POLICY_DNS_RESOLVER_FILES_H
#define POLICY_DNS_RESOLVER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/conf/conf.h"
#include "policy/dns/resolver_setup.h"

/* What tells one version of a file from another. */
struct resolver_file {
	uint64_t device, inode;
	int64_t size;
	int64_t changed_s, changed_ns;
};

int resolver_files_look(const char *path, struct resolver_file *file);	/* 0, or -1 with errno */
bool resolver_files_same(const struct resolver_file *a, const struct resolver_file *b);

/* Owners of all configured trust anchors. 0, or -1 with why: a file that cannot be read. */
int resolver_files_anchors(const struct conf *conf, struct resolver_anchors *anchors, char *why,
    size_t why_room);
/* The servers to ask as dns.mode has it; none when it says recurse. 0, or -1 with why. */
int resolver_files_servers(const struct conf *conf, const char *resolv_conf,
    struct resolver_servers *servers, char *why, size_t why_room);

/* Everything that an engine is made from: equal texts make equal engines. */
void resolver_files_describe(const struct conf *conf, const struct resolver_servers *servers,
    struct buf *text);

#endif
