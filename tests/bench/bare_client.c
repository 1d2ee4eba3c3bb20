/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The least that sending a message over verified TLS can cost: a client that does nothing else. One
 * SSL_CTX, the trust store read once, PIPELINING, one message a connection or all over one. Prints
 * its own user and system time a message in milliseconds.
 *
 *   bare_client fresh|resumed|kept ADDRESS PORT NAME CA-FILE RECIPIENT OCTETS COUNT
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct connection {
	int fd;
	SSL *ssl;	/* NULL: not yet */
	char input[16384];
	size_t have;
};

struct job {
	struct sockaddr_in address;
	const char *name, *recipient;
	char *content;	/* with its final dot */
	size_t length;
	SSL_CTX *context;
	SSL_SESSION *session;	/* resumed: the last one offered */
	int resume;
};

static void
die(const char *what)
{
	fprintf(stderr, "bare_client: %s\n", what);
	exit(1);
}

static void
say(struct connection *connection, const char *octets, size_t length)
{
	ssize_t sent;
	size_t done;

	while (length > 0) {
		if (connection->ssl != NULL) {
			if (SSL_write_ex(connection->ssl, octets, length, &done) != 1)
				die("write under TLS");
		} else {
			sent = write(connection->fd, octets, length);
			if (sent <= 0)
				die("write");
			done = (size_t)sent;
		}
		octets += done;
		length -= done;
	}
}

static void
more(struct connection *connection)
{
	size_t room = sizeof(connection->input) - 1 - connection->have, got = 0;
	ssize_t read_octets;

	if (connection->ssl != NULL) {
		if (SSL_read_ex(connection->ssl, connection->input + connection->have, room,
			&got) != 1)
			die("read under TLS");
	} else {
		read_octets = read(connection->fd, connection->input + connection->have, room);
		if (read_octets <= 0)
			die("read");
		got = (size_t)read_octets;
	}
	connection->have += got;
	connection->input[connection->have] = '\0';
}

/* Waits for the last line of one reply, which must be of this class. */
static void
hear(struct connection *connection, char class)
{
	char *end, *line = connection->input;

	connection->input[connection->have] = '\0';
	for (;;) {
		while ((end = strstr(line, "\r\n")) == NULL) {
			size_t at = (size_t)(line - connection->input);

			more(connection);
			line = connection->input + at;
		}
		if (line[3] == ' ')
			break;
		line = end + 2;
	}
	if (line[0] != class)
		die(line);
	connection->have -= (size_t)(end + 2 - connection->input);
	memmove(connection->input, end + 2, connection->have);
}

static void
say_text(struct connection *connection, const char *text)
{
	say(connection, text, strlen(text));
}

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct job *job = SSL_get_app_data(ssl);

	SSL_SESSION_free(job->session);
	job->session = session;
	return 1;
}

static void
secure(struct connection *connection, struct job *job)
{
	SSL *ssl = SSL_new(job->context);

	SSL_set_app_data(ssl, job);
	SSL_set_tlsext_host_name(ssl, job->name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (SSL_set1_host(ssl, job->name) != 1 || SSL_set_fd(ssl, connection->fd) != 1)
		die("SSL");
	if (job->resume && job->session != NULL)
		(void)SSL_set_session(ssl, job->session);
	if (SSL_connect(ssl) != 1 || SSL_get_verify_result(ssl) != X509_V_OK)
		die("handshake");
	connection->ssl = ssl;
}

static void
open_connection(struct connection *connection, struct job *job)
{
	int one = 1;

	memset(connection, 0, sizeof(*connection));
	connection->fd = socket(AF_INET, SOCK_STREAM, 0);
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(connection->fd, (struct sockaddr *)&job->address, sizeof(job->address)) != 0)
		die("connect");
	hear(connection, '2');
	say_text(connection, "EHLO bench.example\r\n");
	hear(connection, '2');
	say_text(connection, "STARTTLS\r\n");
	hear(connection, '2');
	secure(connection, job);
	say_text(connection, "EHLO bench.example\r\n");
	hear(connection, '2');
}

static void
send_message(struct connection *connection, const struct job *job)
{
	char flight[600];

	(void)snprintf(flight, sizeof(flight),
	    "MAIL FROM:<sender@bench.example>\r\nRCPT TO:<%s>\r\nDATA\r\n", job->recipient);
	say_text(connection, flight);
	hear(connection, '2');
	hear(connection, '2');
	hear(connection, '3');
	say(connection, job->content, job->length);
	hear(connection, '2');
}

static void
close_connection(struct connection *connection)
{
	say_text(connection, "QUIT\r\n");
	(void)SSL_shutdown(connection->ssl);
	SSL_free(connection->ssl);
	(void)close(connection->fd);
}

static void
make_content(struct job *job, size_t octets)
{
	static const char line[] = "All work and no play makes a dull message, says the bench.\r\n";
	size_t at = 0, one = sizeof(line) - 1;

	job->content = malloc(octets + one + 32);
	at = (size_t)sprintf(job->content, "Subject: bench\r\n\r\n");
	for (; at < octets; at += one)
		memcpy(job->content + at, line, one);
	memcpy(job->content + at, ".\r\n", 3);
	job->length = at + 3;
}

static double
milliseconds(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e3;
}

static void
run(struct job *job, const char *mode, unsigned long count)
{
	struct connection connection;
	int kept = strcmp(mode, "kept") == 0;
	double before;

	open_connection(&connection, job);	/* not counted; it brings the first session */
	send_message(&connection, job);
	before = milliseconds();
	for (unsigned long i = 0; i < count; i++) {
		if (!kept) {
			close_connection(&connection);
			open_connection(&connection, job);
		}
		send_message(&connection, job);
	}
	printf("%.4f\n", (milliseconds() - before) / (double)count);
	close_connection(&connection);
}

int
main(int argc, char **argv)
{
	struct job job = { .resume = 0 };

	if (argc != 9)
		die("usage: bare_client MODE ADDRESS PORT NAME CA-FILE RECIPIENT OCTETS COUNT");
	job.resume = strcmp(argv[1], "resumed") == 0;
	job.address.sin_family = AF_INET;
	job.address.sin_port = htons((in_port_t)atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &job.address.sin_addr) != 1)
		die("address");
	job.name = argv[4];
	job.recipient = argv[6];
	make_content(&job, strtoul(argv[7], NULL, 10));
	job.context = SSL_CTX_new(TLS_client_method());
	if (SSL_CTX_load_verify_locations(job.context, argv[5], NULL) != 1)
		die("CA file");
	SSL_CTX_set_verify(job.context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(job.context,
	    SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(job.context, keep_session);
	run(&job, argv[1], strtoul(argv[8], NULL, 10));
	return 0;
}
