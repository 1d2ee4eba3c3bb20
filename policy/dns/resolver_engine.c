/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

#include <unbound.h>

#include "base/buf.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/thread.h"
#include "policy/dns/resolver_engine.h"
#include "policy/dns/resolver_names.h"
#include "policy/dns/resolver_trouble.h"
#include "policy/dns/resolver_turns.h"

#define ENGINE_STACK	(256 * 1024)
#define CLASS_IN	1
#define RCODE_NOERROR	0
#define RCODE_NXDOMAIN	3
#define PORTS_MAX	2048	/* descriptors of libunbound for UDP, a quarter of all at most */
#define PORTS_MIN	16
#define PORTS_EACH	2	/* for a question: one of its own, and those of its zone's keys */
#define NEEDED	24	/* descriptors of a new context, and some */
#define LOCAL_NAME	"stsgate.invalid"	/* libunbound answers by itself (RFC 6761) */
#define WARM_MS	2000	/* for an answer that takes no server */
#define ECHO_MS	1500	/* for the same at the end ... */
#define ENDING_MS	2000	/* ... and for the thread to end */

struct resolver_engine {
	struct ub_ctx *ctx;
	int end;	/* eventfd: readable when the thread is to end */
	bool running;
	pthread_t thread;
	atomic_bool dead;	/* libunbound has stopped and does not call back */
	bool echoed;	/* libunbound answered at the end; the thread's own until it has ended */
	bool ended;	/* the thread; under the lock */
	pthread_cond_t ending;
	LIST_ENTRY(resolver_engine) link;	/* among those left behind */

	struct resolver_turns *turns;
	pthread_mutex_t lock;
	bool stopped;
	LIST_HEAD(, batch) batches;
};

/* Contexts share some locks inside libunbound, which are made with the first one and destroyed with
 * whichever ends: contexts come and go one at a time. */
static pthread_mutex_t contexts = PTHREAD_MUTEX_INITIALIZER;

/* A context that does not answer cannot be deleted: that would wait for its thread for ever. */
static LIST_HEAD(, resolver_engine) left_behind = LIST_HEAD_INITIALIZER(left_behind);
static pthread_mutex_t left_behind_lock = PTHREAD_MUTEX_INITIALIZER;

/* One question in flight. It has a place among the turns and a reference on its batch until
 * libunbound answers, possibly long after the caller has left: it has no way to cancel a
 * question. */
struct slot {
	struct batch *batch;
	char *name;	/* NULL: it was not sent */
	bool late;	/* most of the time had gone before its turn came */
	bool done;
	unsigned trouble;	/* resolver_trouble_count() when it was sent */
	struct ub_result *result;	/* NULL with done: libunbound failed */
};

/* The questions of one caller: on the heap, since callbacks may outlive the caller's wait. */
struct batch {
	LIST_ENTRY(batch) link;
	struct resolver_engine *engine;
	pthread_mutex_t lock;
	pthread_cond_t all_done;
	size_t references;
	size_t open;	/* slots sent and not done */
	bool stopped;	/* waiting is over */
	size_t count;
	struct slot slots[];
};

static struct batch *
batch_new(struct resolver_engine *engine, size_t count)
{
	struct batch *batch = xcalloc(1, sizeof(*batch) + count * sizeof(batch->slots[0]));

	pthread_mutex_init(&batch->lock, NULL);
	thread_condition(&batch->all_done);
	batch->engine = engine;
	batch->references = 1;
	batch->count = count;
	pthread_mutex_lock(&engine->lock);
	batch->stopped = engine->stopped;
	LIST_INSERT_HEAD(&engine->batches, batch, link);
	pthread_mutex_unlock(&engine->lock);
	return batch;
}

static void
batch_destroy(struct batch *batch)
{
	struct resolver_engine *engine = batch->engine;

	pthread_mutex_lock(&engine->lock);
	LIST_REMOVE(batch, link);
	pthread_mutex_unlock(&engine->lock);
	for (size_t i = 0; i < batch->count; i++) {
		ub_resolve_free(batch->slots[i].result);
		free(batch->slots[i].name);
	}
	pthread_cond_destroy(&batch->all_done);
	pthread_mutex_destroy(&batch->lock);
	free(batch);
}

