/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Whatever a client of the control socket asks for: the answer is one well-formed HTTP response
 * whose body is JSON where it says so, and the cache can be listed afterwards. The input's first
 * line is a method and a target, the rest a body. DNS and HTTPS fail at once.
 */
#include "config.h"

#include <ftw.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/http.h"
#include "base/log.h"
#include "base/store/store.h"
#include "report/tally.h"
#include "shim/control/control.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_MAX	100000	/* goes into the socket in one piece, with nobody reading */
#define TARGET_MAX	4000
#define SECONDS	20

static struct conf conf;
static struct deliver_context deliver;
static struct sockaddr_un address;
static socklen_t address_length = sizeof(address);
static char directory[64];
static struct store *store;
static struct control *control;
static struct control_context context;

/* Berkeley DB finds its memory again by offsets, which the leak sanitizer does not follow. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libdb-5.3";
}

/* Linked instead of the real ones: a network where nothing works. */

void
resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	(void)resolver;
	(void)arena;
	(void)deadline;
	for (size_t i = 0; i < count; i++)
		questions[i].answer = (struct dns_answer){ .state = DNS_FAILED, .why = "dead" };
}

void
resolver_ask_afresh(struct resolver *resolver, struct arena *arena, struct dns_question *question,
    int64_t interval_ms, struct deadline deadline)
{
	(void)interval_ms;
	resolver_ask(resolver, arena, question, 1, deadline);
}

void
resolver_want(struct resolver *resolver, const char *name, enum dns_type type)
{
	(void)resolver;
	(void)name;
	(void)type;
}

void
resolver_forget(struct resolver *resolver)
{
	(void)resolver;
}

enum resolver_health
resolver_fault(struct resolver *resolver, char words[RESOLVER_FAULT_MAX])
{
	(void)resolver;
	words[0] = '\0';
	return RESOLVER_UNTESTED;
}

int64_t
resolver_tested_ms_ago(struct resolver *resolver)
{
	(void)resolver;
	return -1;
}

enum resolver_health
resolver_health(struct resolver *resolver)
{
	(void)resolver;
	return RESOLVER_UNTESTED;
}

void
http_perform(struct http *http, const struct http_request *request, struct http_answer *answer)
{
	(void)http;
	(void)request;
	*answer = (struct http_answer){ .outcome = HTTP_TIMEOUT };
}

static void
require(bool holds)
{
	if (!holds)
		abort();
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

/* Threads end before what they use does. */
static void
stop(void)
{
	control_free(control);
	sts_cache_free(context.gatherer.sts_cache);
	tally_free(context.tlsrpt.tally);
	store_close(store);
	(void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void
open_store(void)
{
	char why[256];

	(void)snprintf(directory, sizeof(directory), "%s/stsgate-fuzz.XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	require(mkdtemp(directory) != NULL);
	store = store_open("bdb", directory, why, sizeof(why));
	require(store != NULL);
}

static void
configure(void)
{
	static char hostname[] = "out.example", nothing[] = "";
	static struct conf_destination destinations[1];

	conf = (struct conf){ .hostname = hostname, .destinations = destinations };
	conf.dns.timeout = 1000;
	conf.smtp.use_ipv4 = conf.smtp.use_ipv6 = true;
	conf.sts.fetch_timeout = 1000;
	conf.sts.refresh_interval = 86400 * 1000;
	conf.sts.retry_interval = 300 * 1000;
	conf.sts.cold_failure_grace = 3600 * 1000;
	conf.sts.max_policy_size = 65536;
	conf.sts.http_proxy = conf.tls.ca_file = nothing;
	conf.tlsrpt.enable = TLSRPT_COLLECT;
	conf.tlsrpt.organization = conf.tlsrpt.contact = conf.tlsrpt.sender = nothing;
	conf.tlsrpt.submit = nothing;
	conf.tlsrpt.keep = INT64_C(86400) * 1000;
}

static void
start(void)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	log_open("fuzz", false, LOG_LEVEL_ERROR);
	configure();
	open_store();
	context.conf = context.gatherer.conf = &conf;
	context.deliver = &deliver;
	context.gatherer.sts_cache = sts_cache_new(&conf, NULL, NULL, store);
	context.tlsrpt = (struct control_tlsrpt){
		.conf = &conf, .store = store, .tally = tally_new(store, 86400)
	};
	deliver = (struct deliver_context){ .conf = &conf, .gatherer = context.gatherer };
	address.sun_family = AF_UNIX;	/* and no name: the kernel finds one outside the files */
	require(bind(listener, (struct sockaddr *)&address, sizeof(sa_family_t)) == 0);
	require(getsockname(listener, (struct sockaddr *)&address, &address_length) == 0);
	require(listen(listener, 8) == 0);
	control = control_new(&context);
	require(control_listen(control, listener, false) == 0);
	require(atexit(stop) == 0);
}

static void
ask(const char *line, size_t line_length, const uint8_t *body, size_t length, struct buf *heard)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval patience = { .tv_sec = SECONDS };
	struct buf request = { 0 };
	char octets[4096];
	ssize_t got;

	require(fd >= 0 && connect(fd, (struct sockaddr *)&address, address_length) == 0);
	require(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0);
	buf_add(&request, line, line_length);
	buf_printf(&request,
	    " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n",
	    length);
	buf_add(&request, body, length);
	/* The server may hang up before it has read all. */
	(void)(send(fd, request.data, request.length, MSG_NOSIGNAL) == (ssize_t)request.length);
	while ((got = read(fd, octets, sizeof(octets))) > 0)
		buf_add(heard, octets, (size_t)got);
	(void)close(fd);
	buf_free(&request);
}

/* A header's value up to the end of its line; NULL when it is not there. */
static const char *
header(const char *head, const char *name)
{
	const char *line = head;
	size_t length = strlen(name);

	for (; (line = strstr(line, "\r\n")) != NULL && line[2] != '\r'; line += 2)
		if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':')
			return line + 2 + length + strspn(line + 3 + length, " ") + 1;
	return NULL;
}

static bool
is_status(long status)
{
	static const long known[] = { 100, 200, 204, 400, 403, 404, 405, 409, 413, 414, 431, 500,
		501, 502, 503, 505 };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i] == status)
			return true;
	return false;
}

