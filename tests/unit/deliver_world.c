/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "policy/facts/gather.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/tls_client.h"
#include "tests/unit/deliver_world.h"
#include "tests/unit/mx_certs.h"

#define DOMAIN	"example.net"

static struct cert *root, *good;
static struct tls_client *tls;
static char ca_file[64];

const struct plan *world_plan;

static void
require(bool truth)
{
	if (!truth)
		abort();
}

int
world_begin(void **state)
{
	char why[200];

	(void)state;
	root = cert_make(&(struct cert_wish){ .cn = "Root", .ca = true });
	good = cert_make(&(struct cert_wish){ .issuer = root, .names = { "mx1.example.net" } });
	snprintf(ca_file, sizeof(ca_file), "/tmp/stsgate-test-world-%ld.pem", (long)getpid());
	cert_write(root, ca_file);
	tls = tls_client_new(ca_file, why, sizeof(why));
	return tls != NULL ? 0 : -1;
}

int
world_end(void **state)
{
	(void)state;
	tls_client_free(tls);
	unlink(ca_file);
	cert_free(root);
	cert_free(good);
	return 0;
}

void
world_init(struct world *world, size_t host_count)
{
	static struct ip ip;
	static char hostname[] = "out.example.org", domain[] = DOMAIN;
	static const char *names[WORLD_HOSTS] = { "mx1.example.net", "mx2.example.net",
		"mx3.example.net", "mx4.example.net" };
	size_t i;

	memset(world, 0, sizeof(*world));
	ip = peer_ip();
	world->conf.hostname = hostname;
	world->conf.destinations = &world->destination;
	world->destination.name = domain;
	world->conf.lmtp.transaction_time = 60000;
	world->conf.smtp.connect_timeout = 20000;
	world->conf.smtp.command_timeout = 20000;
	world->conf.smtp.data_timeout = 20000;
	world->conf.smtp.final_timeout = 20000;
	world->time_ms = 60000;
	world->sender = "sender@example.org";
	world->content = "Subject: test\r\n\r\nhello\r\n";
	world->conn_limit = conn_limit_new(10, 10);
	world->plan = (struct plan){ .verdict = PLAN_USE,
		.hosts = world->hosts,
		.host_count = host_count,
		.use_count = host_count,
		.plaintext_retry = true };
	for (i = 0; i < host_count; i++)
		world->hosts[i] = (struct plan_host){ .name = names[i],
			.sni = names[i],
			.names = &names[i],
			.name_count = 1,
			.addresses = &ip,
			.address_count = 1,
			.use = true,
			.mx_match = true };
}

void
world_enforce(struct world *world, size_t index, bool enforce)
{
	static struct demand demands[2] = {
		{ .source = SOURCE_STS, .need = NEED_CERTIFICATE, .enforce = false },
		{ .source = SOURCE_STS, .need = NEED_CERTIFICATE, .enforce = true },
	};

	world->hosts[index].demands = &demands[enforce];
	world->hosts[index].demand_count = 1;
	world->plan.source = SOURCE_STS;
	world->plan.mode = enforce ? "enforce" : "testing";
	world->plan.policy_id = "20260101";
}

static void
parse(struct world *world, const char *path, struct address *address)
{
	const char *why;

	require(address_parse(world->arena, path, strlen(path), true, address, &why) == 0);
}

static struct body *
make_body(const struct world *world, struct body_spool *spool)
{
	struct body *body = body_new(spool);
	size_t length = world->content_length;

	if (length == 0)
		length = strlen(world->content);
	require(body_add(body, world->content, length) == 0 && body_end(body) == 0);
	return body;
}

static void *
hang_up(void *argument)
{
	struct world *world = argument;

	require(peer_await(world->peer, world->abandon_after));
	txn_abandon(world->txn);
	return NULL;
}

/* The messages that go first. */
static void
run_before(struct world *world, struct deliver_context *context)
{
	struct address sender;
	struct rcpt *rcpt;
	struct txn *txn;
	unsigned i;

	parse(world, "earlier@example.org", &sender);
	for (i = 0; i < world->before; i++) {
		rcpt = arena_alloc(world->arena, sizeof(*rcpt));
		parse(world, "before@" DOMAIN, &rcpt->address);
		txn = txn_new(world->arena, "t0", &sender, rcpt, 1, world->txn->body,
		    deadline_in(world->time_ms));
		deliver_group(context, txn, &txn->groups[0]);
		require(rcpt->settled);
		txn_free(txn);
	}
}

