/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate-deliver(8): the program an MTA runs to hand a message to stsgated. Most MTAs bounce after
 * a program that is killed or ends with an unknown status, so every end except a server's own reply
 * is EX_TEMPFAIL.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/endpoint.h"
#include "base/limits.h"
#include "shim/message/body.h"
#include "cmd/deliver_client.h"
#include "cmd/deliver_relay.h"
#include "cmd/help.h"

#define DEFAULT_SOCKET	"unix:/run/stsgate/lmtp.sock"
#define CONNECT_MS	(30 * 1000)

struct options {
	struct endpoint server;
	char *sender;	/* NULL: not given */
	char **rcpts;
	size_t rcpt_count;
	bool all_or_none, lmtp;
};

static const int fatal_signals[] = {
	SIGHUP,
	SIGINT,
	SIGQUIT,
	SIGTERM,
	SIGABRT,
	SIGALRM,
	SIGUSR1,
	SIGUSR2,
	SIGVTALRM,
	SIGPROF,
	SIGXCPU,
	SIGBUS,
	SIGSEGV,
	SIGILL,
	SIGFPE,
};
#define FATAL_SIGNALS	(sizeof(fatal_signals) / sizeof(fatal_signals[0]))

static void
end_for_now(int number)
{
	static const char text[] = "stsgate-deliver: ended by a signal, the message stays queued\n";

	(void)number;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(EX_TEMPFAIL);
}

