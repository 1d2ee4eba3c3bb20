/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/thread.h"
#include "base/worker.h"

struct worker {
	pthread_t thread;
	void (*run)(void *context);
	void *context;
};

static void *
worker_run(void *context)
{
	struct worker *worker = context;

	worker->run(worker->context);
	return NULL;
}

struct worker *
worker_start(size_t stack_octets, void (*run)(void *context), void *context)
{
	struct worker *worker = xcalloc(1, sizeof(*worker));

	worker->run = run;
	worker->context = context;
	if (thread_start(&worker->thread, stack_octets, worker_run, worker) != 0) {
		free(worker);
		return NULL;
	}
	return worker;
}

void
worker_join(struct worker *worker)
{
	if (worker == NULL)
		return;
	pthread_join(worker->thread, NULL);
	free(worker);
}
