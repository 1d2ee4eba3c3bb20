/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host_name.h"

/* The resolver's full name for own; -1 when it knows none. */
static int
canonical_name(const char *own, struct domain *name)
{
	struct addrinfo hints = { .ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int result = -1;

	if (getaddrinfo(own, NULL, &hints, &found) != 0)
		return -1;
	if (found->ai_canonname != NULL)
		result = domain_parse(found->ai_canonname, strlen(found->ai_canonname), name);
	freeaddrinfo(found);
	/* A hosts file with "127.0.1.1 localhost NAME" knows no better name than our own. */
	if (result != 0 || strchr(name->name, '.') == NULL ||
	    strncmp(name->name, "localhost.", strlen("localhost.")) == 0)
		return -1;
	return 0;
}

int
host_name(struct domain *name)
{
	char own[256] = "";

	if (gethostname(own, sizeof(own) - 1) != 0)
		return -1;
	return canonical_name(own, name) == 0 ? 0 : domain_parse(own, strlen(own), name);
}
