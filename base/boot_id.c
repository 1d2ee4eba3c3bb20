/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/boot_id.h"

#define BOOT_ID_FILE	"/proc/sys/kernel/random/boot_id"
#define CLOCK_LINK	"/proc/self/ns/time"	/* time_namespaces(7) */

void
boot_id_read(char id[BOOT_ID_MAX])
{
	int fd = open(BOOT_ID_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = fd >= 0 ? read(fd, id, BOOT_ID_MAX - 1) : -1;

	if (fd >= 0)
		(void)close(fd);
	id[got > 0 ? got : 0] = '\0';
	id[strcspn(id, " \n")] = '\0';
}

void
boot_id_of_clock(char id[BOOT_ID_CLOCK_MAX])
{
	char boot[BOOT_ID_MAX], clock[BOOT_ID_MAX];
	ssize_t got = readlink(CLOCK_LINK, clock, sizeof(clock) - 1);

	boot_id_read(boot);
	clock[got > 0 ? got : 0] = '\0';
	clock[strcspn(clock, " \n")] = '\0';
	(void)snprintf(id, BOOT_ID_CLOCK_MAX, "%s%s%s", boot, boot[0] != '\0' ? "," : "",
	    boot[0] != '\0' ? clock : "");
}
