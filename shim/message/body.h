/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One message's content, kept so that it can be sent again to every host: in memory up to
 * LIMIT_BODY_IN_MEMORY and the process's spool-memory, beyond that in an unlinked file. Lines end
 * in CRLF, no bare CR or LF is left, dots are not stuffed.
 * One thread fills a body; after body_end() any number may read it at once.
 */
#ifndef SHIM_MESSAGE_BODY_H
#define SHIM_MESSAGE_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct body_spool;	/* the process's budget of memory and its directory; any thread */
struct body_spool *body_spool_new(const char *directory, uint64_t memory);
void body_spool_free(struct body_spool *spool);

struct body;
struct body *body_new(struct body_spool *spool);
void body_free(struct body *body);	/* NULL is allowed */

/* Raw content of DATA without dot-stuffing or of BDAT, in pieces cut anywhere: a bare LF becomes
 * CRLF, a stray CR is dropped (no SMTP smuggling). 0, or -1: no room in memory or file (452 4.3.1).
 */
int body_add(struct body *body, const void *octets, size_t length);
int body_end(struct body *body);	/* completes the last line */

uint64_t body_size(const struct body *body);	/* octets with CRLF, unstuffed */
bool body_has_8bit(const struct body *body);
bool body_header_has_8bit(const struct body *body);	/* needs SMTPUTF8 */
unsigned body_received_headers(const struct body *body);
bool body_tls_required_no(const struct body *body);	/* the header field of RFC 8689 */

/* Octets from offset, at most room: > 0, 0 at the end, -1 when the spool file cannot be read. */
ssize_t body_read(const struct body *body, uint64_t offset, void *octets, size_t room);

#endif
