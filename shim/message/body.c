/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "shim/message/body.h"
#include "shim/message/tls_required.h"

#define SLICE	4096	/* octets normalised in one go */
#define FIRST_ROOM	4096
#define RECEIVED_LENGTH	(sizeof(received) - 1)

static const char received[] = "received";

struct body_spool {
	pthread_mutex_t lock;
	uint64_t left;	/* octets of memory that bodies may still take */
	char *directory;
};

/* Where in the header is the next octet? Enough to count fields without keeping their lines. */
struct header_scan {
	bool over;	/* the empty line was seen */
	size_t column;	/* octets of this line so far, CR and LF not counted */
	size_t matched;	/* octets of this line that agree with received[], from its start; 0: they
			   are not all of its field name */
	unsigned received;
	bool has_8bit;
};

struct body {
	struct body_spool *spool;
	uint64_t size;
	char *memory;	/* the whole content, until there is a file */
	size_t room;	/* octets of memory, taken from the spool */
	int fd;	/* -1: in memory */
	uint64_t in_file;	/* octets written to fd */
	bool broken;	/* something could not be kept */
	bool line_open;	/* the last line has no CRLF yet */
	bool has_8bit;
	struct header_scan header;
	struct tls_required tls_required;
};

struct body_spool *
body_spool_new(const char *directory, uint64_t memory)
{
	struct body_spool *spool = xcalloc(1, sizeof(*spool));

	if (pthread_mutex_init(&spool->lock, NULL) != 0)
		abort();
	spool->left = memory;
	spool->directory = xstrdup(directory);
	return spool;
}

void
body_spool_free(struct body_spool *spool)
{
	if (spool == NULL)
		return;
	pthread_mutex_destroy(&spool->lock);
	free(spool->directory);
	free(spool);
}

static bool
spool_take(struct body_spool *spool, size_t octets)
{
	bool enough;

	pthread_mutex_lock(&spool->lock);
	enough = spool->left >= octets;
	if (enough) {
		spool->left -= octets;
		metrics_add(METRIC_SPOOL_BYTES, "memory", (int64_t)octets);
	}
	pthread_mutex_unlock(&spool->lock);
	return enough;
}

static void
spool_give(struct body_spool *spool, size_t octets)
{
	pthread_mutex_lock(&spool->lock);
	spool->left += octets;
	metrics_add(METRIC_SPOOL_BYTES, "memory", -(int64_t)octets);
	pthread_mutex_unlock(&spool->lock);
}

