/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/http_transfer.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/thread.h"

void
http_transfer_decide(struct http_transfer *transfer, enum http_outcome outcome, const char *format,
    ...)
{
	va_list args;

	if (transfer->decided)
		return;
	/* When memory has run out, the errors of the libraries look like a fault of the peer. */
	if (outcome != HTTP_ANSWERED && memory_refusals() != transfer->refusals)
		outcome = HTTP_LOCAL;
	transfer->decided = true;
	transfer->answer.outcome = outcome;
	va_start(args, format);
	(void)vsnprintf(transfer->answer.reason, sizeof(transfer->answer.reason), format, args);
	va_end(args);
}

/* A machine without IPv6 has no address of it to connect from, which is as no way. */
bool
http_transfer_error_is_local(int error, bool v6)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EPERM:
	case EACCES:
		return true;
	case EADDRNOTAVAIL:
		return !v6;
	default:
		return false;
	}
}

static char *
copy_text(const char *text)
{
	return text != NULL ? xstrdup(text) : NULL;
}

static void
copy_addresses(struct http_transfer *transfer, const struct http_request *request)
{
	size_t i;

	transfer->addresses = xcalloc(LIMIT_ADDRESSES_PER_HOST, sizeof(*transfer->addresses));
	for (i = 0; i < request->address_count; i++) {
		if (!request->allow_private && !ip_is_public(&request->addresses[i]))
			continue;
		if (transfer->address_count < LIMIT_ADDRESSES_PER_HOST)
			transfer->addresses[transfer->address_count++] = request->addresses[i];
	}
}

struct http_transfer *
http_transfer_new(const struct http_request *request)
{
	struct http_transfer *transfer = xcalloc(1, sizeof(*transfer));

	transfer->refusals = memory_refusals();
	transfer->method = xstrdup(request->method);
	transfer->url = xstrdup(request->url);
	transfer->host = xstrdup(request->host);
	transfer->unix_path = copy_text(request->unix_path);
	transfer->content_type = copy_text(request->content_type);
	if (request->body_length > 0) {
		transfer->body = xmalloc(request->body_length);
		memcpy(transfer->body, request->body, request->body_length);
	}
	transfer->body_length = request->body_length;
	transfer->max_body = request->max_body;
	transfer->heard = request->heard;
	transfer->heard_by = request->heard_by;
	transfer->deadline = request->deadline;
	transfer->half_left_ms = deadline_left_ms(request->deadline) / 2;
	copy_addresses(transfer, request);
	thread_condition(&transfer->finished);
	return transfer;
}

void
http_transfer_free(struct http_transfer *transfer)
{
	buf_free(&transfer->answer.body);
	(void)pthread_cond_destroy(&transfer->finished);
	free(transfer->method);
	free(transfer->url);
	free(transfer->host);
	free(transfer->unix_path);
	free(transfer->content_type);
	free(transfer->body);
	free(transfer->addresses);
	free(transfer);
}

void
http_transfer_add(struct http_transfer *transfer, const char *octets, size_t length)
{
	buf_add(&transfer->answer.body, octets, length);
	if (transfer->heard != NULL)
		transfer->heard(transfer->heard_by, octets, length);
}
