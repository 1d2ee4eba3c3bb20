/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/bio.h>

#include "shim/smtp/tls_wire.h"

static bool
may_retry(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* OpenSSL comes back here as long as the peer feeds it, so that this is where time and the size
 * of a handshake are bounded, and what comes after it and is no content. */
static int
wire_read(BIO *bio, char *octets, int room)
{
	struct tls_wire *wire = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (deadline_passed(wire->deadline)) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (wire->budget == 0) {
		wire->overrun = true;
		return -1;
	}
	if ((size_t)room > wire->budget)
		room = (int)wire->budget;
	got = recv(wire->fd, octets, (size_t)room, 0);
	if (got < 0 && may_retry(errno))
		BIO_set_retry_read(bio);
	else if (got < 0)
		wire->error = errno;
	else if (got == 0)
		wire->ended = true;
	else
		wire->budget -= (size_t)got;
	return (int)got;
}

static int
wire_write(BIO *bio, const char *octets, int length)
{
	struct tls_wire *wire = BIO_get_data(bio);
	ssize_t sent;

	BIO_clear_retry_flags(bio);
	sent = send(wire->fd, octets, (size_t)length, MSG_NOSIGNAL);
	if (sent < 0 && may_retry(errno))
		BIO_set_retry_write(bio);
	else if (sent < 0)
		wire->error = errno;
	return (int)sent;
}

static long
wire_ctrl(BIO *bio, int command, long number, void *pointer)
{
	struct tls_wire *wire = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	if (command == BIO_CTRL_EOF)
		return wire->ended;
	return command == BIO_CTRL_FLUSH;
}

void *
tls_wire_method_new(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");

	if (method == NULL || BIO_meth_set_read(method, wire_read) != 1 ||
	    BIO_meth_set_write(method, wire_write) != 1 ||
	    BIO_meth_set_ctrl(method, wire_ctrl) != 1)
		abort();
	return method;
}

void *
tls_wire_bio_new(void *method, struct tls_wire *wire)
{
	BIO *bio = BIO_new(method);

	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, wire);
	BIO_set_init(bio, 1);
	return bio;
}
