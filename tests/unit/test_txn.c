/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "shim/message/txn.h"
#include "tests/unit/sanitized.h"
#include "tests/unit/txn_wait.h"

#define LONG_MS	30000	/* more than a busy machine needs */

/*
 * One transaction under test. The fake deliver does what each recipient's local part says: "ok",
 * "bad", "421", "354", "0" settle at once; "slow" once as many run as are to run side by side;
 * "gated" once somebody has been told; "forget" not at all; "wait" when the transaction is
 * abandoned.
 */
struct story {
	struct arena *arena;
	struct txn *txn;
	struct buf told;	/* "a@b 250\n" and so on, in order */
	int64_t began_ms;
	size_t tell_at_most;	/* answered() fails beyond that */
	int64_t gone_after_ms;	/* 0: never */
	_Atomic bool has_told;
	int expected;	/* how many run side by side */
	pthread_mutex_t lock;
	struct buf delivered;	/* the domains, in the order of their start */
	pthread_t on;	/* whose thread the last one ran on */
	int running;
	_Atomic int most_running;
};

static void
settle(struct txn *txn, struct rcpt *rcpt, int code, const char *enhanced)
{
	struct reply reply;

	reply_set(&reply, code, enhanced, "said so");
	txn_settle(txn, rcpt, &reply);
}

/* And a little longer, for one too many to come. */
static void
wait_for_company(const struct story *story)
{
	int tries;

	for (tries = 0; story->most_running < story->expected && tries < LONG_MS; tries++)
		usleep(1000);
	usleep(20 * 1000);
}

static void
deliver_rcpt(const struct story *story, struct txn *txn, struct rcpt *rcpt)
{
	const char *wish = rcpt->address.mailbox;

	if (strncmp(wish, "ok@", 3) == 0) {
		settle(txn, rcpt, 250, "2.0.0");
	} else if (strncmp(wish, "bad@", 4) == 0) {
		settle(txn, rcpt, 550, "5.1.1");
	} else if (strncmp(wish, "421@", 4) == 0) {
		settle(txn, rcpt, 421, "4.3.2");
	} else if (strncmp(wish, "354@", 4) == 0) {
		settle(txn, rcpt, 354, "");
	} else if (strncmp(wish, "0@", 2) == 0) {
		settle(txn, rcpt, 0, "");
	} else if (strncmp(wish, "slow@", 5) == 0) {
		wait_for_company(story);
		settle(txn, rcpt, 250, "2.0.0");
	} else if (strncmp(wish, "gated@", 6) == 0) {
		assert_true(txn_wait_open(txn, &story->has_told, LONG_MS));
		settle(txn, rcpt, 250, "2.0.0");
	} else if (strncmp(wish, "wait@", 5) == 0) {
		assert_true(txn_wait_abandoned(txn, LONG_MS));
		settle(txn, rcpt, 451, "4.4.2");
	}
}

static void
deliver(void *context, struct txn *txn, struct group *group)
{
	struct story *story = context;
	size_t i;

	pthread_mutex_lock(&story->lock);
	buf_printf(&story->delivered, "%s:%zu ", group->domain, group->count);
	story->on = pthread_self();
	if (++story->running > story->most_running)
		story->most_running = story->running;
	pthread_mutex_unlock(&story->lock);
	for (i = 0; i < group->count; i++) {
		assert_string_equal(group->rcpts[i]->address.next_hop, group->domain);
		assert_true(i == 0 || group->rcpts[i - 1] < group->rcpts[i]);
		deliver_rcpt(story, txn, group->rcpts[i]);
	}
	pthread_mutex_lock(&story->lock);
	story->running--;
	pthread_mutex_unlock(&story->lock);
}

static bool
answered(void *session, const struct rcpt *rcpt)
{
	struct story *story = session;

	assert_true(txn_is_settled(story->txn, rcpt));
	buf_printf(&story->told, "%s %d %s\n", rcpt->address.mailbox, rcpt->reply.code,
	    rcpt->reply.enhanced);
	story->has_told = true;
	return story->tell_at_most-- > 1;
}

static bool
gone(void *session)
{
	struct story *story = session;

	return story->gone_after_ms > 0 &&
	    clock_monotonic_ms() - story->began_ms >= story->gone_after_ms;
}

static void
begin(struct story *story, const char *const *mailboxes, size_t count, int64_t time_ms)
{
	struct address sender = { .mailbox = "s@e.example" };
	struct rcpt *rcpts;
	const char *why;
	size_t i;

	*story = (struct story){ .arena = arena_new(),
		.tell_at_most = 100000,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.began_ms = clock_monotonic_ms() };
	rcpts = arena_array(story->arena, count, sizeof(*rcpts));
	for (i = 0; i < count; i++)
		assert_int_equal(address_parse(story->arena, mailboxes[i], strlen(mailboxes[i]),
				     false, &rcpts[i].address, &why),
		    0);
	story->txn = txn_new(story->arena, "id", &sender, rcpts, count, NULL, deadline_in(time_ms));
}

