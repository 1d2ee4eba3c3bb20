/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/http.h"
#include "base/limits.h"
#include "base/memory.h"
#include "tests/unit/certs.h"
#include "tests/unit/https_server.h"

#define HOST	"mta-sts.example.com"

static char directory[] = "/tmp/stsgate-http-XXXXXX", ca_file[100];
static EVP_PKEY *ca_key, *key;
static X509 *ca, *good_cert;
static struct http *http;
static struct server *good;

/* Under a sanitizer: as the system's, which refuses and lets the program go on. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static int
set_up(void **state)
{
	const struct cert_wish root = { .cn = "Test Root", .ca = true };
	const struct cert_wish leaf = { .cn = "x", .san = "DNS:" HOST };
	char why[200];

	(void)state;
	/* The environment is never used. */
	(void)setenv("https_proxy", "http://127.0.0.1:1", 1);
	(void)setenv("HTTPS_PROXY", "http://127.0.0.1:1", 1);
	(void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	(void)signal(SIGPIPE, SIG_IGN);	/* for the server */
	assert_non_null(mkdtemp(directory));
	(void)snprintf(ca_file, sizeof(ca_file), "%s/ca.pem", directory);
	ca_key = certs_key();
	key = certs_key();
	ca = certs_make(&root, ca_key, NULL, NULL);
	good_cert = certs_make(&leaf, key, ca, ca_key);
	certs_write(ca_file, ca);
	http = http_new(ca_file, "", why, sizeof(why));
	assert_non_null(http);
	/* From here on every fetch lives by the roots read at the start. */
	assert_int_equal(unlink(ca_file), 0);
	good = server_start(SERVER_TLS, good_cert, key, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	http_free(http);
	server_stop(good);
	X509_free(good_cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return rmdir(directory);
}

static const struct ip loopback = { .octets = { 127, 0, 0, 1 } };

/* A GET that may be dialled; url must outlive the request. */
static struct http_request
get(const struct server *server, const char *path, char url[200])
{
	struct http_request request = { .method = "GET",
		.url = url,
		.host = HOST,
		.addresses = &loopback,
		.address_count = 1,
		.max_body = 65536,
		.allow_private = true,
		.deadline = deadline_in(30000) };

	(void)snprintf(url, 200, "https://%s:%u%s", HOST, server->port, path);
	return request;
}

static struct http_answer
fetch(const struct server *server, const char *path)
{
	char url[200];
	struct http_request request = get(server, path, url);
	struct http_answer answer;

	http_perform(http, &request, &answer);
	return answer;
}

static void
check_body(struct http_answer *answer, long status, const char *body)
{
	if (answer->outcome != HTTP_ANSWERED)
		print_error("%s: %s\n", http_outcome_name(answer->outcome), answer->reason);
	assert_int_equal(answer->outcome, HTTP_ANSWERED);
	assert_int_equal(answer->status, status);
	assert_string_equal(buf_text(&answer->body), body);
	assert_int_equal(answer->x509_error, 0);
	buf_free(&answer->body);
}

static void
check_failed(const struct http_answer *answer, enum http_outcome outcome)
{
	if (answer->outcome != outcome)
		print_error("%s: %s\n", http_outcome_name(answer->outcome), answer->reason);
	assert_int_equal(answer->outcome, outcome);
	assert_int_equal(answer->status, 0);
	assert_null(answer->body.data);
	assert_string_not_equal(answer->reason, "");
}

static void
test_answers(void **state)
{
	static const struct {
		const char *path;
		long status;
		const char *body;
	} cases[] = {
		{ "/ok", 200, "hello" },
		{ "/missing", 404, "nope" },
		{ "/redirect", 302, "" },	/* RFC 8461 3.3: not followed */
		{ "/http-1.0", 200, "hello" },
		{ "/chunked", 200, "hello" },
		{ "/continue", 200, "hello" },
		{ "/identity", 200, "hello" },
	};
	struct http_answer answer;
	unsigned requests = good->requests;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer = fetch(good, cases[i].path);
		check_body(&answer, cases[i].status, cases[i].body);
	}
	assert_int_equal(good->requests, requests + i);
	answer = fetch(good, "/ok");
	assert_string_equal(answer.content_type, "text/plain; charset=utf-8");
	assert_true(server_saw_sni(good, HOST));
	assert_true(server_was_asked(good, "GET /ok HTTP/1.1\r\nHost: " HOST));
	assert_false(server_was_asked(good, "Accept-Encoding"));
	check_body(&answer, 200, "hello");
	answer = fetch(good, "/early-type");
	assert_string_equal(answer.content_type, "");	/* that of another response */
	check_body(&answer, 200, "hello");
}

static void
test_refused_answers(void **state)
{
	static const struct {
		const char *path;
		enum http_outcome outcome;
	} cases[] = {
		{ "/gzip", HTTP_GARBLED },
		{ "/folded", HTTP_GARBLED },
		{ "/te-gzip", HTTP_GARBLED },
		{ "/cut", HTTP_GARBLED },
		{ "/cut-chunk", HTTP_GARBLED },
		{ "/truncated", HTTP_GARBLED },	/* the end is not TLS's own word */
		{ "/reset-body", HTTP_GARBLED },
		{ "/http-0.9", HTTP_GARBLED },
		{ "/garbage", HTTP_GARBLED },
		{ "/negative", HTTP_GARBLED },
		{ "/empty", HTTP_UNREACHABLE },
		{ "/reset", HTTP_UNREACHABLE },
		{ "/endless", HTTP_TOO_LARGE },
		{ "/headers", HTTP_TOO_LARGE },
		{ "/header-line", HTTP_TOO_LARGE },
		{ "/interim", HTTP_TOO_LARGE },
		{ "/size/65537", HTTP_TOO_LARGE },
		{ "/unsized/65537", HTTP_TOO_LARGE },
	};
	struct http_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		answer = fetch(good, cases[i].path);
		if (answer.outcome != cases[i].outcome)
			print_error("%s\n", cases[i].path);
		check_failed(&answer, cases[i].outcome);
	}
}

