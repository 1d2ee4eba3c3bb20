/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>

#include "tests/unit/https_server.h"

struct connection {
	struct server *server;
	int fd;
	SSL *ssl;	/* NULL: plain */
};

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static int
receive(struct connection *connection, void *octets, int room)
{
	if (connection->ssl != NULL)
		return SSL_read(connection->ssl, octets, room);
	return (int)recv(connection->fd, octets, (size_t)room, 0);
}

/* false: the client has gone. */
static bool
deliver(struct connection *connection, const void *octets, size_t length)
{
	if (length == 0)
		return true;
	if (connection->ssl != NULL)
		return SSL_write(connection->ssl, octets, (int)length) > 0;
	return send(connection->fd, octets, length, MSG_NOSIGNAL) == (ssize_t)length;
}

static bool
say(struct connection *connection, const char *text)
{
	return deliver(connection, text, strlen(text));
}

static bool
fill(struct connection *connection, size_t length)
{
	char block[4096];
	size_t part;

	memset(block, 'x', sizeof(block));
	for (; length > 0; length -= part) {
		part = length < sizeof(block) ? length : sizeof(block);
		if (!deliver(connection, block, part))
			return false;
	}
	return true;
}

static void
say_sized(struct connection *connection, size_t announced, size_t sent)
{
	char head[200];

	(void)snprintf(head, sizeof(head),
	    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
	    announced);
	(void)(say(connection, head) && fill(connection, sent));
}

static void
say_for_ever(struct connection *connection, const char *head, const char *again, useconds_t pause)
{
	bool there = say(connection, head);

	while (there && !connection->server->stop) {
		there = say(connection, again);
		if (pause > 0)
			(void)usleep(pause);
	}
}

static void
stay_silent(struct connection *connection)
{
	struct pollfd input = { .fd = connection->fd, .events = POLLIN };
	char block[1000];

	while (!connection->server->stop)
		if (poll(&input, 1, 20) > 0 && recv(connection->fd, block, sizeof(block), 0) <= 0)
			return;
}

static void
echo(struct connection *connection, const char *head, size_t length, const char *body)
{
	const char *announced = strcasestr(head, "Content-Length:");
	size_t want = announced != NULL ? strtoul(announced + 15, NULL, 10) : 0;
	size_t have = length - (size_t)(body - head);
	char answer[200], block[4096];
	int got;

	(void)snprintf(answer, sizeof(answer), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	    want);
	(void)(say(connection, answer) && deliver(connection, body, have));
	for (; have < want; have += (size_t)got) {
		got = receive(connection, block, sizeof(block));
		if (got <= 0 || !deliver(connection, block, (size_t)got))
			return;
	}
}

#define OK_TEXT	"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"

