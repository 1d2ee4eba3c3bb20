/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Any octets as stsgate.conf: a conf and silence, or no conf and one line. conf_text lets nothing
 * through that libconfuse would refuse, and the environment is never read.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/conf/conf.h"
#include "tests/fuzz/fuzz.h"

#define SECRET	"value-of-the-environment"

/* said: the file says it itself, so that it need not come from the environment. */
static void
check_conf(const struct conf *conf, bool said)
{
	if (conf->hostname == NULL || conf->hostname[0] == '\0' || conf->smtp.port == 0 ||
	    conf->lmtp.max_sessions == 0 || conf->dns.timeout < 1000)
		abort();
	if (!said &&
	    (strstr(conf->user, SECRET) != NULL ||
		strstr(conf->tlsrpt.organization, SECRET) != NULL))
		abort();
	(void)conf_destination_find(conf, "a.example.com");
}

static void
check_errors(const struct conf *conf, const char *path, const char *errors)
{
	static const char unread[] = ": libconfuse cannot read this\n";
	const char *end = strchr(errors, '\n');
	size_t length = strlen(errors);

	if (conf != NULL && errors[0] != '\0')
		abort();
	if (conf == NULL &&
	    (end == NULL || end[1] != '\0' || strncmp(errors, path, strlen(path)) != 0 ||
		(length >= strlen(unread) &&
		    strcmp(errors + length - strlen(unread), unread) == 0)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	int fd = memfd_create("stsgate.conf", MFD_CLOEXEC);
	char path[64], *written = NULL;
	size_t size;
	FILE *errors = open_memstream(&written, &size);
	struct conf *conf;

	if (fd < 0 || errors == NULL || setenv("SECRET", SECRET, 1) != 0 ||
	    write(fd, input, length) != (ssize_t)length)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf = conf_load(path, errors);
	(void)fclose(errors);
	check_errors(conf, path, written);
	if (conf != NULL)
		check_conf(conf, memmem(input, length, SECRET, strlen(SECRET)) != NULL);
	conf_free(conf);
	free(written);
	(void)close(fd);
	return 0;
}