static void
check_body(const char *type, const char *body, size_t length)
{
	json_t *json;

	if (type != NULL && strncmp(type, "application/json\r\n", 18) == 0) {
		json = json_loadb(body, length, 0, NULL);	/* valid UTF-8, too */
		require(json != NULL);
		json_decref(json);
	} else if (type != NULL && strncmp(type, "application/openmetrics-text", 28) == 0) {
		require(length > 6 && memcmp(body + length - 6, "# EOF\n", 6) == 0);
	}
}

/* The response's status. */
static long
check_response(struct buf *heard)
{
	const char *text = buf_text(heard), *body, *type, *size;
	char *end;
	long status;

	require(strncmp(text, "HTTP/1.1 ", 9) == 0);
	status = strtol(text + 9, &end, 10);
	require(end == text + 12 && is_status(status));
	body = strstr(text, "\r\n\r\n");
	require(body != NULL);
	body += 4;
	type = header(text, "Content-Type");
	size = header(text, "Content-Length");
	require(status == 204 ||
	    (size != NULL && strtoul(size, NULL, 10) == heard->length - (size_t)(body - text)));
	require(status != 200 || type != NULL);
	check_body(type, body, heard->length - (size_t)(body - text));
	return status;
}

/* Would any HTTP server have to answer this line? */
static bool
is_plain(const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	size_t i;

	if (space == NULL || space == line || space + 1 >= line + length || space[1] != '/')
		return false;
	for (i = 0; i < length; i++)
		if (line[i] <= ' ' && line + i != space)
			return false;
	for (i = 0; line + i < space; i++)
		if (line[i] < 'A' || line[i] > 'Z')
			return false;
	return strncmp(line, "HEAD ", 5) != 0 && strncmp(line, "CONNECT ", 8) != 0;
}

static void
check_list(void)
{
	static const char list[] = "GET /v1/cache?limit=10000";
	struct buf heard = { 0 };

	ask(list, sizeof(list) - 1, NULL, 0, &heard);
	require(check_response(&heard) == 200);
	buf_free(&heard);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const uint8_t *end = memchr(input, '\n', length);
	size_t line = end == NULL ? length : (size_t)(end - input);
	struct buf heard = { 0 };

	if (length > INPUT_MAX || line > TARGET_MAX)
		return 0;
	(void)pthread_once(&once, start);
	ask((const char *)input, line, end == NULL ? NULL : end + 1,
	    end == NULL ? 0 : length - line - 1, &heard);
	if (is_plain((const char *)input, line))
		(void)check_response(&heard);
	buf_free(&heard);
	check_list();
	return 0;
}