/* Called with the lock held, which is given up. */
static void
batch_release(struct batch *batch)
{
	bool last = --batch->references == 0;

	pthread_mutex_unlock(&batch->lock);
	if (last)
		batch_destroy(batch);
}

static void
answered(void *context, int error, struct ub_result *result)
{
	struct slot *slot = context;
	struct batch *batch = slot->batch;

	(void)error;	/* result is NULL then */
	resolver_turns_give(batch->engine->turns, slot->name);
	pthread_mutex_lock(&batch->lock);
	slot->result = result;
	slot->done = true;
	if (--batch->open == 0)
		pthread_cond_signal(&batch->all_done);
	batch_release(batch);
}

/* Once it is its turn, or never. */
static void
send_question(struct batch *batch, struct slot *slot, const struct dns_question *question,
    struct deadline deadline)
{
	struct ub_ctx *ctx = batch->engine->ctx;
	int64_t left = deadline_left_ms(deadline);
	int error, id;

	if (!resolver_turns_take(batch->engine->turns, question->name, deadline))
		return;
	slot->batch = batch;
	slot->name = xstrdup(question->name);
	slot->late = deadline_left_ms(deadline) < left / 2;
	slot->trouble = resolver_trouble_count();
	pthread_mutex_lock(&batch->lock);
	batch->references++;
	batch->open++;
	pthread_mutex_unlock(&batch->lock);
	error = ub_resolve_async(ctx, question->name, (int)question->type, CLASS_IN, slot, answered,
	    &id);
	if (error == UB_NOERROR)
		return;
	/* A question that libunbound knows and cannot pass on must not come back later. */
	if (error == UB_PIPE)
		ub_cancel(ctx, id);
	answered(slot, error, NULL);
}

void
resolver_engine_stop(struct resolver_engine *engine)
{
	struct batch *batch;

	resolver_turns_stop(engine->turns);
	pthread_mutex_lock(&engine->lock);
	engine->stopped = true;
	LIST_FOREACH (batch, &engine->batches, link) {
		pthread_mutex_lock(&batch->lock);
		batch->stopped = true;
		pthread_cond_signal(&batch->all_done);
		pthread_mutex_unlock(&batch->lock);
	}
	pthread_mutex_unlock(&engine->lock);
}

static void
wait_for_answers(struct batch *batch, struct deadline deadline)
{
	struct timespec until = deadline_timespec(deadline);

	pthread_mutex_lock(&batch->lock);
	while (batch->open > 0 && !batch->stopped && !deadline_passed(deadline))
		pthread_cond_timedwait(&batch->all_done, &batch->lock, &until);
	pthread_mutex_unlock(&batch->lock);
}

