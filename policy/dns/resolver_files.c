/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "policy/dns/resolver_files.h"

#define FILE_MAX_OCTETS	(1024 * 1024)

int
resolver_files_look(const char *path, struct resolver_file *file)
{
	struct stat seen;

	*file = (struct resolver_file){ 0 };
	if (stat(path, &seen) != 0)
		return -1;
	file->device = seen.st_dev;
	file->inode = seen.st_ino;
	file->size = seen.st_size;
	file->changed_s = seen.st_mtim.tv_sec;
	file->changed_ns = seen.st_mtim.tv_nsec;
	return 0;
}

bool
resolver_files_same(const struct resolver_file *a, const struct resolver_file *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	    a->changed_s == b->changed_s && a->changed_ns == b->changed_ns;
}

/* The text of a small file, freed by the caller, or NULL with errno. */
static char *
read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text;

	if (fd < 0)
		return NULL;
	text = xcalloc(1, FILE_MAX_OCTETS + 1);
	if (read(fd, text, FILE_MAX_OCTETS) < 0) {
		free(text);
		text = NULL;
	}
	close(fd);
	return text;
}

int
resolver_files_anchors(const struct conf *conf, struct resolver_anchors *anchors, char *why,
    size_t why_room)
{
	for (size_t i = 0; i < conf->dns.trust_anchors.count; i++) {
		const char *path = conf->dns.trust_anchors.at[i];
		char *text = read_file(path);

		if (text == NULL) {
			snprintf(why, why_room, "the trust anchor %s cannot be read: %s", path,
			    strerror(errno));
			return -1;
		}
		resolver_setup_anchors(text, anchors);
		free(text);
	}
	return 0;
}

int
resolver_files_servers(const struct conf *conf, const char *resolv_conf,
    struct resolver_servers *servers, char *why, size_t why_room)
{
	char *text;

	servers->count = 0;
	switch (conf->dns.mode) {
	case DNS_MODE_RECURSE:
		return 0;
	case DNS_MODE_FORWARD:
		for (size_t i = 0; i < conf->dns.server_count; i++)
			resolver_servers_add(servers, &conf->dns.servers[i]);
		return 0;
	case DNS_MODE_SYSTEM:
		break;
	}
	text = read_file(resolv_conf);
	if (text == NULL) {
		snprintf(why, why_room, "%s cannot be read: %s", resolv_conf, strerror(errno));
		return -1;
	}
	resolver_setup_resolv_conf(text, servers);
	free(text);
	return 0;
}

void
resolver_files_describe(const struct conf *conf, const struct resolver_servers *servers,
    struct buf *text)
{
	struct resolver_file file;

	resolver_setup_unbound(conf, servers, RESOLVER_BY_SERVERS, false, text);
	for (size_t i = 0; i < conf->dns.trust_anchors.count; i++) {
		const char *path = conf->dns.trust_anchors.at[i];

		file = (struct resolver_file){ .size = -1 };
		(void)resolver_files_look(path, &file);
		buf_printf(text, "%s %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 ".%" PRId64 "\n",
		    path, file.device, file.inode, file.size, file.changed_s, file.changed_ns);
	}
}
