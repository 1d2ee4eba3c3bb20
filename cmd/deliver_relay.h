/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Carries an MTA's LMTP between its pipes and stsgated's socket, octet for octet, so that every
 * recipient's reply reaches the MTA the moment it is written. Uses libc alone.
 */
#ifndef CMD_DELIVER_RELAY_H
#define CMD_DELIVER_RELAY_H

/* Until either side is done. EX_OK when the last the server said was its 221. fd, a connected
 * non-blocking socket, is closed. */
int deliver_relay(int in, int out, int fd);

#endif
