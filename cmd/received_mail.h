/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Where is a TLS report in what came by mail (RFC 8460 5.3)? Reads a message or an mbox, of any
 * nesting of parts; the content is untrusted. For one thread.
 */
#ifndef CMD_RECEIVED_MAIL_H
#define CMD_RECEIVED_MAIL_H

#include <stddef.h>

/* Passes each part's decoded content to found(). */
void received_mail_read(const char *octets, size_t length,
    void (*found)(void *context, const char *octets, size_t length), void *context);

#endif
