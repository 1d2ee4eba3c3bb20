/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Runs stsgate-deliver itself, from the build directory, against an LMTP server in this process.
 * What goes wrong fails the test that runs.
 */
#ifndef TESTS_UNIT_PROGRAM_H
#define TESTS_UNIT_PROGRAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "shim/lmtp/lmtp_server.h"

#define PROGRAM	"./stsgate-deliver"
#define WORDS_MAX	12
#define PATIENCE_MS	20000
#define MESSAGE	"Subject: piped\n\n.dot\nGood day.\n"
#define WORDS(...)	((const char *const[]){ __VA_ARGS__, NULL })
#define TO_SERVER	"-s", program_server_path

/*
 * What the server's fake deliver has seen. "550-5.1.1@b.example" is answered just so; "wait" until
 * the transaction is abandoned; "gated" when the gate opens; all others get the message.
 */
struct program_seen {
	pthread_mutex_t lock;
	struct buf content;	/* of the last message */
	char envelope[200];
	_Atomic int groups;
	_Atomic bool abandoned;
	_Atomic bool gate_open;	/* set by the test: "gated" is taken */
};

struct program_run {
	int status;	/* exit status, or -signal */
	char out[20000], errors[4000];
};

extern char program_directory[64], program_server_path[100];
extern struct lmtp_server *program_server;
extern struct program_seen program_seen;

int program_setup(void **state);
int program_teardown(void **state);

int program_file(const char *text, size_t length);	/* an unlinked file that holds text */
pid_t program_spawn(const char *const *words, int in, int out, int errors);
int program_await(pid_t child);	/* its exit status, or -signal */
void program_run(struct program_run *run, const char *const *words, const char *message);
void program_run_stdin(struct program_run *run, const char *const *words, int in); /* closes in */

/* From one look to the next, what deliver has noted down is the test's to read. */
void program_look(void);
bool program_sees(const _Atomic int *value);	/* other than 0, soon */
bool program_sees_flag(const _Atomic bool *flag);

#endif
