/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/thread.h"
#include "report/jobs.h"

#define STACK	(512 * 1024)
#define LOOK_MS	200	/* how often one who waits is asked whether he still does */

enum state { QUEUED, RUNNING, DONE };

struct task {
	struct task *next;
	struct job job;
	char *key;
	enum state state;
	bool waited;	/* whoever waits frees it; else the thread that did it */
};

struct jobs {
	struct jobs_plan plan;
	pthread_t *threads;
	size_t started;
	pthread_mutex_t lock;	/* guards what follows, and every task */
	pthread_cond_t changed;
	struct task *tasks;	/* queued, running, and done ones that are waited for */
	size_t waiting, running;
	bool stop;
};

static void
task_free(struct jobs *jobs, struct task *task)
{
	struct task **at = &jobs->tasks;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
	if (task->state == QUEUED)
		jobs->waiting--;
	jobs->plan.forget(task->job.about);
	free(task->key);
	free(task);
}

static struct task *
find_queued(struct jobs *jobs)
{
	struct task *task = jobs->tasks;

	while (task != NULL && task->state != QUEUED)
		task = task->next;
	return task;
}

/* Is one of that key queued or running? */
static bool
is_under_way(const struct jobs *jobs, const char *key)
{
	const struct task *task = jobs->tasks;

	while (task != NULL && (task->state == DONE || strcmp(task->key, key) != 0))
		task = task->next;
	return task != NULL;
}

static void
run(struct jobs *jobs, struct task *task)
{
	task->state = RUNNING;
	jobs->waiting--;
	jobs->running++;
	(void)pthread_mutex_unlock(&jobs->lock);
	jobs->plan.run(jobs->plan.context, &task->job);
	(void)pthread_mutex_lock(&jobs->lock);
	jobs->running--;
	task->state = DONE;
	if (!task->waited)
		task_free(jobs, task);
	(void)pthread_cond_broadcast(&jobs->changed);
}

static void *
work(void *context)
{
	struct jobs *jobs = context;
	struct task *task;

	(void)pthread_mutex_lock(&jobs->lock);
	while (!jobs->stop) {
		task = find_queued(jobs);
		if (task != NULL)
			run(jobs, task);
		else
			(void)pthread_cond_wait(&jobs->changed, &jobs->lock);
	}
	(void)pthread_mutex_unlock(&jobs->lock);
	return NULL;
}

static void
start_threads(struct jobs *jobs)
{
	while (jobs->started < jobs->plan.threads &&
	    thread_start(&jobs->threads[jobs->started], STACK, work, jobs) == 0)
		jobs->started++;
}

struct jobs *
jobs_start(const struct jobs_plan *plan)
{
	struct jobs *jobs = xcalloc(1, sizeof(*jobs));

	jobs->plan = *plan;
	jobs->threads = xcalloc(plan->threads, sizeof(*jobs->threads));
	(void)pthread_mutex_init(&jobs->lock, NULL);
	thread_condition(&jobs->changed);
	start_threads(jobs);
	if (jobs->started == plan->threads)
		return jobs;
	(void)jobs_drain(jobs, deadline_in(0));
	jobs_free(jobs);
	return NULL;
}

bool
jobs_drain(struct jobs *jobs, struct deadline deadline)
{
	struct timespec at = deadline_timespec(deadline);
	bool ended;

	(void)pthread_mutex_lock(&jobs->lock);
	jobs->stop = true;
	(void)pthread_cond_broadcast(&jobs->changed);
	while (jobs->running > 0 && !deadline_passed(deadline))
		(void)pthread_cond_timedwait(&jobs->changed, &jobs->lock, &at);
	ended = jobs->running == 0;
	(void)pthread_mutex_unlock(&jobs->lock);
	return ended;
}

void
jobs_free(struct jobs *jobs)
{
	for (; jobs->started > 0; jobs->started--)
		(void)pthread_join(jobs->threads[jobs->started - 1], NULL);
	while (jobs->tasks != NULL)
		task_free(jobs, jobs->tasks);
	(void)pthread_cond_destroy(&jobs->changed);
	(void)pthread_mutex_destroy(&jobs->lock);
	free(jobs->threads);
	free(jobs);
}

size_t
jobs_waiting(struct jobs *jobs)
{
	size_t waiting;

	(void)pthread_mutex_lock(&jobs->lock);
	waiting = jobs->waiting;
	(void)pthread_mutex_unlock(&jobs->lock);
	return waiting;
}

static struct task *
insert(struct jobs *jobs, struct task **at, const char *key, void *about, bool waited)
{
	struct task *task = xcalloc(1, sizeof(*task));

	task->key = xstrdup(key);
	task->job.key = task->key;
	task->job.about = about;
	task->waited = waited;
	task->next = *at;
	*at = task;
	jobs->waiting++;
	(void)pthread_cond_broadcast(&jobs->changed);
	return task;
}

void
jobs_add(struct jobs *jobs, const char *key, void *about)
{
	struct task **at = &jobs->tasks;

	(void)pthread_mutex_lock(&jobs->lock);
	if (is_under_way(jobs, key)) {
		jobs->plan.forget(about);
	} else {
		while (*at != NULL)
			at = &(*at)->next;
		(void)insert(jobs, at, key, about, false);
	}
	(void)pthread_mutex_unlock(&jobs->lock);
}

/* Waits a while for a change. false: there is no use in waiting any more. */
static bool
await_change(struct jobs *jobs, const struct watch *watch)
{
	struct timespec at = deadline_timespec(deadline_in(LOOK_MS));
	bool gone;

	if (jobs->stop)
		return false;
	(void)pthread_cond_timedwait(&jobs->changed, &jobs->lock, &at);
	(void)pthread_mutex_unlock(&jobs->lock);
	gone = wait_is_over(watch);
	(void)pthread_mutex_lock(&jobs->lock);
	return !gone && !jobs->stop;
}

static bool
all_done(struct task *const *tasks, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (tasks[i]->state != DONE)
			return false;
	return true;
}

static void
let_go(struct jobs *jobs, struct task *task)
{
	if (task->state == RUNNING)
		task->waited = false;
	else
		task_free(jobs, task);
}

bool
jobs_do(struct jobs *jobs, struct job *done, size_t count, const struct watch *watch)
{
	struct task **tasks = xcalloc(count + 1, sizeof(*tasks));
	size_t i, inserted = 0;
	bool finished = true;

	(void)pthread_mutex_lock(&jobs->lock);
	for (i = 0; i < count && finished; i++) {
		while (finished && is_under_way(jobs, done[i].key))
			finished = await_change(jobs, watch);
		if (finished)
			tasks[inserted++] = insert(jobs, &jobs->tasks, done[i].key, done[i].about,
			    true);
	}
	while (finished && !all_done(tasks, inserted))
		finished = await_change(jobs, watch);
	for (i = 0; i < inserted; i++) {
		done[i].taken = tasks[i]->job.taken;
		memcpy(done[i].why, tasks[i]->job.why, sizeof(done[i].why));
		let_go(jobs, tasks[i]);
	}
	for (; i < count; i++)
		jobs->plan.forget(done[i].about);
	(void)pthread_mutex_unlock(&jobs->lock);
	free(tasks);
	return finished;
}