static const struct {
	const char *path, *answer;
} answers[] = {
	{ "/ok", OK_TEXT "Content-Length: 5\r\n\r\nhello" },
	{ "/missing", "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope" },
	{ "/redirect", "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n" },
	{ "/http-1.0", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello" },
	{ "/chunked",
	    OK_TEXT "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\nX: y\r\n\r\n" },
	{ "/cut-chunk", OK_TEXT "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n" },
	{ "/continue", "HTTP/1.1 100 Continue\r\n\r\n" OK_TEXT "Content-Length: 5\r\n\r\nhello" },
	{ "/early-type",
	    "HTTP/1.1 103 Early Hints\r\nContent-Type: text/plain\r\n\r\n"
	    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello" },
	{ "/gzip", OK_TEXT "Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello" },
	{ "/folded", OK_TEXT "Content-Encoding:\r\n gzip\r\nContent-Length: 5\r\n\r\nhello" },
	{ "/identity", OK_TEXT "Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello" },
	{ "/te-gzip", OK_TEXT "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" },
	{ "/http-0.9", "hello\r\n" },
	{ "/garbage", "\x01\x02\x03\r\n\r\n" },
	{ "/negative", OK_TEXT "Content-Length: -5\r\n\r\nhello" },
	{ "/empty", "" },
	{ "/cut-headers", OK_TEXT },
	{ "/interim-cut", "HTTP/1.1 100 Continue\r\n\r\n" },
	{ "/no-body", OK_TEXT "Content-Length: 5\r\n\r\n" },
};

/* true: the connection ends without a word from TLS. */
static bool
behave(struct connection *connection, const char *path, const char *head, size_t length,
    const char *body)
{
	struct linger at_once = { .l_onoff = 1 };
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (strcmp(path, answers[i].path) == 0)
			(void)say(connection, answers[i].answer);
	if (strncmp(path, "/size/", 6) == 0)
		say_sized(connection, strtoul(path + 6, NULL, 10), strtoul(path + 6, NULL, 10));
	else if (strncmp(path, "/unsized/", 9) == 0)
		(void)(say(connection, OK_TEXT "\r\n") &&
		    fill(connection, strtoul(path + 9, NULL, 10)));
	else if (strcmp(path, "/cut") == 0)
		say_sized(connection, 100, 10);
	else if (strcmp(path, "/endless") == 0)
		say_for_ever(connection, OK_TEXT "Transfer-Encoding: chunked\r\n\r\n",
		    "4\r\nabcd\r\n", 0);
	else if (strcmp(path, "/drip") == 0)
		say_for_ever(connection, OK_TEXT "Content-Length: 10000\r\n\r\n", "x", 10000);
	else if (strcmp(path, "/headers") == 0)
		say_for_ever(connection, "HTTP/1.1 200 OK\r\n", "X-Header: one more\r\n", 0);
	else if (strcmp(path, "/header-line") == 0)
		say_for_ever(connection, "HTTP/1.1 200 OK\r\nX-Long: ", "abcdefghijklmnopqrst", 0);
	else if (strcmp(path, "/interim") == 0)
		say_for_ever(connection, "", "HTTP/1.1 100 Continue\r\n\r\n", 0);
	else if (strcmp(path, "/silent") == 0 || strcmp(path, "/no-body") == 0)
		stay_silent(connection);
	else if (strcmp(path, "/echo") == 0)
		echo(connection, head, length, body);
	else if (strcmp(path, "/reset") == 0 || strcmp(path, "/reset-body") == 0) {
		if (path[6] != '\0')
			say_sized(connection, 100, 10);
		(void)usleep(50000);	/* a reset overtakes what is unread */
		(void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		return true;
	}
	return strcmp(path, "/truncated") == 0 ? say(connection, OK_TEXT "\r\nhello") : false;
}

static void
note(struct server *server, char *where, size_t room, const char *text, size_t length)
{
	(void)pthread_mutex_lock(&server->lock);
	(void)snprintf(where, room, "%.*s", (int)length, text);
	(void)pthread_mutex_unlock(&server->lock);
}

bool
server_was_asked(struct server *server, const char *text)
{
	bool asked;

	(void)pthread_mutex_lock(&server->lock);
	asked = strcasestr(server->request, text) != NULL;
	(void)pthread_mutex_unlock(&server->lock);
	return asked;
}

bool
server_saw_sni(struct server *server, const char *name)
{
	bool seen;

	(void)pthread_mutex_lock(&server->lock);
	seen = strcmp(server->sni, name) == 0;
	(void)pthread_mutex_unlock(&server->lock);
	return seen;
}

/* Reads one request and answers it. */
static bool
serve(struct connection *connection)
{
	char head[8192], path[100];
	size_t length = 0;
	const char *end = NULL;
	int got;

	while (end == NULL && length < sizeof(head) - 1) {
		got = receive(connection, head + length, (int)(sizeof(head) - 1 - length));
		if (got <= 0)
			return false;
		length += (size_t)got;
		head[length] = '\0';
		end = strstr(head, "\r\n\r\n");
	}
	if (end == NULL || sscanf(head, "%*s %99s", path) != 1)
		return false;
	connection->server->requests++;
	note(connection->server, connection->server->request, sizeof(connection->server->request),
	    head, (size_t)(end - head));
	return behave(connection, path, head, length, end + 4);
}

static void
serve_tls(struct connection *connection)
{
	struct server *server = connection->server;
	const char *name;

	connection->ssl = SSL_new(server->context);
	need(SSL_set_fd(connection->ssl, connection->fd) == 1, "SSL_set_fd");
	if (SSL_accept(connection->ssl) == 1) {
		server->handshakes++;
		if (SSL_session_reused(connection->ssl))
			server->resumed++;
		name = SSL_get_servername(connection->ssl, TLSEXT_NAMETYPE_host_name);
		if (name != NULL)
			note(server, server->sni, sizeof(server->sni), name, strlen(name));
		if (!serve(connection))
			(void)SSL_shutdown(connection->ssl);
	}
	SSL_free(connection->ssl);
	ERR_clear_error();
}

static void
pass_on(int from, int to)
{
	struct pollfd both[2] = { { .fd = from, .events = POLLIN },
		{ .fd = to, .events = POLLIN } };
	char block[4096];
	ssize_t got;
	int i;

	while (poll(both, 2, 5000) > 0)
		for (i = 0; i < 2; i++) {
			if (both[i].revents == 0)
				continue;
			got = recv(both[i].fd, block, sizeof(block), 0);
			if (got <= 0 ||
			    send(both[1 - i].fd, block, (size_t)got, MSG_NOSIGNAL) != got)
				return;
		}
}

static void
serve_proxy(struct connection *connection)
{
	struct sockaddr_in there = { .sin_family = AF_INET };
	char head[1024] = "";
	ssize_t got = recv(connection->fd, head, sizeof(head) - 1, 0);
	unsigned port;
	int fd;

	if (got <= 0 || sscanf(head, "CONNECT %*[a-z.-]:%u", &port) != 1)
		return;
	connection->server->requests++;
	note(connection->server, connection->server->request, sizeof(connection->server->request),
	    head, (size_t)got);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	there.sin_port = htons((uint16_t)port);
	there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (const struct sockaddr *)&there, sizeof(there)) == 0 &&
	    say(connection, "HTTP/1.1 200 OK\r\n\r\n"))
		pass_on(connection->fd, fd);
	(void)close(fd);
}

static void *
connection_main(void *context)
{
	struct connection *connection = context;
	struct server *server = connection->server;
	struct linger at_once = { .l_onoff = 1 };
	char block[4096];

	server->connections++;
	switch (server->kind) {
	case SERVER_TLS:
	case SERVER_TLS_1_1:
	case SERVER_NO_OFFERS:
	case SERVER_MUTE_AT_OFFERS:
		serve_tls(connection);
		break;
	case SERVER_PLAIN:
		(void)serve(connection);
		break;
	case SERVER_NOT_TLS:
		(void)say(connection, "220 mail.example.com ESMTP\r\n");
		stay_silent(connection);
		break;
	case SERVER_SILENT:
		stay_silent(connection);
		break;
	case SERVER_RESET:
		(void)recv(connection->fd, block, sizeof(block), 0);
		(void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		break;
	case SERVER_PROXY:
		serve_proxy(connection);
		break;
	}
	(void)close(connection->fd);
	free(connection);
	server->running--;
	return NULL;
}

static void *
accept_main(void *context)
{
	struct server *server = context;
	struct connection *connection;
	pthread_t thread;
	int fd;

	while ((fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		connection = calloc(1, sizeof(*connection));
		need(connection != NULL, "calloc");
		connection->server = server;
		connection->fd = fd;
		server->running++;
		need(pthread_create(&thread, NULL, connection_main, connection) == 0, "thread");
		(void)pthread_detach(thread);
	}
	server->running--;
	return NULL;
}

static void
listen_unix(struct server *server, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(bind(server->listener, (const struct sockaddr *)&address, sizeof(address)) == 0, path);
}

static void
listen_tcp(struct server *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(bind(server->listener, (const struct sockaddr *)&address, sizeof(address)) == 0,
	    "bind");
	need(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0,
	    "getsockname");
	server->port = ntohs(address.sin_port);
}

static int
reject_offers(SSL *ssl, int *alert, void *context)
{
	struct server *server = context;
	const unsigned char *octets;
	size_t length;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &octets, &length) != 1 &&
	    (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_session_ticket, &octets, &length) != 1 ||
		length == 0))
		return SSL_CLIENT_HELLO_SUCCESS;
	server->rejected++;
	while (server->kind == SERVER_MUTE_AT_OFFERS && !server->stop)
		(void)usleep(10000);
	*alert = SSL_AD_HANDSHAKE_FAILURE;
	return SSL_CLIENT_HELLO_ERROR;
}

