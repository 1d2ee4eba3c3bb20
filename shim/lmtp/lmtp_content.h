/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Takes one message's content from the MTA, by DATA or by any number of BDAT chunks. Content that
 * cannot be kept is still read to its end, so that the session stays in step. Used by one thread.
 */
#ifndef SHIM_LMTP_LMTP_CONTENT_H
#define SHIM_LMTP_LMTP_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/reply.h"
#include "base/stream.h"
#include "shim/message/body.h"

struct lmtp_content {
	struct body *body;	/* NULL once the message is refused */
	struct reply refusal;	/* for every recipient; code 0: none */
	uint64_t max_size;
};

struct lmtp_pace {
	int64_t step_ms;	/* for the next octets to come */
	struct deadline all;	/* for the last one */
};

void lmtp_content_begin(struct lmtp_content *content, struct body_spool *spool, uint64_t max_size);
void lmtp_content_drop(struct lmtp_content *content);	/* also when never begun, from zero */

/* Up to CRLF "." CRLF. Other than STREAM_OK: the session is lost. */
enum stream_status lmtp_content_read_data(struct lmtp_content *content, struct stream *stream,
    const struct lmtp_pace *pace);
/* A chunk of that many octets. content NULL: they are dropped. */
enum stream_status lmtp_content_read_chunk(struct lmtp_content *content, struct stream *stream,
    uint64_t octets, const struct lmtp_pace *pace);
/* The message is complete: its last line too, and it is looked at for what the end alone shows. */
void lmtp_content_end(struct lmtp_content *content);

#endif
