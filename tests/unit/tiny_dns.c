/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "tests/unit/tiny_dns.h"

#define ZONE	"\6signed\7example"	/* wire form, with the NUL that ends it */
#define TTL	60
#define SLOW_MS	300

enum {
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_SOA = 6,
	TYPE_MX = 15,
	TYPE_TXT = 16,
	TYPE_AAAA = 28,
	TYPE_RRSIG = 46,
	TYPE_NSEC = 47,
	TYPE_DNSKEY = 48,
	TYPE_OPT = 41
};

struct tiny_dns {
	int fd;
	uint16_t port;
	pthread_t thread;
	EVP_PKEY *key;
	uint8_t dnskey[68];
	char anchor[64];
	atomic_bool strip;
	atomic_uint queries;
	atomic_uint late;	/* slow answers not yet sent */
};

struct message {
	uint8_t octets[2048];
	size_t length;
};

struct question {
	uint8_t name[256];	/* wire form, lower case */
	size_t name_length;
	uint16_t type;
	bool is_signed;
};

struct late_answer {
	struct tiny_dns *server;
	struct message message;
	struct sockaddr_in peer;
};

static void
put(struct message *message, const void *octets, size_t length)
{
	if (message->length + length > sizeof(message->octets))
		abort();
	memcpy(message->octets + message->length, octets, length);
	message->length += length;
}

static void
put16(struct message *message, unsigned value)
{
	uint8_t octets[] = { (uint8_t)(value >> 8), (uint8_t)value };

	put(message, octets, sizeof(octets));
}

static void
put32(struct message *message, uint32_t value)
{
	put16(message, value >> 16);
	put16(message, value & 0xffff);
}

static unsigned
key_tag(const uint8_t *rdata, size_t length)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < length; i++)
		sum += i % 2 == 0 ? (uint32_t)rdata[i] << 8 : rdata[i];
	return (sum + (sum >> 16)) & 0xffff;
}

static unsigned
label_count(const uint8_t *name)
{
	unsigned count = 0;

	for (; *name != 0; name += *name + 1)
		count++;
	return count;
}

/* ECDSA P-256 as RFC 6605: r and s, 32 octets each. */
static void
sign(EVP_PKEY *key, const struct message *text, uint8_t signature[64])
{
	uint8_t der[80];
	const uint8_t *at = der;
	size_t length = sizeof(der);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	ECDSA_SIG *both;

	if (EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, der, &length, text->octets, text->length) != 1)
		abort();
	both = d2i_ECDSA_SIG(NULL, &at, (long)length);
	BN_bn2binpad(ECDSA_SIG_get0_r(both), signature, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(both), signature + 32, 32);
	ECDSA_SIG_free(both);
	EVP_MD_CTX_free(ctx);
}

static void
put_record(struct message *message, const uint8_t *name, size_t name_length, uint16_t type,
    const void *rdata, size_t length)
{
	put(message, name, name_length);
	put16(message, type);
	put16(message, 1);
	put32(message, TTL);
	put16(message, (unsigned)length);
	put(message, rdata, length);
}

/* A record and its RRSIG (RFC 4034 3.1); count is the section's counter in the header. */
static void
add(struct tiny_dns *server, struct message *answer, unsigned count_at, bool signatures,
    const uint8_t *name, size_t name_length, uint16_t type, const void *rdata, size_t length)
{
	struct message rrsig = { .length = 0 }, text;
	uint8_t fixed[] = { 13, (uint8_t)label_count(name) }, signature[64];

	put_record(answer, name, name_length, type, rdata, length);
	answer->octets[count_at]++;
	if (!signatures || server->strip)
		return;
	put16(&rrsig, type);
	put(&rrsig, fixed, sizeof(fixed));
	put32(&rrsig, TTL);
	put32(&rrsig, 3600000000U);	/* 2084 */
	put32(&rrsig, 1577836800U);	/* 2020 */
	put16(&rrsig, key_tag(server->dnskey, sizeof(server->dnskey)));
	put(&rrsig, ZONE, sizeof(ZONE));
	text = rrsig;
	put_record(&text, name, name_length, type, rdata, length);
	sign(server->key, &text, signature);
	put(&rrsig, signature, sizeof(signature));
	put_record(answer, name, name_length, TYPE_RRSIG, rrsig.octets, rrsig.length);
	answer->octets[count_at]++;
}