static void
test_largest(void **state)
{
	static const char *const paths[] = { "/size/65536", "/unsized/65536" };
	struct http_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		answer = fetch(good, paths[i]);
		assert_int_equal(answer.outcome, HTTP_ANSWERED);
		assert_int_equal(answer.body.length, 65536);
		buf_free(&answer.body);
	}
}

static void
test_no_body_wanted(void **state)
{
	char url[200];
	struct http_request request = get(good, "/ok", url);
	struct http_answer answer;

	(void)state;
	request.max_body = 0;
	http_perform(http, &request, &answer);
	check_body(&answer, 200, "");
	request = get(good, "/redirect", url);
	request.max_body = 0;
	http_perform(http, &request, &answer);
	check_body(&answer, 302, "");
}

/* A POST whose status has come has been answered, whatever is wrong with the rest. */
static void
test_the_status_decides(void **state)
{
	static const struct {
		const char *path;
		enum http_outcome outcome;
	} cases[] = {
		{ "/gzip", HTTP_ANSWERED },
		{ "/folded", HTTP_ANSWERED },
		{ "/te-gzip", HTTP_ANSWERED },
		{ "/cut", HTTP_ANSWERED },
		{ "/cut-chunk", HTTP_ANSWERED },
		{ "/cut-headers", HTTP_ANSWERED },
		{ "/truncated", HTTP_ANSWERED },
		{ "/reset-body", HTTP_ANSWERED },
		{ "/negative", HTTP_ANSWERED },
		{ "/endless", HTTP_ANSWERED },
		{ "/drip", HTTP_ANSWERED },
		{ "/no-body", HTTP_ANSWERED },
		{ "/headers", HTTP_ANSWERED },
		{ "/header-line", HTTP_ANSWERED },
		{ "/echo", HTTP_ANSWERED },	/* before the request is over */
		{ "/http-0.9", HTTP_GARBLED },
		{ "/garbage", HTTP_GARBLED },
		{ "/empty", HTTP_UNREACHABLE },
		{ "/reset", HTTP_UNREACHABLE },
		{ "/interim", HTTP_TOO_LARGE },
		{ "/interim-cut", HTTP_GARBLED },
	};
	char url[200], *body = calloc(1, 500000);
	struct http_answer answer;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct http_request request = get(good, cases[i].path, url);

		request.method = "POST";
		request.body = body;
		request.body_length = strcmp(cases[i].path, "/echo") == 0 ? 500000 : 5;
		request.max_body = 0;
		http_perform(http, &request, &answer);
		if (answer.outcome != cases[i].outcome)
			print_error("%s: %s\n", cases[i].path, answer.reason);
		if (cases[i].outcome == HTTP_ANSWERED)
			check_body(&answer, 200, "");
		else
			check_failed(&answer, cases[i].outcome);
	}
	free(body);
}