/* A file without a name, mode 0600. -1 with errno. */
static int
spool_file(const struct body_spool *spool)
{
	char *path;
	int fd;

	fd = open(spool->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	/* Not every file system can do that; any other error will occur again here. */
	if (asprintf(&path, "%s/stsgate.XXXXXX", spool->directory) < 0)
		return -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	free(path);
	return fd;
}

struct body *
body_new(struct body_spool *spool)
{
	struct body *body = xcalloc(1, sizeof(*body));

	body->spool = spool;
	body->fd = -1;
	return body;
}

static void
drop_memory(struct body *body)
{
	free(body->memory);
	body->memory = NULL;
	spool_give(body->spool, body->room);
	body->room = 0;
}

void
body_free(struct body *body)
{
	if (body == NULL)
		return;
	drop_memory(body);
	if (body->fd >= 0)
		close(body->fd);
	metrics_add(METRIC_SPOOL_BYTES, "file", -(int64_t)body->in_file);
	free(body);
}

/* Room for length more octets in memory? */
static bool
grow(struct body *body, size_t length)
{
	size_t needed = (size_t)body->size + length, room = body->room;
	char *memory;

	if (needed <= room)
		return true;
	if (needed > LIMIT_BODY_IN_MEMORY)
		return false;
	while (room < needed)
		room = room == 0 ? FIRST_ROOM : room * 2;
	if (!spool_take(body->spool, room - body->room))
		return false;
	memory = realloc(body->memory, room);
	if (memory == NULL) {
		spool_give(body->spool, room - body->room);
		return false;
	}
	body->memory = memory;
	body->room = room;
	return true;
}

static int
write_all(int fd, const char *octets, size_t length)
{
	size_t done = 0;
	ssize_t written;

	while (done < length) {
		written = write(fd, octets + done, length - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		done += (size_t)written;
	}
	return 0;
}

static int
write_file(struct body *body, const char *octets, size_t length)
{
	if (write_all(body->fd, octets, length) != 0)
		return -1;
	body->in_file += length;
	metrics_add(METRIC_SPOOL_BYTES, "file", (int64_t)length);
	return 0;
}

static int
move_to_file(struct body *body)
{
	body->fd = spool_file(body->spool);
	if (body->fd < 0 || write_file(body, body->memory, (size_t)body->size) != 0)
		return -1;
	drop_memory(body);
	return 0;
}

static int
append(struct body *body, const char *octets, size_t length)
{
	if (length == 0)
		return 0;
	if (body->fd < 0 && grow(body, length)) {
		memcpy(body->memory + body->size, octets, length);
	} else {
		if (body->fd < 0 && move_to_file(body) != 0)
			return -1;
		if (write_file(body, octets, length) != 0)
			return -1;
	}
	body->size += length;
	return 0;
}

static bool
has_8bit(const char *octets, size_t length)
{
	unsigned char all = 0;
	size_t i;

	for (i = 0; i < length; i++)
		all |= (unsigned char)octets[i];
	return all >= 0x80;
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* RFC 5322 4.5: blanks may come before the colon. */
static void
scan_name_octet(struct header_scan *header, char c)
{
	if (header->matched < RECEIVED_LENGTH) {
		if (header->matched == header->column && lower(c) == received[header->matched])
			header->matched++;
		return;
	}
	header->received += c == ':';
	if (c != ' ' && c != '\t')
		header->matched = 0;
}

static void
scan_header_octet(struct header_scan *header, char c)
{
	if (c == '\r')
		return;
	if (c == '\n') {
		header->over = header->column == 0;
		header->column = header->matched = 0;
		return;
	}
	scan_name_octet(header, c);
	header->column++;
	if ((unsigned char)c >= 0x80)
		header->has_8bit = true;
}

/* octets are normalised: a CR is always half of a line's end. */
static void
scan(struct body *body, const char *octets, size_t length)
{
	size_t i;

	if (!body->has_8bit)
		body->has_8bit = has_8bit(octets, length);
	for (i = 0; i < length && !body->header.over; i++)
		scan_header_octet(&body->header, octets[i]);
	tls_required_scan(&body->tls_required, octets, length);
}

/* Converts length octets to out, which has room for twice as many. Every CR goes and every LF
 * brings its own, so that it does not matter where the input is cut. */
static size_t
normalise(const char *octets, size_t length, char *out)
{
	char *to = out;
	size_t i;

	for (i = 0; i < length; i++) {
		if (octets[i] == '\r')
			continue;
		if (octets[i] == '\n')
			*to++ = '\r';
		*to++ = octets[i];
	}
	return (size_t)(to - out);
}

int
body_add(struct body *body, const void *octets, size_t length)
{
	const char *from = octets;
	char out[2 * SLICE];
	size_t part, made;

	for (; length > 0 && !body->broken; from += part, length -= part) {
		part = length < SLICE ? length : SLICE;
		made = normalise(from, part, out);
		scan(body, out, made);
		if (made > 0)
			body->line_open = out[made - 1] != '\n';
		body->broken = append(body, out, made) != 0;
	}
	return body->broken ? -1 : 0;
}

int
body_end(struct body *body)
{
	return body_add(body, "\n", body->line_open ? 1 : 0);
}

uint64_t
body_size(const struct body *body)
{
	return body->size;
}

bool
body_has_8bit(const struct body *body)
{
	return body->has_8bit;
}

bool
body_header_has_8bit(const struct body *body)
{
	return body->header.has_8bit;
}

unsigned
body_received_headers(const struct body *body)
{
	return body->header.received;
}

bool
body_tls_required_no(const struct body *body)
{
	return tls_required_is_no(&body->tls_required);
}

static ssize_t
read_file(int fd, uint64_t offset, void *octets, size_t room)
{
	ssize_t got;

	do {
		got = pread(fd, octets, room, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	/* The file is as long as what was written: an early end is damage, not the end. */
	return got > 0 ? got : -1;
}

ssize_t
body_read(const struct body *body, uint64_t offset, void *octets, size_t room)
{
	uint64_t left = offset < body->size ? body->size - offset : 0;
	size_t length = left < room ? (size_t)left : room;

	if (length == 0)
		return 0;
	if (body->fd >= 0)
		return read_file(body->fd, offset, octets, length);
	memcpy(octets, body->memory + offset, length);
	return (ssize_t)length;
}
