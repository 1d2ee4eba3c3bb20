/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is this still the same run of the same machine? Any thread.
 */
#ifndef BASE_BOOT_ID_H
#define BASE_BOOT_ID_H

#define BOOT_ID_MAX	64	/* with its NUL */

/* "" when the kernel does not tell. */
void boot_id_read(char id[BOOT_ID_MAX]);
/* The same, and which of the kernel's views of CLOCK_BOOTTIME we have: a container's may differ
 * from its host's and from that of the container before it. Without a space. */
#define BOOT_ID_CLOCK_MAX	(2 * BOOT_ID_MAX)
void boot_id_of_clock(char id[BOOT_ID_CLOCK_MAX]);

#endif