/* An allocation that a library might need at this moment. */
static void
want_too_much(void *context, const char *octets, size_t length)
{
	static volatile size_t too_much = SIZE_MAX / 4;

	(void)context, (void)octets, (void)length;
	assert_null(memory_malloc(too_much));
}

static void
test_a_failure_while_memory_is_refused_is_our_own(void **state)
{
	struct http_request request;
	struct http_answer answer;
	char url[200];

	(void)state;
	request = get(good, "/cut", url);
	request.heard = want_too_much;
	http_perform(http, &request, &answer);
	check_failed(&answer, HTTP_LOCAL);
	request = get(good, "/ok", url);
	request.heard = want_too_much;
	http_perform(http, &request, &answer);
	check_body(&answer, 200, "hello");
	request = get(good, "/cut", url);
	http_perform(http, &request, &answer);
	check_failed(&answer, HTTP_GARBLED);
}

static void
test_deadlines(void **state)
{
	static const struct {
		enum server_kind kind;
		const char *path, *stage;
	} cases[] = {
		{ SERVER_TLS, "/drip", "in the middle of the answer" },
		{ SERVER_TLS, "/silent", "waiting for the answer" },
		{ SERVER_SILENT, "/ok", "in the TLS handshake" },
	};
	struct http_request request;
	struct http_answer answer;
	struct server *server;
	int64_t began, ms;
	char url[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		server = server_start(cases[i].kind, good_cert, key, NULL);
		request = get(server, cases[i].path, url);
		for (ms = 300;; ms *= 8) {	/* a busy machine may need more to get so far */
			request.deadline = deadline_in(ms);
			began = clock_monotonic_ms();
			http_perform(http, &request, &answer);
			check_failed(&answer, HTTP_TIMEOUT);
			assert_in_range(clock_monotonic_ms() - began, ms - 5, ms + 10000);
			if (ms > 2400 || strstr(answer.reason, cases[i].stage) != NULL)
				break;
		}
		assert_non_null(strstr(answer.reason, cases[i].stage));
		server_stop(server);
	}
	request = get(good, "/ok", url);
	request.deadline = deadline_in(-1000);
	http_perform(http, &request, &answer);
	check_failed(&answer, HTTP_LOCAL);
}