static void
add_soa(struct tiny_dns *server, struct message *answer, unsigned count_at,
    const struct question *question)
{
	static const uint8_t tail[] = "\0\0\0\0\1\0\0\16\20\0\0\2\130\0\1\121\200\0\0\0\74";
	struct message rdata = { .length = 0 };
	const uint8_t *zone = question->is_signed ? (const uint8_t *)ZONE : question->name;
	size_t length = question->is_signed ? sizeof(ZONE) : question->name_length;

	put(&rdata, "\2ns", 3);
	put(&rdata, zone, length);
	put(&rdata, tail, sizeof(tail) - 1);
	add(server, answer, count_at, question->is_signed, zone, length, TYPE_SOA, rdata.octets,
	    rdata.length);
}

/* One NSEC from the zone's name round to itself denies every other name and every wildcard; at
 * its own name it says which types there are (RFC 4034 4). */
static void
add_denial(struct tiny_dns *server, struct message *answer, const struct question *question,
    bool no_name)
{
	static const uint8_t types[] = { 0, 6, 0x22, 0, 0, 0, 0, 3 };	/* SOA, NS; RRSIG, NSEC */
	struct message rdata = { .length = 0 };
	const uint8_t *owner = no_name ? (const uint8_t *)ZONE : question->name;

	add_soa(server, answer, 9, question);
	if (!question->is_signed)
		return;
	put(&rdata, ZONE, sizeof(ZONE));
	put(&rdata, types, sizeof(types));
	add(server, answer, 9, true, owner, no_name ? sizeof(ZONE) : question->name_length,
	    TYPE_NSEC, rdata.octets, rdata.length);
}

static bool
begins(const struct question *question, const char *label)
{
	size_t length = strlen(label);

	return question->name[0] >= length && memcmp(question->name + 1, label, length) == 0;
}

static void
add_cname(struct tiny_dns *server, struct message *answer, const struct question *question)
{
	struct message target = { .length = 0 };
	size_t first = (size_t)question->name[0] + 1;

	if (begins(question, "alias"))
		put(&target, "\6target", 7);
	else
		put(&target, question->name, first);
	put(&target, question->name + first, question->name_length - first);
	add(server, answer, 7, question->is_signed, question->name, question->name_length,
	    TYPE_CNAME, target.octets, target.length);
}

static void
add_data(struct tiny_dns *server, struct message *answer, const struct question *question)
{
	static const uint8_t a[] = { 192, 0, 2, 1 };
	static const uint8_t aaaa[] = { 0x20, 1, 0xd, 0xb8, [15] = 1 };
	static const char txt[] = "\21v=STSv1; id=tiny;";
	struct message rdata = { .length = 0 };

	switch (question->type) {
	case TYPE_A:
		put(&rdata, a, sizeof(a));
		break;
	case TYPE_AAAA:
		put(&rdata, aaaa, sizeof(aaaa));
		break;
	case TYPE_MX:
		put16(&rdata, 10);
		put(&rdata, "\2mx", 3);
		put(&rdata, question->name, question->name_length);
		break;
	case TYPE_TXT:
		put(&rdata, txt, sizeof(txt) - 1);
		break;
	case TYPE_DNSKEY:
		put(&rdata, server->dnskey, sizeof(server->dnskey));
		break;
	case TYPE_SOA:
		add_soa(server, answer, 7, question);
		return;
	default:
		add_denial(server, answer, question, false);
		return;
	}
	add(server, answer, 7, question->is_signed, question->name, question->name_length,
	    question->type, rdata.octets, rdata.length);
}

static int
read_question(const uint8_t *query, size_t length, struct question *question)
{
	size_t at = 12, start = 12;

	while (at < length && query[at] != 0)
		at += (size_t)query[at] + 1;
	if (at + 5 > length || at + 1 - start > sizeof(question->name))
		return -1;
	question->name_length = at + 1 - start;
	for (size_t i = 0; i < question->name_length; i++) {
		uint8_t octet = query[start + i];

		question->name[i] = octet >= 'A' && octet <= 'Z' ? (uint8_t)(octet + 32) : octet;
	}
	question->type = (uint16_t)(query[at + 1] << 8 | query[at + 2]);
	question->is_signed = question->name_length >= sizeof(ZONE) &&
	    memcmp(question->name + question->name_length - sizeof(ZONE), ZONE, sizeof(ZONE)) == 0;
	return 0;
}

static void
make_answer(struct tiny_dns *server, const uint8_t *query, const struct question *question,
    struct message *answer)
{
	static const uint8_t opt[] = { 0, 0, TYPE_OPT, 0x10, 0, 0, 0, 0x80, 0, 0, 0 };
	uint8_t header[12] = { query[0], query[1], 0x81, 0x80, 0, 1 };

