/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/store/child.h"

static bool
is_crash(int status)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
	size_t i;

	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (WIFSIGNALED(status) && WTERMSIG(status) == faults[i])
			return true;
	return false;
}

static int
result_of(pid_t pid, int end, bool *crashed)
{
	int result = 0, status = 0;
	ssize_t length;
	pid_t waited;

	do
		length = read(end, &result, sizeof(result));
	while (length < 0 && errno == EINTR);
	do
		waited = waitpid(pid, &status, 0);
	while (waited < 0 && errno == EINTR);
	if (length == (ssize_t)sizeof(result))
		return result;
	*crashed = is_crash(status);
	return EINTR;
}

static _Noreturn void
child_main(int (*task)(void *context), void *context, int end)
{
	int result;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	result = task(context);
	_exit(write(end, &result, sizeof(result)) == (ssize_t)sizeof(result) ? 0 : 1);
}

int
child_run(int (*task)(void *context), void *context, bool *crashed)
{
	int result, ends[2];
	pid_t pid;

	*crashed = false;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	pid = fork();
	if (pid == 0)
		child_main(task, context, ends[1]);
	result = errno;
	(void)close(ends[1]);
	if (pid > 0)
		result = result_of(pid, ends[0], crashed);
	(void)close(ends[0]);
	return result;
}