static void
run(struct world *world)
{
	static const struct conn_cache_rules rules = {
		.idle_ms = 60000, .time_ms = 60000, .messages = 100
	};
	struct deliver_context context = { .conf = &world->conf,
		.tls = tls,
		.conn_limit = world->conn_limit,
		.host_backoff = world->host_backoff };
	int64_t began;
	pthread_t mta;

	if (world->before > 0)
		context.conn_cache = conn_cache_new(&rules, world->conn_limit);
	context.gatherer.conf = &world->conf;
	run_before(world, &context);
	if (world->gone)
		txn_abandon(world->txn);
	began = clock_monotonic_ms();
	if (world->abandon_after != NULL)
		require(pthread_create(&mta, NULL, hang_up, world) == 0);
	deliver_group(&context, world->txn, &world->txn->groups[0]);
	world->took_ms = clock_monotonic_ms() - began;
	if (world->abandon_after != NULL)
		pthread_join(mta, NULL);
	conn_cache_free(context.conn_cache);
}

void
world_deliver(struct world *world, const char *const *const *scripts, const char *const *recipients)
{
	static const char *const one[] = { "someone@" DOMAIN, NULL };
	struct peer_tls peer_tls = {
		.cert = good, .sigalgs = world->sigalgs, .max_version = world->max_version
	};
	struct body_spool *spool = body_spool_new("/tmp", 64 << 20);
	struct address sender;
	struct body *body;
	size_t i, count = 0;

	world->arena = arena_new();
	parse(world, world->sender, &sender);
	if (recipients == NULL)
		recipients = one;
	while (recipients[count] != NULL)
		count++;
	world->rcpts = arena_array(world->arena, count, sizeof(struct rcpt));
	for (i = 0; i < count; i++)
		parse(world, recipients[i], &world->rcpts[i].address);
	body = make_body(world, spool);
	world->peer = peer_start(&peer_tls, scripts);
	world->conf.smtp.port = peer_port(world->peer);
	world->txn = txn_new(world->arena, "t1", &sender, world->rcpts, count, body,
	    deadline_in(world->time_ms));
	world->txn->smtputf8 = world->smtputf8;
	world->txn->wish = world->wish;
	require(world->txn->group_count == 1);
	world_plan = world->gone ? NULL : &world->plan;
	run(world);
	world->heard = peer_heard(world->peer);
	world->connections = peer_connections(world->peer);
	body_free(body);
	body_spool_free(spool);
}

void
world_deliver_logged(struct world *world, const char *const *const *scripts,
    const char *const *recipients)
{
	FILE *log = tmpfile();
	int saved = dup(STDERR_FILENO);
	char chunk[4096];
	size_t got;

	require(log != NULL && saved >= 0);
	require(dup2(fileno(log), STDERR_FILENO) >= 0);
	log_open("test", false, LOG_LEVEL_INFO);
	world_deliver(world, scripts, recipients);
	log_open("test", false, LOG_LEVEL_ERROR);
	require(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	rewind(log);
	while ((got = fread(chunk, 1, sizeof(chunk), log)) > 0)
		buf_add(&world->log, chunk, got);
	fclose(log);
}

const char *
world_reply(const struct world *world, size_t rcpt)
{
	char *line = arena_alloc(world->arena, REPLY_LINE_MAX + 1);

	require(world->rcpts[rcpt].settled);
	reply_line(&world->rcpts[rcpt].reply, line);
	return line;
}

bool
world_went(const struct world *world, const char *reply, unsigned connections)
{
	return world->connections == connections &&
	    strncmp(world_reply(world, 0), reply, strlen(reply)) == 0;
}

bool
world_was_content_heard(const struct world *world)
{
	return strstr(world->heard, " >") != NULL;
}

void
world_free(struct world *world)
{
	if (world->txn != NULL)
		txn_free(world->txn);
	if (world->peer != NULL)
		peer_free(world->peer);
	conn_limit_free(world->conn_limit);
	arena_free(world->arena);
	buf_free(&world->log);
}
