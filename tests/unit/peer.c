/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/buf.h"
#include "tests/unit/peer.h"

#define PATIENCE_S	30
#define LINE_ROOM	8192
#define CONNECTIONS	64

struct guest {
	struct peer *peer;
	unsigned number;
	const char *const *script;
	int fd;
	SSL *ssl;
	bool left;	/* the client has gone, or did what the script does not know */
	pthread_t thread;
	char in[16384];
	size_t in_at, in_end;
};

struct peer {
	int listener;
	uint16_t port;
	SSL_CTX *context;
	const char *const *scripts[PEER_SCRIPTS];
	pthread_t thread;
	pthread_mutex_t lock;	/* for heard and sni */
	struct buf heard;
	char sni[256];
	struct guest guests[CONNECTIONS];
	unsigned guest_count;
	int over_fd;	/* an eventfd */
	bool joined;
};

static void
require(bool truth)
{
	if (!truth)
		abort();
}

static void
note(struct guest *guest, const char *mark, const char *text)
{
	pthread_mutex_lock(&guest->peer->lock);
	buf_printf(&guest->peer->heard, "%u%c %s%s\n", guest->number,
	    guest->ssl != NULL ? 't' : 'p', mark, text);
	pthread_mutex_unlock(&guest->peer->lock);
}

static void
put(struct guest *guest, const char *octets, size_t length)
{
	ssize_t sent = 1;

	while (length > 0 && sent > 0) {
		sent = guest->ssl != NULL ? SSL_write(guest->ssl, octets, (int)length)
					  : send(guest->fd, octets, length, MSG_NOSIGNAL);
		if (sent > 0) {
			octets += sent;
			length -= (size_t)sent;
		}
	}
	if (length > 0)
		guest->left = true;
}

static void
put_line(struct guest *guest, const char *text)
{
	struct buf line = { 0 };

	buf_printf(&line, "%s\r\n", text);
	put(guest, line.data, line.length);
	buf_free(&line);
}

/* One octet, or -1. */
static int
get(struct guest *guest)
{
	ssize_t got;

	if (guest->in_at == guest->in_end) {
		got = guest->ssl != NULL ? SSL_read(guest->ssl, guest->in, sizeof(guest->in))
					 : recv(guest->fd, guest->in, sizeof(guest->in), 0);
		if (got <= 0) {
			guest->left = true;
			return -1;
		}
		guest->in_at = 0;
		guest->in_end = (size_t)got;
	}
	return (unsigned char)guest->in[guest->in_at++];
}

static bool
get_line(struct guest *guest, char line[LINE_ROOM])
{
	size_t length = 0;
	int octet;

	while ((octet = get(guest)) >= 0 && octet != '\n')
		if (length < LINE_ROOM - 1)
			line[length++] = (char)octet;
	if (length > 0 && line[length - 1] == '\r')
		length--;
	line[length] = '\0';
	return octet == '\n';
}

static void
expect(struct guest *guest, const char *prefix)
{
	char line[LINE_ROOM];

	if (!get_line(guest, line)) {
		note(guest, "!left before ", prefix);
		return;
	}
	if (strncmp(line, prefix, strlen(prefix)) != 0) {
		note(guest, "!unexpected ", line);
		guest->left = true;
		return;
	}
	note(guest, "", line);
}

static void
take_content(struct guest *guest)
{
	char line[LINE_ROOM];

	while (get_line(guest, line)) {
		note(guest, ">", line);
		if (strcmp(line, ".") == 0)
			return;
	}
	note(guest, "!left in content", "");
}

static void
take_octets(struct guest *guest, long count)
{
	while (count-- > 0 && get(guest) >= 0)
		continue;
}

static void
take_rcpts(struct guest *guest, long count)
{
	while (count-- > 0 && !guest->left) {
		expect(guest, "RCPT TO:");
		put_line(guest, "250 2.1.5 Ok");
	}
}

static void
handshake(struct guest *guest)
{
	SSL *ssl = SSL_new(guest->peer->context);
	const char *sni;

	require(ssl != NULL && SSL_set_fd(ssl, guest->fd) == 1);
	if (SSL_accept(ssl) != 1) {
		note(guest, "", "(no handshake)");
		SSL_free(ssl);
		guest->left = true;
		return;
	}
	guest->ssl = ssl;
	sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	pthread_mutex_lock(&guest->peer->lock);
	snprintf(guest->peer->sni, sizeof(guest->peer->sni), "%s", sni != NULL ? sni : "");
	pthread_mutex_unlock(&guest->peer->lock);
}

