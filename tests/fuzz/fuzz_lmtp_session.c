/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Whatever an MTA says in one session, DATA and BDAT included: what reaches the delivery holds no
 * line end but CRLF and is no larger than allowed, every recipient that was taken up gets one final
 * reply, and every line of ours is a reply.
 */
#include "config.h"

#include <ctype.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/conf/conf.h"
#include "shim/lmtp/lmtp_server.h"
#include "tests/fuzz/fuzz.h"

#define MESSAGE_MAX	20000
#define INPUT_MAX	60000	/* goes into the socket in one piece, with nobody reading */

static struct conf conf;
static struct sockaddr_un address;
static socklen_t address_length = sizeof(address);
static atomic_uint delivered;	/* recipients of this input */

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static void
check_body(const struct body *body)
{
	char octets[4096], before = '\n';
	uint64_t offset = 0;
	ssize_t got, i;

	require(body_size(body) <= MESSAGE_MAX);
	while ((got = body_read(body, offset, octets, sizeof(octets))) > 0) {
		for (i = 0; i < got; i++) {
			require((octets[i] == '\n') == (before == '\r'));
			before = octets[i];
			if (offset + (uint64_t)i == 0)
				require(octets[i] != '\n');
		}
		offset += (uint64_t)got;
	}
	require(offset == body_size(body) && before == '\n');
}

static void
deliver(void *context, struct txn *txn, struct group *group)
{
	struct reply reply;
	size_t i;

	(void)context;
	check_body(txn->body);
	reply_set(&reply, 250, "2.0.0", "TAKEN");
	for (i = 0; i < group->count; i++) {
		require(group->rcpts[i]->address.mailbox[0] != '\0');
		delivered++;
		txn_settle(txn, group->rcpts[i], &reply);
	}
}

static void
start(void)
{
	static char hostname[] = "out.example";
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct lmtp_server *server;

	log_open("fuzz", false, LOG_LEVEL_ERROR);
	conf = (struct conf){ .hostname = hostname };
	conf.lmtp.max_sessions = 100;
	conf.lmtp.max_recipients = 20;
	conf.lmtp.parallel_domains = 4;
	conf.lmtp.max_message_size = MESSAGE_MAX;
	conf.lmtp.transaction_time = 20000;
	conf.lmtp.reply_length = REPLY_LINE_MAX;
	server = lmtp_server_new(&conf, body_spool_new("/nonexistent", 8 << 20), deliver, NULL);
	address.sun_family = AF_UNIX;	/* and no name: the kernel finds one outside the files */
	require(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	require(getsockname(listener, (struct sockaddr *)&address, &address_length) == 0);
	require(listen(listener, 8) == 0);
	require(lmtp_server_listen(server, listener, false) == 0);
}

static void
converse(const uint8_t *input, size_t length, struct buf *heard)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char octets[4096];
	ssize_t got;

	require(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_length) == 0);
	/* The server may hang up before it has read all. */
	(void)(send(fd, input, length, MSG_NOSIGNAL) == (ssize_t)length);
	(void)(send(fd, "\r\n", 2, MSG_NOSIGNAL) == 2);
	(void)shutdown(fd, SHUT_WR);
	while ((got = read(fd, octets, sizeof(octets))) > 0)
		buf_add(heard, octets, (size_t)got);
	(void)close(fd);
}

/* Returns how many say that a recipient's message was taken. */
static unsigned
check_replies(struct buf *heard)
{
	const char *line = buf_text(heard), *end;
	unsigned taken = 0;

	if (heard->length == 0)	/* it had said its last word before it could be greeted */
		return 0;
	/* Sessions of earlier inputs may not be over yet, and take up all places. */
	require(strncmp(line, "220 ", 4) == 0 || strncmp(line, "421 4.3.2 ", 10) == 0);
	require(strlen(line) == heard->length);
	for (; *line != '\0'; line = end + 2) {
		end = strstr(line, "\r\n");
		require(end != NULL && end - line >= 4 && end - line <= 510);
		require(line[0] >= '2' && line[0] <= '5' && isdigit((unsigned char)line[1]) &&
		    isdigit((unsigned char)line[2]) && (line[3] == ' ' || line[3] == '-'));
		require(memchr(line, '\r', (size_t)(end - line)) == NULL &&
		    memchr(line, '\n', (size_t)(end - line)) == NULL);
		if (strncmp(line, "250 2.0.0 TAKEN", 15) == 0)
			taken++;
	}
	return taken;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct buf heard = { 0 };

	if (length > INPUT_MAX)
		return 0;
	(void)pthread_once(&once, start);
	delivered = 0;
	converse(input, length, &heard);
	/* A client may disconnect after its last command: then there is no reply. */
	require(check_replies(&heard) <= delivered);
	buf_free(&heard);
	return 0;
}