static const char *
rcode_text(int rcode)
{
	static const char *const names[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED" };

	if (rcode < 0 || (size_t)rcode >= sizeof(names) / sizeof(names[0]))
		return "an unknown error";
	return names[rcode];
}

static void __attribute__((format(printf, 2, 3)))
fail(struct dns_answer *answer, const char *format, ...)
{
	va_list args;

	answer->state = DNS_FAILED;
	va_start(args, format);
	vsnprintf(answer->why, sizeof(answer->why), format, args);
	va_end(args);
}

/* By our own doing: nothing is known about the name. */
static void
fail_here(struct dns_answer *answer, const char *why)
{
	fail(answer, "%s", why);
	answer->not_asked = true;
}

static void
set_canonical(struct dns_answer *answer, const char *name)
{
	size_t length = strlen(name);

	while (length > 0 && name[length - 1] == '.')
		length--;
	if (length >= sizeof(answer->canonical))
		length = sizeof(answer->canonical) - 1;
	for (size_t i = 0; i < length; i++)
		answer->canonical[i] = (char)tolower((unsigned char)name[i]);
	answer->canonical[length] = '\0';
}

static void
copy_records(struct arena *arena, const struct ub_result *result, struct dns_answer *answer)
{
	if (!result->havedata)
		return;
	while (result->data[answer->count] != NULL)
		answer->count++;
	answer->records = arena_array(arena, answer->count, sizeof(answer->records[0]));
	for (size_t i = 0; i < answer->count; i++) {
		size_t length = (size_t)result->len[i];
		uint8_t *data = arena_alloc(arena, length + 1);

		memcpy(data, result->data[i], length);
		answer->records[i] = (struct dns_record){ data, length };
	}
}

static void
read_result(struct arena *arena, const struct ub_result *result, struct dns_answer *answer)
{
	if (result->bogus) {
		answer->state = DNS_BOGUS;
		resolver_bogus_token(result->why_bogus, answer->why);
		return;
	}
	if (result->rcode != RCODE_NOERROR && result->rcode != RCODE_NXDOMAIN) {
		fail(answer, "the DNS servers answer %s", rcode_text(result->rcode));
		return;
	}
	answer->state = result->secure ? DNS_SECURE : DNS_INSECURE;
	answer->exists = !result->nxdomain;
	answer->ttl = result->ttl > 0 ? (uint32_t)result->ttl : 0;
	copy_records(arena, result, answer);
	if (result->canonname != NULL)
		set_canonical(answer, result->canonname);
}

/* Was the question, or one that its answer takes, not sent for want of something? */
static bool
is_hampered(const struct slot *slot, const struct dns_answer *answer)
{
	return (answer->state == DNS_FAILED || answer->state == DNS_BOGUS) &&
	    resolver_trouble_count() != slot->trouble;
}

/* Called with the batch's lock held: a late callback may hand in a result meanwhile. */
static void
collect(struct arena *arena, const struct batch *batch, const struct slot *slot,
    struct dns_question *question)
{
	struct dns_answer *answer = &question->answer;

	*answer = (struct dns_answer){ 0 };
	set_canonical(answer, question->name);
	if (slot->name == NULL && batch->engine->dead)
		fail_here(answer, "the resolver library has stopped");
	else if (slot->name == NULL)
		fail_here(answer, "this stsgate has too many look-ups under way");
	else if (slot->done && slot->result == NULL)
		fail_here(answer, "the resolver did not accept the query");
	else if (slot->done)
		read_result(arena, slot->result, answer);
	else if (slot->late || batch->stopped)
		fail_here(answer, "no answer from the DNS servers in the time that was left");
	else
		fail(answer, "no answer from the DNS servers in time");
	if (is_hampered(slot, answer))
		fail_here(answer, "this stsgate lacks descriptors or memory for its look-ups");
}

void
resolver_engine_ask(struct resolver_engine *engine, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	struct batch *batch = batch_new(engine, count);

	for (size_t i = 0; i < count; i++)
		send_question(batch, &batch->slots[i], &questions[i], deadline);
	wait_for_answers(batch, deadline);
	pthread_mutex_lock(&batch->lock);
	for (size_t i = 0; i < count; i++)
		collect(arena, batch, &batch->slots[i], &questions[i]);
	batch_release(batch);
}

void
resolver_engine_want(struct resolver_engine *engine, const char *name, enum dns_type type)
{
	const struct dns_question question = { .name = name, .type = type };
	struct batch *batch = batch_new(engine, 1);

	send_question(batch, &batch->slots[0], &question, deadline_in(0));
	pthread_mutex_lock(&batch->lock);
	batch_release(batch);
}

bool
resolver_engine_is_dead(const struct resolver_engine *engine)
{
	return engine->dead;
}

/* Waits, and lets libunbound, whose descriptor is the first, call answered(). */
static int
serve(struct resolver_engine *engine, struct pollfd *fds, nfds_t count, int timeout_ms)
{
	int ready = poll(fds, count, timeout_ms);

	if (ready < 0 && errno != EINTR)
		return UB_PIPE;
	if (ready <= 0) {
		for (nfds_t i = 0; i < count; i++)
			fds[i].revents = 0;
		return UB_NOERROR;
	}
	return fds[0].revents == 0 ? UB_NOERROR : ub_process(engine->ctx);
}

static void
echoed(void *context, int error, struct ub_result *result)
{
	struct resolver_engine *engine = context;

	engine->echoed = error == UB_NOERROR;
	ub_resolve_free(result);
}

/* Asks for a name that libunbound answers by itself, without a turn: none may be left. */
static void
await_echo(struct resolver_engine *engine, struct pollfd *fd)
{
	struct deadline deadline = deadline_in(ECHO_MS);
	int id, error;

	error = ub_resolve_async(engine->ctx, LOCAL_NAME, DNS_A, CLASS_IN, engine, echoed, &id);
	while (error == UB_NOERROR && !engine->echoed && !deadline_passed(deadline))
		error = serve(engine, fd, 1, (int)deadline_left_ms(deadline));
}

/* Runs until it is stopped. */
static void *
engine_run(void *context)
{
	struct resolver_engine *engine = context;
	struct pollfd fds[] = { { .fd = ub_fd(engine->ctx), .events = POLLIN },
		{ .fd = engine->end, .events = POLLIN } };
	int error = UB_NOERROR;

	while (error == UB_NOERROR && fds[1].revents == 0)
		error = serve(engine, fds, 2, -1);
	if (error != UB_NOERROR) {
		log_message(LOG_LEVEL_ERROR, "dns", "libunbound has stopped (%s)",
		    ub_strerror(error));
		engine->dead = true;
		resolver_engine_stop(engine);	/* no answer will come */
	}
	if (!engine->dead)
		await_echo(engine, fds);
	pthread_mutex_lock(&engine->lock);
	engine->ended = true;
	pthread_cond_signal(&engine->ending);
	pthread_mutex_unlock(&engine->lock);
	return NULL;
}

static int
engine_start(struct resolver_engine *engine)
{
	int error;

	engine->end = eventfd(0, EFD_CLOEXEC);
	if (engine->end < 0)
		return errno;
	error = thread_start(&engine->thread, ENGINE_STACK, engine_run, engine);
	engine->running = error == 0;
	return error;
}

/* unbound.conf(5) through memory: zones can be forwarded in no other way, and no file is left. */
static int
load_settings(struct ub_ctx *ctx, const struct buf *text)
{
	char path[40];
	int error = UB_READFILE;
	int fd = memfd_create("unbound.conf", MFD_CLOEXEC);

	if (fd < 0)
		return error;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, text->data, text->length) == (ssize_t)text->length)
		error = ub_ctx_config(ctx, path);
	close(fd);
	return error;
}