static SSL_CTX *
context_new(enum server_kind kind, X509 *cert, EVP_PKEY *key)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	need(context != NULL && SSL_CTX_use_certificate(context, cert) == 1 &&
		SSL_CTX_use_PrivateKey(context, key) == 1,
	    "certificate");
	if (kind == SERVER_TLS_1_1) {
		need(SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0") == 1, "ciphers");
		need(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1 &&
			SSL_CTX_set_max_proto_version(context, TLS1_1_VERSION) == 1,
		    "version");
	}
	return context;
}

struct server *
server_start(enum server_kind kind, X509 *cert, EVP_PKEY *key, const char *unix_path)
{
	struct server *server = calloc(1, sizeof(*server));
	pthread_t thread;

	need(server != NULL && pthread_mutex_init(&server->lock, NULL) == 0, "server");
	server->kind = kind;
	if (cert != NULL)
		server->context = context_new(kind, cert, key);
	if (kind == SERVER_NO_OFFERS || kind == SERVER_MUTE_AT_OFFERS)
		SSL_CTX_set_client_hello_cb(server->context, reject_offers, server);
	if (unix_path != NULL)
		listen_unix(server, unix_path);
	else
		listen_tcp(server);
	need(listen(server->listener, 200) == 0, "listen");
	server->running++;
	need(pthread_create(&thread, NULL, accept_main, server) == 0, "thread");
	(void)pthread_detach(thread);
	return server;
}

void
server_stop(struct server *server)
{
	int i;

	server->stop = true;
	(void)shutdown(server->listener, SHUT_RDWR);
	for (i = 0; server->running > 0 && i < 1000; i++)
		(void)usleep(5000);
	need(server->running == 0, "server_stop");
	(void)close(server->listener);
	SSL_CTX_free(server->context);
	(void)pthread_mutex_destroy(&server->lock);
	free(server);
}