static void
run(struct story *story, unsigned parallel)
{
	txn_run(story->txn, parallel, deliver, story, answered, story,
	    &(const struct watch){ gone, story });
}

static void
end(struct story *story)
{
	txn_free(story->txn);
	arena_free(story->arena);
	buf_free(&story->told);
	buf_free(&story->delivered);
}

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void
test_groups(void **state)
{
	static const char *const rcpts[] = {
		"ok@z.example",
		"ok@A.example",
		"bad@z.example",
		"ok@[192.0.2.1]",
		"ok@a.example.",
		"ok@z.example",
	};
	struct story story;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), LONG_MS);
	assert_int_equal(story.txn->group_count, 3);
	run(&story, 1);
	/* In the order in which the MTA waits for them, each recipient once, equal ones too. */
	assert_string_equal(buf_text(&story.delivered), "z.example:3 a.example:2 [192.0.2.1]:1 ");
	assert_string_equal(buf_text(&story.told),
	    "ok@z.example 250 2.0.0\nok@A.example 250 2.0.0\nbad@z.example 550 5.1.1\n"
	    "ok@[192.0.2.1] 250 2.0.0\nok@a.example 250 2.0.0\nok@z.example 250 2.0.0\n");
	assert_false(txn_is_abandoned(story.txn));
	end(&story);
}

static void
test_answers_come_as_soon_as_decided(void **state)
{
	static const char *const rcpts[] = { "ok@a.example", "gated@b.example", "ok@c.example" };
	struct story story;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), LONG_MS);
	run(&story, 20);
	assert_string_equal(buf_text(&story.told),
	    "ok@a.example 250 2.0.0\ngated@b.example 250 2.0.0\nok@c.example 250 2.0.0\n");
	end(&story);
}

/* One group needs no thread of its own, and tells what is decided while it goes on. */
static void
test_one_group_runs_on_the_thread_of_the_session(void **state)
{
	static const char *const one[] = { "ok@a.example", "gated@a.example", "wait@a.example" };
	static const char *const two[] = { "ok@a.example", "ok@b.example" };
	struct story story;

	(void)state;
	begin(&story, one, COUNT(one), LONG_MS);
	story.gone_after_ms = 1;
	run(&story, 20);
	assert_true(pthread_equal(story.on, pthread_self()));
	assert_string_equal(buf_text(&story.told),
	    "ok@a.example 250 2.0.0\ngated@a.example 250 2.0.0\nwait@a.example 451 4.4.2\n");
	end(&story);
	begin(&story, two, COUNT(two), LONG_MS);
	run(&story, 20);
	assert_false(pthread_equal(story.on, pthread_self()));
	end(&story);
}

static void
test_parallel(void **state)
{
	static const char *const rcpts[] = {
		"slow@a.example",
		"slow@b.example",
		"slow@c.example",
		"slow@d.example",
		"slow@e.example",
		"slow@f.example",
	};
	static const struct {
		unsigned parallel;
		int most;
	} cases[] = {
		{ 1, 1 },
		{ 2, 2 },
		{ 20, 6 },
		{ 0, 1 },
	};
	struct story story;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		begin(&story, rcpts, COUNT(rcpts), 20000);
		story.expected = cases[i].most;
		run(&story, cases[i].parallel);
		assert_int_equal(story.most_running, cases[i].most);
		end(&story);
	}
}

static void
test_never_421_and_never_nonsense(void **state)
{
	static const char *const rcpts[] = { "421@a.example", "354@a.example", "0@b.example" };
	struct story story;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), LONG_MS);
	run(&story, 20);
	assert_string_equal(buf_text(&story.told),
	    "421@a.example 451 4.3.2\n354@a.example 451 4.5.0\n0@b.example 451 4.5.0\n");
	end(&story);
}

static void
test_the_forgotten_are_kept_by_the_mta(void **state)
{
	static const char *const rcpts[] = {
		"ok@a.example",
		"forget@a.example",
		"forget@b.example",
	};
	struct story story;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), LONG_MS);
	run(&story, 20);
	assert_string_equal(buf_text(&story.told),
	    "ok@a.example 250 2.0.0\nforget@a.example 451 4.3.0\nforget@b.example 451 4.3.0\n");
	end(&story);
}