static int
load_trust_anchors(struct ub_ctx *ctx, const struct conf *conf)
{
	int error = UB_NOERROR;

	for (size_t i = 0; error == UB_NOERROR && i < conf->dns.trust_anchors.count; i++)
		error = ub_ctx_add_ta_file(ctx, conf->dns.trust_anchors.at[i]);
	return error;
}

static size_t
ports(void)
{
	size_t quarter = descriptors_limit() / 4;

	if (quarter < PORTS_MIN)
		return PORTS_MIN;
	return quarter < PORTS_MAX ? quarter : PORTS_MAX;
}

/* libunbound begins its thread with the first question, and its event loop ends the process when
 * descriptors have run out: so the first question is sent at once, while there are some, for a name
 * that libunbound answers by itself. */
static bool
is_warm(struct resolver_engine *engine)
{
	struct dns_question question = { .name = LOCAL_NAME, .type = DNS_A };
	struct arena *arena = arena_new();
	bool warm;

	resolver_engine_ask(engine, arena, &question, 1, deadline_in(WARM_MS));
	warm = question.answer.state != DNS_FAILED;
	arena_free(arena);
	return warm;
}

static int
set_up(struct resolver_engine *engine, const struct conf *conf,
    const struct resolver_servers *servers, enum resolver_path path, bool small, const char **step)
{
	struct buf text = { 0 };
	int error;

	ub_ctx_debugout(engine->ctx, resolver_trouble_stream());
	*step = "its settings";
	resolver_setup_unbound(conf, servers, path, small, &text);
	buf_printf(&text, "server:\n  outgoing-range: %zu\n  num-queries-per-thread: %zu\n",
	    ports(), ports());
	error = load_settings(engine->ctx, &text);
	buf_free(&text);
	if (error == UB_NOERROR)
		error = ub_ctx_async(engine->ctx, 1);	/* a thread; it would fork otherwise */
	if (error == UB_NOERROR && path != RESOLVER_UNVALIDATED)
		error = load_trust_anchors(engine->ctx, conf);
	if (error != UB_NOERROR)
		return error;
	/* Anything that is wrong comes out when the context is finalised: now, not at the first
	 * question. Taking away a local zone that is not there does that and no more. */
	*step = "the trust anchors (are the files readable DS or DNSKEY records?)";
	return ub_ctx_zone_remove(engine->ctx, LOCAL_NAME ".");
}