static void
test_addresses(void **state)
{
	const struct ip several[] = { { .octets = { 127, 0, 0, 2 } },
		{ .v6 = true, .octets = { [15] = 1 } }, { .octets = { 127, 0, 0, 1 } } };
	unsigned connections = good->connections;
	struct http_request request;
	struct http_answer answer;
	char url[200];

	(void)state;
	request = get(good, "/ok", url);
	request.allow_private = false;
	http_perform(http, &request, &answer);
	check_failed(&answer, HTTP_REFUSED_ADDRESS);
	request = get(good, "/ok", url);
	request.address_count = 0;
	http_perform(http, &request, &answer);
	check_failed(&answer, HTTP_UNREACHABLE);
	assert_int_equal(good->connections, connections);
	request = get(good, "/ok", url);
	request.addresses = several;
	request.address_count = 3;
	http_perform(http, &request, &answer);
	assert_non_null(strstr(answer.reason, "[127.0.0.1]"));
	check_body(&answer, 200, "hello");
	/* Nothing of an earlier request is left: neither connection nor address. */
	request = get(good, "/ok", url);
	request.addresses = several;
	http_perform(http, &request, &answer);
	check_failed(&answer, HTTP_UNREACHABLE);
	assert_string_equal(answer.reason, HOST " [127.0.0.2]: Connection refused");
	assert_int_equal(good->connections, connections + 1);
}

static void
test_urls(void **state)
{
	static const char *const urls[] = { "http://" HOST "/", "https://127.0.0.1/",
		"ftp://" HOST "/", "https://other.example.com/", "https://user:secret@" HOST "/",
		"file:///etc/passwd", "", "https://", "mta-sts.example.com", "https://[::1]/",
		"https://" HOST ":99999/", "https://*.example.com/" };
	struct http_request request;
	struct http_answer answer;
	char url[200];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		request = get(good, "/ok", url);
		request.url = urls[i];
		http_perform(http, &request, &answer);
		check_failed(&answer, HTTP_GARBLED);
	}
}

static void
test_methods(void **state)
{
	char url[200], *body = malloc(2000000);
	struct http_request request = get(good, "/echo", url);
	struct http_answer answer;

	(void)state;
	memset(body, 'b', 2000000);
	request.method = "POST";
	request.content_type = "application/tlsrpt+gzip";
	request.body = body;
	request.body_length = 2000000;
	request.max_body = 2000000;
	http_perform(http, &request, &answer);
	assert_int_equal(answer.outcome, HTTP_ANSWERED);
	assert_int_equal(answer.body.length, 2000000);
	assert_memory_equal(answer.body.data, body, 2000000);
	assert_true(server_was_asked(good, "Content-Type: application/tlsrpt+gzip\r\n"));
	assert_false(server_was_asked(good, "Expect"));
	buf_free(&answer.body);
	request = get(good, "/ok", url);
	request.method = "POST";
	http_perform(http, &request, &answer);
	assert_true(server_was_asked(good, "POST /ok HTTP/1.1\r\n"));
	assert_true(server_was_asked(good, "Content-Length: 0"));
	check_body(&answer, 200, "hello");
	request = get(good, "/ok", url);
	request.method = "DELETE";
	http_perform(http, &request, &answer);
	assert_true(server_was_asked(good, "DELETE /ok HTTP/1.1\r\n"));
	check_body(&answer, 200, "hello");
	free(body);
}

static void
test_unix_socket(void **state)
{
	char path[150], why[200];
	struct http *local = http_new("", "", why, sizeof(why));
	struct http_request request = { .method = "GET",
		.url = "http://localhost/ok",
		.host = "localhost",
		.unix_path = path,
		.max_body = 100,
		.deadline = deadline_in(20000) };
	struct http_answer answer;
	struct server *server;
	char url[200];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/control.sock", directory);
	server = server_start(SERVER_PLAIN, NULL, NULL, path);
	http_perform(local, &request, &answer);
	check_body(&answer, 200, "hello");
	request = get(good, "/ok", url);
	http_perform(local, &request, &answer);	/* no roots, no HTTPS */
	check_failed(&answer, HTTP_LOCAL);
	server_stop(server);
	(void)unlink(path);
	request.unix_path = path;
	request.url = "http://localhost/ok";
	http_perform(local, &request, &answer);
	check_failed(&answer, HTTP_UNREACHABLE);
	http_free(local);
}

