/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The layer between OpenSSL and a descriptor: time, and a limit of what a peer may send besides
 * content: a handshake, and session tickets afterwards. For tls_client alone. A wire is of one
 * thread.
 */
#ifndef SHIM_SMTP_TLS_WIRE_H
#define SHIM_SMTP_TLS_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct tls_wire {
	int fd;	/* not its own */
	struct deadline deadline;	/* of the call under way */
	size_t budget;	/* octets that the peer may still send, with nothing come of them */
	bool overrun;	/* budget used up */
	bool ended;	/* the peer closed */
	int error;	/* errno of the descriptor, 0: none */
};

void *tls_wire_method_new(void);	/* a BIO_METHOD, for BIO_meth_free() */
/* A BIO of that method on a wire, which must outlive it; NULL: OpenSSL lacks memory. */
void *tls_wire_bio_new(void *method, struct tls_wire *wire);

#endif
