/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/jobs.h"

/* What the jobs did: any thread, under the lock. No assertions there. */
struct bench {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool hold;	/* those that run wait until it is off */
	size_t running, most, done, forgotten;
	bool twice;	/* two of one key at a time */
	char keys[64];	/* running */
	char order[64];	/* begun */
};

static struct bench bench;

static void
wait_bench(void)
{
	struct timespec at = deadline_timespec(deadline_in(30000));

	(void)pthread_cond_timedwait(&bench.changed, &bench.lock, &at);
}

/* Keys are single letters here. A capital is not taken. */
static void
run(void *context, struct job *job)
{
	char *place;

	(void)context;
	pthread_mutex_lock(&bench.lock);
	bench.twice |= strchr(bench.keys, job->key[0]) != NULL;
	strncat(bench.keys, job->key, 1);
	strncat(bench.order, job->key, 1);
	bench.running++;
	if (bench.running > bench.most)
		bench.most = bench.running;
	pthread_cond_broadcast(&bench.changed);
	while (bench.hold)
		wait_bench();
	place = strchr(bench.keys, job->key[0]);
	memmove(place, place + 1, strlen(place));
	bench.running--;
	bench.done++;
	job->taken = job->key[0] >= 'a';
	(void)snprintf(job->why, sizeof(job->why), "said %s", job->key);
	pthread_cond_broadcast(&bench.changed);
	pthread_mutex_unlock(&bench.lock);
}

static void
forget(void *about)
{
	pthread_mutex_lock(&bench.lock);
	bench.forgotten += about != NULL;
	pthread_mutex_unlock(&bench.lock);
	free(about);
}

static struct jobs *
start(size_t threads, bool hold)
{
	const struct jobs_plan plan = { threads, run, forget, NULL };
	pthread_condattr_t attributes;

	memset(&bench, 0, sizeof(bench));
	pthread_mutex_init(&bench.lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&bench.changed, &attributes);
	pthread_condattr_destroy(&attributes);
	bench.hold = hold;
	return jobs_start(&plan);
}

static void
release(void)
{
	pthread_mutex_lock(&bench.lock);
	bench.hold = false;
	pthread_cond_broadcast(&bench.changed);
	pthread_mutex_unlock(&bench.lock);
}

static void
wait_running(size_t count)
{
	pthread_mutex_lock(&bench.lock);
	while (bench.running != count)
		wait_bench();
	pthread_mutex_unlock(&bench.lock);
}

static void
wait_done(size_t count)
{
	pthread_mutex_lock(&bench.lock);
	while (bench.done != count)
		wait_bench();
	pthread_mutex_unlock(&bench.lock);
}

static void
end(struct jobs *jobs)
{
	assert_true(jobs_drain(jobs, deadline_in(30000)));
	jobs_free(jobs);
	assert_false(bench.twice);
}

static bool
stays(void *context)
{
	(void)context;
	return false;
}

static bool
leaves(void *context)
{
	(void)context;
	return true;
}

static void
none_twice_at_a_time(void **state)
{
	struct jobs *jobs = start(3, true);

	(void)state;
	jobs_add(jobs, "a", malloc(1));
	wait_running(1);
	jobs_add(jobs, "a", malloc(1));	/* runs already */
	jobs_add(jobs, "b", malloc(1));
	jobs_add(jobs, "c", malloc(1));
	wait_running(3);
	jobs_add(jobs, "d", malloc(1));
	jobs_add(jobs, "d", malloc(1));	/* queued already */
	assert_int_equal(jobs_waiting(jobs), 1);
	release();
	wait_done(4);
	end(jobs);
	assert_int_equal(bench.most, 3);
	assert_int_equal(bench.forgotten, 6);
}

static void
whoever_waits_hears_of_each(void **state)
{
	struct jobs *jobs = start(2, false);
	struct job done[] = { { .key = "a" }, { .key = "B" }, { .key = "c", .about = malloc(1) } };

	(void)state;
	assert_true(jobs_do(jobs, done, 3, &(const struct watch){ stays, NULL }));
	assert_true(done[0].taken && !done[1].taken && done[2].taken);
	assert_string_equal(done[1].why, "said B");
	assert_int_equal(bench.forgotten, 1);
	end(jobs);
}

static void *
ask_for_z(void *context)
{
	struct job done = { .key = "z" };

	return jobs_do(context, &done, 1, &(const struct watch){ stays, NULL }) && done.taken
	    ? context
	    : NULL;
}

static void
whoever_waits_goes_first(void **state)
{
	struct jobs *jobs = start(1, true);
	pthread_t asking;
	void *result;

	(void)state;
	jobs_add(jobs, "a", NULL);
	wait_running(1);
	jobs_add(jobs, "b", NULL);
	jobs_add(jobs, "c", NULL);
	assert_int_equal(pthread_create(&asking, NULL, ask_for_z, jobs), 0);
	while (jobs_waiting(jobs) < 3)
		sched_yield();
	release();
	pthread_join(asking, &result);
	assert_ptr_equal(result, jobs);
	wait_done(4);
	end(jobs);
	assert_string_equal(bench.order, "azbc");
}

/* What runs goes on by itself, what has not begun is forgotten. */
static void
whoever_leaves_leaves_what_runs(void **state)
{
	struct jobs *jobs = start(1, true);
	struct job done[] = { { .key = "a", .about = malloc(1) },
		{ .key = "b", .about = malloc(1) } };

	(void)state;
	jobs_add(jobs, "z", NULL);
	wait_running(1);
	assert_false(jobs_do(jobs, done, 2, &(const struct watch){ leaves, NULL }));
	assert_int_equal(jobs_waiting(jobs), 0);
	assert_int_equal(bench.forgotten, 2);
	release();
	wait_done(1);
	end(jobs);
	assert_string_equal(bench.order, "z");
}

static void
stops_without_beginning_more(void **state)
{
	struct jobs *jobs = start(1, true);

	(void)state;
	jobs_add(jobs, "a", malloc(1));
	wait_running(1);
	jobs_add(jobs, "b", malloc(1));
	assert_false(jobs_drain(jobs, deadline_in(50)));
	release();
	jobs_free(jobs);
	assert_string_equal(bench.order, "a");
	assert_int_equal(bench.forgotten, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_twice_at_a_time),
		cmocka_unit_test(whoever_waits_hears_of_each),
		cmocka_unit_test(whoever_waits_goes_first),
		cmocka_unit_test(whoever_leaves_leaves_what_runs),
		cmocka_unit_test(stops_without_beginning_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