static void
test_proxy(void **state)
{
	struct server *proxy = server_start(SERVER_PROXY, NULL, NULL, NULL);
	char url[200], why[200], proxy_url[100];
	struct http_request request = get(good, "/ok", url);
	struct http_answer answer;
	struct http *through;

	(void)state;
	certs_write(ca_file, ca);
	(void)snprintf(proxy_url, sizeof(proxy_url), "http://127.0.0.1:%u", proxy->port);
	(void)setenv("no_proxy", "*", 1);
	through = http_new(ca_file, proxy_url, why, sizeof(why));
	(void)unlink(ca_file);
	request.address_count = 0;
	request.allow_private = false;
	http_perform(through, &request, &answer);
	check_body(&answer, 200, "hello");
	assert_int_equal(proxy->requests, 1);
	assert_true(server_was_asked(proxy, "CONNECT " HOST ":"));
	http_free(through);
	server_stop(proxy);
}

static void
test_start(void **state)
{
	char why[200] = "";

	(void)state;
	assert_null(http_new("/nonexistent.pem", "", why, sizeof(why)));
	assert_string_equal(why, "/nonexistent.pem: No such file or directory");
	http_free(NULL);
}

struct caller {
	pthread_t thread;
	struct http *http;
	const char *path;
	int64_t ms;
	struct http_answer answer;
};

static void *
call(void *context)
{
	struct caller *caller = context;
	char url[200];
	struct http_request request = get(good, caller->path, url);

	request.deadline = deadline_in(caller->ms);
	http_perform(caller->http, &request, &caller->answer);
	memset(url, 0, sizeof(url));	/* it is no longer read */
	return NULL;
}

static void
call_all(struct caller *callers, size_t count, struct http *by, const char *path, int64_t ms)
{
	size_t i;

	for (i = 0; i < count; i++) {
		callers[i] = (struct caller){ .http = by, .path = path, .ms = ms };
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
}

static void
test_parallel(void **state)
{
	struct caller callers[50];
	size_t i;

	(void)state;
	call_all(callers, 50, http, "/ok", 10000);
	for (i = 0; i < 50; i++) {
		assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
		check_body(&callers[i].answer, 200, "hello");
	}
}

/* More requests than run at once: those in the queue keep their deadlines too. */
static void
test_queue(void **state)
{
	struct caller callers[250];
	int64_t began = clock_monotonic_ms();
	size_t i, local = 0;

	(void)state;
	call_all(callers, 250, http, "/silent", 1000);
	for (i = 0; i < 250; i++) {
		assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
		if (callers[i].answer.outcome == HTTP_LOCAL)
			local++;
		else
			check_failed(&callers[i].answer, HTTP_TIMEOUT);
	}
	/* The host said nothing to those that it was never asked by. */
	assert_in_range(local, 250 - LIMIT_HTTP_TRANSFERS, 250);
	assert_in_range(clock_monotonic_ms() - began, 900, 25000);
}

static void
test_free_ends_requests(void **state)
{
	struct caller callers[5];
	char why[200];
	struct http *own;
	int64_t began;
	size_t i;

	(void)state;
	certs_write(ca_file, ca);
	own = http_new(ca_file, "", why, sizeof(why));
	(void)unlink(ca_file);
	call_all(callers, 5, own, "/silent", 30000);
	(void)usleep(200000);
	began = clock_monotonic_ms();
	http_free(own);
	assert_in_range(clock_monotonic_ms() - began, 0, 20000);
	for (i = 0; i < 5; i++) {
		assert_int_equal(pthread_join(callers[i].thread, NULL), 0);
		check_failed(&callers[i].answer, HTTP_LOCAL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_refused_answers),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_no_body_wanted),
		cmocka_unit_test(test_the_status_decides),
		cmocka_unit_test(test_a_failure_while_memory_is_refused_is_our_own),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_parallel),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_free_ends_requests),
	};

	return cmocka_run_group_tests_name("http", tests, set_up, tear_down);
}