struct resolver_engine *
resolver_engine_new(const struct conf *conf, const struct resolver_servers *servers,
    enum resolver_path path, bool small, char *why, size_t why_room)
{
	struct resolver_engine *engine;
	const char *step = "";
	int error;

	if (!descriptors_left(NEEDED)) {
		snprintf(why, why_room, "too few descriptors are left for the resolver library");
		return NULL;
	}
	engine = xcalloc(1, sizeof(*engine));
	engine->end = -1;
	engine->turns = resolver_turns_new(ports() / PORTS_EACH);
	pthread_mutex_init(&engine->lock, NULL);
	thread_condition(&engine->ending);
	LIST_INIT(&engine->batches);
	pthread_mutex_lock(&contexts);
	engine->ctx = ub_ctx_create();
	pthread_mutex_unlock(&contexts);
	if (engine->ctx == NULL) {
		snprintf(why, why_room, "the resolver library does not start: %s", strerror(errno));
		goto fail;
	}
	error = set_up(engine, conf, servers, path, small, &step);
	if (error != UB_NOERROR) {
		snprintf(why, why_room, "the resolver library does not take %s: %s", step,
		    ub_strerror(error));
		goto fail;
	}
	error = engine_start(engine);
	if (error == 0 && is_warm(engine))
		return engine;
	if (error != 0) {
		snprintf(why, why_room, "cannot create a thread for the resolver: %s",
		    strerror(error));
		goto fail;
	}
	/* Its thread did not come up, and cannot be waited for. */
	snprintf(why, why_room, "the resolver library does not answer");
	engine->dead = true;
fail:
	resolver_engine_free(engine);
	return NULL;
}

/* true: the thread has ended, and libunbound still answered. */
static bool
end_thread(struct resolver_engine *engine)
{
	struct deadline deadline = deadline_in(ENDING_MS);
	struct timespec until = deadline_timespec(deadline);
	uint64_t one = 1;
	bool good;

	while (write(engine->end, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_mutex_lock(&engine->lock);
	while (!engine->ended && !deadline_passed(deadline))
		pthread_cond_timedwait(&engine->ending, &engine->lock, &until);
	good = engine->ended && engine->echoed;
	pthread_mutex_unlock(&engine->lock);
	if (good)
		pthread_join(engine->thread, NULL);
	else
		pthread_detach(engine->thread);
	return good;
}

static void
leave_behind(struct resolver_engine *engine)
{
	log_message(LOG_LEVEL_WARNING, "dns",
	    "a context of libunbound does not answer and is "
	    "left behind");
	pthread_mutex_lock(&left_behind_lock);
	LIST_INSERT_HEAD(&left_behind, engine, link);
	pthread_mutex_unlock(&left_behind_lock);
}

void
resolver_engine_free(struct resolver_engine *engine)
{
	struct batch *batch;

	if (engine == NULL)
		return;
	if (engine->running && !end_thread(engine)) {
		leave_behind(engine);
		return;
	}
	pthread_mutex_lock(&contexts);
	ub_ctx_delete(engine->ctx);
	pthread_mutex_unlock(&contexts);
	while ((batch = LIST_FIRST(&engine->batches)) != NULL)
		batch_destroy(batch);	/* no more callbacks */
	if (engine->end >= 0)
		close(engine->end);
	pthread_cond_destroy(&engine->ending);
	pthread_mutex_destroy(&engine->lock);
	resolver_turns_free(engine->turns);
	free(engine);
}