/* A helper that dies by a signal is a bounce to Exim's pipe transport. */
static void
catch_signals(void)
{
	struct sigaction action = { .sa_handler = end_for_now };
	sigset_t none;
	size_t i;

	for (i = 0; i < FATAL_SIGNALS; i++)
		(void)sigaction(fatal_signals[i], &action, NULL);
	action.sa_handler = SIG_IGN;
	(void)sigaction(SIGPIPE, &action, NULL);
	(void)sigaction(SIGXFSZ, &action, NULL);	/* a write then fails, as on a full disk */
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The server has replied: a signal must not make the MTA send the message again. */
static void
block_signals(void)
{
	sigset_t blocked;

	sigfillset(&blocked);
	(void)sigprocmask(SIG_BLOCK, &blocked, NULL);
}

enum { ALL_OR_NONE = HELP_LONG_ONLY, LMTP };

static const struct option long_options[] = { { "all-or-none", no_argument, NULL, ALL_OR_NONE },
	{ "lmtp", no_argument, NULL, LMTP }, HELP_ROWS };

static const struct help help = {
	.program = "stsgate-deliver",
	.text = "usage: stsgate-deliver [-s SOCKET] [--all-or-none] -f SENDER [--] RCPT...\n"
		"       stsgate-deliver [-s SOCKET] --lmtp\n\n"
		"  -s SOCKET      where stsgated listens, by default " DEFAULT_SOCKET "\n"
		"  -f SENDER      the envelope sender\n"
		"  --all-or-none  several recipients: the failure of one fails them all\n"
		"  --lmtp         speak LMTP on standard input and output\n" HELP_LINES,
	.manual = "stsgate-deliver(8)",
	/* "+": options end at the first recipient, which is a stranger's text. */
	.letters = "+f:hs:V",
	.options = long_options,
};

static int
usage(const char *why)
{
	(void)help_refuse(&help, "%s", why);
	return -1;
}

/* "<a@b.example>" is what some MTAs' variables hold. */
static char *
without_brackets(char *address)
{
	size_t length = strlen(address);

	if (length < 2 || address[0] != '<' || address[length - 1] != '>')
		return address;
	address[length - 1] = '\0';
	return address + 1;
}

static int
check_options(const struct options *options)
{
	if (options->lmtp) {
		if (options->sender != NULL || options->rcpt_count > 0 || options->all_or_none)
			return usage("--lmtp takes sender and recipients from stdin");
		return 0;
	}
	if (options->sender == NULL)
		return usage("-f SENDER is missing");
	if (options->rcpt_count == 0)
		return usage("there is no recipient");
	if (options->rcpt_count > 1 && !options->all_or_none)
		return usage("several recipients share one exit status: --all-or-none allows that");
	return 0;
}

static int
parse_server(const char *text, struct options *options)
{
	const char *why;

	if (endpoint_parse(text, &options->server, &why) == 0)
		return 0;
	fprintf(stderr, "stsgate-deliver: -s %s: %s\n", text, why);
	return -1;
}

static int
parse_options(int argc, char **argv, struct options *options)
{
	const char *server = DEFAULT_SOCKET;
	int option, i;

	opterr = 0;
	while ((option = getopt_long(argc, argv, help.letters, long_options, NULL)) != -1) {
		switch (option) {
		case ALL_OR_NONE:
			options->all_or_none = true;
			break;
		case 'f':
			options->sender = without_brackets(optarg);
			break;
		case LMTP:
			options->lmtp = true;
			break;
		case 's':
			server = optarg;
			break;
		case 'h':
		case 'V':
			return usage("--help and --version stand alone");
		default:
			(void)help_refuse_option(&help, argc, argv);
			return -1;
		}
	}
	options->rcpts = argv + optind;
	options->rcpt_count = (size_t)(argc - optind);
	for (i = optind; i < argc; i++)
		argv[i] = without_brackets(argv[i]);
	return check_options(options) == 0 ? parse_server(server, options) : -1;
}

/* All of stdin, even when it cannot be kept: an MTA that cannot write may take it for a failure of
 * another kind. 0, or -1 after a line on stdout. */
static int
read_message(struct body *body)
{
	char octets[8192];
	ssize_t got;

	for (;;) {
		got = read(STDIN_FILENO, octets, sizeof(octets));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		(void)body_add(body, octets, (size_t)got);	/* body_end() repeats a failure */
	}
	if (got < 0) {
		printf("451 4.3.0 the message cannot be read from stdin: %s\n", strerror(errno));
		return -1;
	}
	if (body_end(body) != 0) {
		printf("452 4.3.1 no room for the message in /var/tmp\n");
		return -1;
	}
	return 0;
}

static int
connect_server(const struct endpoint *server, int code, const char *line_end)
{
	int fd = endpoint_connect(server, deadline_in(CONNECT_MS));

	if (fd < 0)
		printf("%d 4.3.2 stsgated cannot be reached at %s: %s%s%s", code, server->text,
		    strerror(errno),
		    errno == EACCES ? "; lmtp.socket-group and socket-mode say who may" : "",
		    line_end);
	return fd;
}

static int
check_addresses(const struct options *options)
{
	int status = EX_OK;
	size_t i;

	if (!deliver_client_is_path(options->sender)) {
		printf("553 5.1.7 the sender is not an address\n");
		status = EX_NOUSER;
	}
	for (i = 0; i < options->rcpt_count; i++) {
		if (deliver_client_is_path(options->rcpts[i]))
			continue;
		printf("553 5.1.3 recipient %zu is not an address\n", i + 1);
		status = EX_NOUSER;
	}
	return status;
}

static int
deliver(const struct options *options)
{
	struct body_spool *spool = body_spool_new("/var/tmp", LIMIT_BODY_IN_MEMORY);
	struct body *body = body_new(spool);
	struct deliver_request request = { options->sender, options->rcpts, options->rcpt_count,
		body };
	int status = EX_TEMPFAIL, fd;

	if (read_message(body) != 0)
		goto out;
	status = check_addresses(options);
	if (status != EX_OK)
		goto out;
	fd = connect_server(&options->server, 451, "\n");
	status = fd < 0 ? EX_TEMPFAIL : deliver_client_send(fd, &request);
	block_signals();
out:
	body_free(body);
	body_spool_free(spool);
	return status;
}

static int
relay(const struct options *options)
{
	int fd = connect_server(&options->server, 421, "\r\n");

	if (fd < 0)
		return EX_TEMPFAIL;
	return deliver_relay(STDIN_FILENO, STDOUT_FILENO, fd);
}

/* Such words among others may be a stranger's address, where the MTA's command lacks "--": status 0
 * would say that the message is delivered. */
static bool
is_alone(int argc, char **argv, const char *letter, const char *name)
{
	return argc == 2 && (strcmp(argv[1], letter) == 0 || strcmp(argv[1], name) == 0);
}

int
main(int argc, char **argv)
{
	struct options options = { .sender = NULL };
	int status;

	if (is_alone(argc, argv, "-h", "--help"))
		return help_print(&help);
	if (is_alone(argc, argv, "-V", "--version"))
		return help_print_version(&help);
	catch_signals();
	if (parse_options(argc, argv, &options) != 0)
		return EX_USAGE;
	status = options.lmtp ? relay(&options) : deliver(&options);
	(void)fflush(stdout);	/* unread replies change nothing */
	return status;
}
