/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A few threads that bring reports to their receivers, one after another, and none twice at the
 * same time. Any thread.
 */
#ifndef REPORT_JOBS_H
#define REPORT_JOBS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/wait.h"

#define JOB_WHY	300

struct job {
	const char *key;	/* what it is; no two with the same are done at a time */
	void *about;	/* for run; handed back to forget() at the end */
	bool taken;	/* the result */
	char why[JOB_WHY];
};

struct jobs_plan {
	size_t threads;
	/* does one job: sets taken and why */
	void (*run)(void *context, struct job *job);
	void (*forget)(void *about);
	void *context;
};

struct jobs;

struct jobs *jobs_start(const struct jobs_plan *plan);	/* NULL: no thread to be had */
/* Begins no more. true: none runs any more at the deadline. */
bool jobs_drain(struct jobs *jobs, struct deadline deadline);
/* After jobs_drain(), when no caller waits any more. Waits for the running jobs. */
void jobs_free(struct jobs *jobs);

size_t jobs_waiting(struct jobs *jobs);	/* queued, not yet begun */
/* Puts a job behind the others; none when one with this key is queued or runs. about is ours. */
void jobs_add(struct jobs *jobs, const char *key, void *about);
/* Puts these before the others and waits until each is done; where one with the same key runs
 * already, for that one first. true: all are done and say how. false: the watch says that no
 * caller waits any more, or it is stopping: what has begun goes on by itself. */
bool jobs_do(struct jobs *jobs, struct job *done, size_t count, const struct watch *watch);

#endif