static void
test_an_mta_that_cannot_be_told(void **state)
{
	static const char *const rcpts[] = { "ok@a.example", "ok@b.example", "wait@c.example" };
	struct story story;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), 2 * LONG_MS);
	story.tell_at_most = 1;
	run(&story, 20);
	assert_string_equal(buf_text(&story.told), "ok@a.example 250 2.0.0\n");
	assert_true(txn_is_abandoned(story.txn));
	assert_true(clock_monotonic_ms() - story.began_ms < LONG_MS);
	end(&story);
}

static void
test_an_mta_that_is_gone(void **state)
{
	static const char *const rcpts[] = { "wait@a.example", "ok@b.example" };
	struct story story;
	int64_t took;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), 2 * LONG_MS);
	story.gone_after_ms = 100;
	run(&story, 20);
	took = clock_monotonic_ms() - story.began_ms;
	assert_true(took >= 100 && took < LONG_MS);
	/* A delivery that has only been told to stop can still settle its recipients. */
	assert_string_equal(buf_text(&story.told),
	    "wait@a.example 451 4.4.2\nok@b.example 250 2.0.0\n");
	end(&story);
}

static void
test_time_runs_out(void **state)
{
	static const char *const rcpts[] = { "ok@a.example", "wait@b.example", "wait@c.example" };
	struct story story;
	int64_t took;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), 500);
	assert_false(txn_is_abandoned(story.txn));
	run(&story, 1);	/* the third starts when all is over already */
	took = clock_monotonic_ms() - story.began_ms;
	assert_true(took >= 500 && took < LONG_MS);
	assert_string_equal(buf_text(&story.told),
	    "ok@a.example 250 2.0.0\nwait@b.example 451 4.4.2\nwait@c.example 451 4.4.2\n");
	end(&story);
}

static void
test_many(void **state)
{
	static const char *wishes[] = { "ok", "bad", "forget" };
	struct story story;
	char **rcpts = xcalloc(3000, sizeof(*rcpts));
	struct buf expected = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 3000; i++) {
		struct buf rcpt = { 0 };

		buf_printf(&rcpt, "%s@d%zu.example", wishes[i % 3], (i * 7919) % 500);
		buf_printf(&expected, "%s %s\n", rcpt.data,
		    i % 3 == 0       ? "250 2.0.0"
			: i % 3 == 1 ? "550 5.1.1"
				     : "451 4.3.0");
		rcpts[i] = rcpt.data;
	}
	begin(&story, (const char *const *)rcpts, 3000, 20000);
	assert_int_equal(story.txn->group_count, 500);
	run(&story, 8);
	assert_string_equal(buf_text(&story.told), buf_text(&expected));
	end(&story);
	for (i = 0; i < 3000; i++)
		free(rcpts[i]);
	free(rcpts);
	buf_free(&expected);
}

#if !SANITIZED_ADDRESS && !SANITIZED_THREAD
/* In a child, whose address space has no room for a thread's stack, nor for a sanitizer's
 * memory. */
static void
test_no_threads_to_be_had(void **state)
{
	static const char *const rcpts[] = { "ok@a.example", "ok@b.example" };
	struct rlimit none = { 1 << 20, 1 << 20 };
	struct story story;
	int status;
	pid_t child;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), LONG_MS);
	child = fork();
	if (child == 0) {
		setrlimit(RLIMIT_AS, &none);
		run(&story, 20);
		_exit(story.delivered.length == 0 &&
			    strcmp(buf_text(&story.told),
				"ok@a.example 451 4.3.0\nok@b.example 451 4.3.0\n") == 0
			? 0
			: 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	end(&story);
}
#endif

static void
test_settling_twice_is_an_abort(void **state)
{
	static const char *const rcpts[] = { "ok@a.example" };
	struct story story;
	int status;
	pid_t child;

	(void)state;
	begin(&story, rcpts, COUNT(rcpts), LONG_MS);
	assert_false(txn_is_settled(story.txn, &story.txn->rcpts[0]));
	settle(story.txn, &story.txn->rcpts[0], 250, "2.0.0");
	assert_true(txn_is_settled(story.txn, &story.txn->rcpts[0]));
	child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		settle(story.txn, &story.txn->rcpts[0], 250, "2.0.0");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	end(&story);
	txn_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#if !SANITIZED_ADDRESS && !SANITIZED_THREAD
		cmocka_unit_test(test_no_threads_to_be_had),	/* before stacks are kept */
#endif
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_answers_come_as_soon_as_decided),
		cmocka_unit_test(test_one_group_runs_on_the_thread_of_the_session),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_never_421_and_never_nonsense),
		cmocka_unit_test(test_the_forgotten_are_kept_by_the_mta),
		cmocka_unit_test(test_an_mta_that_cannot_be_told),
		cmocka_unit_test(test_an_mta_that_is_gone),
		cmocka_unit_test(test_time_runs_out),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_settling_twice_is_an_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