	if (begins(question, "servfail"))
		header[3] |= 2;
	if (begins(question, "nx"))
		header[3] |= 3;
	put(answer, header, sizeof(header));
	put(answer, query + 12, question->name_length + 4);
	if (begins(question, "nx"))
		add_denial(server, answer, question, true);
	else if (begins(question, "nodata"))
		add_denial(server, answer, question, false);
	else if (begins(question, "alias") || begins(question, "loop"))
		add_cname(server, answer, question);
	else if (!begins(question, "servfail"))
		add_data(server, answer, question);
	put(answer, opt, sizeof(opt));
	answer->octets[11]++;
}

static void
send_answer(struct tiny_dns *server, const struct message *answer, const struct sockaddr_in *peer)
{
	sendto(server->fd, answer->octets, answer->length, 0, (const struct sockaddr *)peer,
	    sizeof(*peer));
}

static void *
send_late(void *context)
{
	struct late_answer *late = context;

	usleep(SLOW_MS * 1000);
	send_answer(late->server, &late->message, &late->peer);
	late->server->late--;
	free(late);
	return NULL;
}

static void
answer_late(struct tiny_dns *server, const struct message *answer, const struct sockaddr_in *peer)
{
	struct late_answer *late = malloc(sizeof(*late));
	pthread_t thread;

	*late = (struct late_answer){ server, *answer, *peer };
	server->late++;
	if (pthread_create(&thread, NULL, send_late, late) != 0)
		abort();
	pthread_detach(thread);
}

static void *
serve(void *context)
{
	struct tiny_dns *server = context;
	struct question question;
	struct sockaddr_in peer;
	uint8_t query[1024];

	for (;;) {
		struct message answer = { .length = 0 };
		socklen_t peer_length = sizeof(peer);
		ssize_t got = recvfrom(server->fd, query, sizeof(query), 0,
		    (struct sockaddr *)&peer, &peer_length);

		if (got <= 0)
			return NULL;
		if (got < 12 || read_question(query, (size_t)got, &question) != 0)
			continue;
		server->queries++;
		if (begins(&question, "silent"))
			continue;
		make_answer(server, query, &question, &answer);
		if (begins(&question, "slow"))
			answer_late(server, &answer, &peer);
		else
			send_answer(server, &answer, &peer);
	}
}

static void
make_key(struct tiny_dns *server)
{
	uint8_t point[65];
	char text[128];
	size_t length;
	FILE *file;
	int fd;

	server->key = EVP_EC_gen("P-256");
	if (server->key == NULL ||
	    EVP_PKEY_get_octet_string_param(server->key, OSSL_PKEY_PARAM_PUB_KEY, point,
		sizeof(point), &length) != 1 ||
	    length != sizeof(point))
		abort();
	memcpy(server->dnskey, "\1\1\3\15", 4);	/* 257 3 13 */
	memcpy(server->dnskey + 4, point + 1, 64);
	EVP_EncodeBlock((unsigned char *)text, server->dnskey + 4, 64);
	snprintf(server->anchor, sizeof(server->anchor), "/tmp/tiny-dns-XXXXXX");
	fd = mkstemp(server->anchor);
	file = fdopen(fd, "w");
	fprintf(file, "; an anchor\nsigned.example. IN DNSKEY 257 3 13 %s ; key\n", text);
	fclose(file);
}

struct tiny_dns *
tiny_dns_start(void)
{
	struct tiny_dns *server = calloc(1, sizeof(*server));
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int room = 1 << 20;

	make_key(server);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(server->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(server->fd, (struct sockaddr *)&address, length) != 0 ||
	    getsockname(server->fd, (struct sockaddr *)&address, &length) != 0 ||
	    pthread_create(&server->thread, NULL, serve, server) != 0)
		abort();
	server->port = ntohs(address.sin_port);
	return server;
}

void
tiny_dns_stop(struct tiny_dns *server)
{
	while (server->late > 0)
		usleep(10 * 1000);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	close(server->fd);
	unlink(server->anchor);
	EVP_PKEY_free(server->key);
	free(server);
}

uint16_t
tiny_dns_port(const struct tiny_dns *server)
{
	return server->port;
}

const char *
tiny_dns_anchor(const struct tiny_dns *server)
{
	return server->anchor;
}

void
tiny_dns_strip(struct tiny_dns *server, bool strip)
{
	server->strip = strip;
}

unsigned
tiny_dns_queries(struct tiny_dns *server)
{
	return server->queries;
}