static void
leave(struct guest *guest, bool reset)
{
	struct linger linger = { .l_onoff = 1 };

	if (reset)
		(void)setsockopt(guest->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	guest->left = true;
}

/* It ends early when the client is seen to leave, which takes an empty send buffer there. */
static void
pause_ms(const struct guest *guest, long ms)
{
	struct pollfd left = { .fd = guest->fd, .events = POLLRDHUP };

	(void)poll(&left, 1, (int)ms);
}

static void
pause_until_over(const struct guest *guest)
{
	struct pollfd over = { .fd = guest->peer->over_fd, .events = POLLIN };

	(void)poll(&over, 1, PATIENCE_S * 1000);
}

static void
put_ticket(struct guest *guest)
{
	struct pollfd state = { .fd = guest->fd };

	/* OpenSSL does not mind a ticket that cannot be sent. */
	if (SSL_new_session_ticket(guest->ssl) != 1 || SSL_do_handshake(guest->ssl) != 1 ||
	    poll(&state, 1, 0) != 0)
		guest->left = true;
}

static void
flood(struct guest *guest, const char *step)
{
	char record[5 + 16384] = "\x16\x03\x03\x40";

	while (!guest->left)
		if (step[0] == 'L')
			put_line(guest, step + 2);
		else if (step[0] == 'W')
			put(guest, step + 2, strlen(step + 2));
		else if (step[0] == 'E')
			put_ticket(guest);
		else
			put(guest, record, sizeof(record));
}

static void
put_alert(struct guest *guest, long number)
{
	char alert[] = { 0x15, 3, 3, 0, 2, 2, (char)number };

	put(guest, alert, sizeof(alert));
}

/* Has the client said more than it was answered? */
static void
require_quiet(struct guest *guest)
{
	struct pollfd state = { .fd = guest->fd, .events = POLLIN };

	if (guest->in_at < guest->in_end || poll(&state, 1, 60) > 0) {
		note(guest, "!not quiet", "");
		guest->left = true;
	}
}

static void
run_step(struct guest *guest, const char *step)
{
	const char *rest = step[1] == ' ' ? step + 2 : "";
	char line[LINE_ROOM];

	switch (step[0]) {
	case 'S':
		put_line(guest, rest);
		break;
	case 'B':
		put(guest, rest, strlen(rest));
		break;
	case 'C':
		expect(guest, rest);
		break;
	case 'A':
		expect(guest, "");
		break;
	case 'T':
		handshake(guest);
		break;
	case 'H':
		(void)get(guest);
		guest->in_at = guest->in_end;
		break;
	case 'D':
		take_content(guest);
		break;
	case 'K':
		take_octets(guest, atol(rest));
		break;
	case 'U':
		take_rcpts(guest, atol(rest));
		break;
	case 'R':
		leave(guest, true);
		break;
	case 'X':
		leave(guest, false);
		break;
	case 'Z':
		while (get_line(guest, line))
			note(guest, "", line);
		break;
	case 'G':
		put_alert(guest, atol(rest));
		break;
	case 'P':
		pause_ms(guest, atol(rest));
		break;
	case 'O':
		pause_until_over(guest);
		break;
	case 'Q':
		require_quiet(guest);
		break;
	case 'E':
	case 'L':
	case 'N':
	case 'W':
		flood(guest, step);
		break;
	default:
		abort();
	}
}

static void *
serve(void *argument)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct guest *guest = argument;
	size_t i;
	int on = 1;

	(void)setsockopt(guest->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	(void)setsockopt(guest->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	(void)setsockopt(guest->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	for (i = 0; guest->script[i] != NULL && !guest->left; i++)
		run_step(guest, guest->script[i]);
	SSL_free(guest->ssl);
	guest->ssl = NULL;
	close(guest->fd);
	return NULL;
}

static const char *const *
script_for(const struct peer *peer, unsigned number)
{
	unsigned i = 0;

	while (i + 1 < number && peer->scripts[i + 1] != NULL)
		i++;
	return peer->scripts[i];
}

static void
block_sigpipe(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void *
welcome(void *argument)
{
	struct peer *peer = argument;
	struct guest *guest;
	int fd;

	/* OpenSSL writes without MSG_NOSIGNAL. Only here: the code under test may die of it. */
	block_sigpipe();
	while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
		require(peer->guest_count < CONNECTIONS);
		guest = &peer->guests[peer->guest_count++];
		guest->peer = peer;
		guest->fd = fd;
		guest->number = peer->guest_count;
		guest->script = script_for(peer, guest->number);
		require(pthread_create(&guest->thread, NULL, serve, guest) == 0);
	}
	return NULL;
}

/* Rather than a curve. */
static void
prefer_dh(SSL_CTX *context, const char *group)
{
	EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	EVP_PKEY *parameters = NULL;

	require(maker != NULL && EVP_PKEY_paramgen_init(maker) == 1 &&
	    EVP_PKEY_CTX_set_group_name(maker, group) == 1 &&
	    EVP_PKEY_paramgen(maker, &parameters) == 1);
	require(SSL_CTX_set0_tmp_dh_pkey(context, parameters) == 1);
	require(SSL_CTX_set_cipher_list(context,
		    "DHE-RSA-AES256-GCM-SHA384:"
		    "ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=0") == 1);
	SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	EVP_PKEY_CTX_free(maker);
}

static SSL_CTX *
context_for(const struct peer_tls *tls)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	char sigalgs[64];	/* OpenSSL takes no const */

	require(context != NULL);
	SSL_CTX_set_security_level(context, 0);
	require(SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0") == 1);
	require(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1);
	require(SSL_CTX_set_max_proto_version(context, tls->max_version) == 1);
	require(SSL_CTX_use_certificate(context, cert_x509(tls->cert)) == 1);
	require(SSL_CTX_use_PrivateKey(context, cert_key(tls->cert)) == 1);
	if (tls->intermediate != NULL)
		require(SSL_CTX_add1_chain_cert(context, cert_x509(tls->intermediate)) == 1);
	snprintf(sigalgs, sizeof(sigalgs), "%s", tls->sigalgs != NULL ? tls->sigalgs : "");
	if (tls->sigalgs != NULL)
		require(SSL_CTX_set1_sigalgs_list(context, sigalgs) == 1);
	if (tls->dh_group != NULL)
		prefer_dh(context, tls->dh_group);
	if (tls->wants_client_cert)
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		    NULL);
	return context;
}

struct ip
peer_ip(void)
{
	struct ip ip;

	require(ip_parse("127.0.0.1", &ip) == 0);
	return ip;
}

struct peer *
peer_start(const struct peer_tls *tls, const char *const *const *scripts)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct peer *peer = xcalloc(1, sizeof(*peer));
	socklen_t length = sizeof(address);
	size_t i;

	for (i = 0; i < PEER_SCRIPTS && scripts[i] != NULL; i++)
		peer->scripts[i] = scripts[i];
	if (tls != NULL)
		peer->context = context_for(tls);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	require(bind(peer->listener, (const struct sockaddr *)&address, length) == 0);
	require(listen(peer->listener, 64) == 0);
	require(getsockname(peer->listener, (struct sockaddr *)&address, &length) == 0);
	peer->port = ntohs(address.sin_port);
	require((peer->over_fd = eventfd(0, EFD_CLOEXEC)) >= 0);
	require(pthread_mutex_init(&peer->lock, NULL) == 0);
	require(pthread_create(&peer->thread, NULL, welcome, peer) == 0);
	return peer;
}

static void
join(struct peer *peer)
{
	unsigned i;

	if (peer->joined)
		return;
	peer->joined = true;
	require(eventfd_write(peer->over_fd, 1) == 0);
	shutdown(peer->listener, SHUT_RDWR);
	pthread_join(peer->thread, NULL);
	for (i = 0; i < peer->guest_count; i++)
		pthread_join(peer->guests[i].thread, NULL);
}

const char *
peer_heard(struct peer *peer)
{
	join(peer);
	return buf_text(&peer->heard);
}

bool
peer_await(struct peer *peer, const char *text)
{
	const struct timespec moment = { 0, 5000000 };
	bool heard = false;
	int tries;

	for (tries = 0; !heard && tries < PATIENCE_S * 200; tries++) {
		pthread_mutex_lock(&peer->lock);
		heard = strstr(buf_text(&peer->heard), text) != NULL;
		pthread_mutex_unlock(&peer->lock);
		if (!heard)
			nanosleep(&moment, NULL);
	}
	return heard;
}

unsigned
peer_connections(const struct peer *peer)
{
	return peer->guest_count;
}

const char *
peer_sni(const struct peer *peer)
{
	return peer->sni;
}

uint16_t
peer_port(const struct peer *peer)
{
	return peer->port;
}

void
peer_free(struct peer *peer)
{
	join(peer);
	close(peer->listener);
	close(peer->over_fd);
	SSL_CTX_free(peer->context);
	pthread_mutex_destroy(&peer->lock);
	buf_free(&peer->heard);
	free(peer);
}
