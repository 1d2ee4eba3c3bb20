/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/descriptors.h"
#include "base/domain.h"
#include "base/http_engine.h"
#include "base/http_work.h"
#include "base/limits.h"
#include "base/memory.h"

struct http_engine {
	struct x509_trust *trust;
	const char *proxy;	/* "" : none */
	CURLM *multi;
	struct http_work_sessions *sessions;
};

static bool
may_dial(const struct http_transfer *transfer, const struct sockaddr *address)
{
	struct ip ip;
	size_t i;

	if (transfer->unix_path != NULL)
		return address->sa_family == AF_UNIX;
	if (transfer->work->engine->proxy[0] != '\0')
		return true;
	if (ip_from_sockaddr(address, &ip) != 0)
		return false;
	for (i = 0; i < transfer->address_count; i++)
		if (ip_equal(&ip, &transfer->addresses[i]))
			return true;
	return false;
}

static curl_socket_t
on_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_transfer *transfer = context;
	struct ip ip;

	int fd;

	if (purpose != CURLSOCKTYPE_IPCXN || !may_dial(transfer, &address->addr))
		return CURL_SOCKET_BAD;
	if (ip_from_sockaddr(&address->addr, &ip) == 0)
		ip_format(&ip, transfer->work->peer);
	fd = descriptors_spare(socket(address->family, address->socktype | SOCK_CLOEXEC,
	    address->protocol));
	if (fd < 0 && errno != EAFNOSUPPORT)
		transfer->work->local_error = errno;
	return fd >= 0 ? fd : CURL_SOCKET_BAD;
}

static CURLcode
on_ssl_ctx(CURL *easy, void *ssl_ctx, void *context)
{
	struct http_transfer *transfer = context;

	(void)easy;
	x509_unwatch(transfer->work->ssl_ctx);
	transfer->work->ssl_ctx = ssl_ctx;
	x509_watch(ssl_ctx, &transfer->work->seen);
	x509_bound_effort(ssl_ctx);
	if (x509_trust_use(transfer->work->engine->trust, ssl_ctx) == 0 &&
	    x509_require_host(ssl_ctx, transfer->host) == 0)
		return CURLE_OK;
	http_transfer_decide(transfer, HTTP_LOCAL, "%s: TLS cannot be set up", transfer->host);
	return CURLE_SSL_CERTPROBLEM;
}

/* Runs once the connection is open, before the first octet of the request. */
static int
on_connected(void *context, char *peer, char *own, int peer_port, int own_port)
{
	struct http_transfer *transfer = context;
	struct curl_tlssessioninfo *tls = NULL;
	int x509_error;

	(void)peer, (void)own, (void)peer_port, (void)own_port;
	if (transfer->unix_path != NULL)
		return CURL_PREREQFUNC_OK;
	if (curl_easy_getinfo(transfer->work->easy, CURLINFO_TLS_SSL_PTR, &tls) != CURLE_OK ||
	    tls == NULL || tls->internals == NULL) {
		http_transfer_decide(transfer, HTTP_LOCAL, "%s: no TLS session to be judged",
		    transfer->host);
		return CURL_PREREQFUNC_ABORT;
	}
	x509_error = x509_verify_resumed(tls->internals);
	if (x509_error == 0)
		return CURL_PREREQFUNC_OK;
	/* The host may have another certificate today. */
	transfer->work->stale = !transfer->work->afresh;
	if (!transfer->work->stale)
		http_work_decide_certificate(transfer, x509_error);
	return CURL_PREREQFUNC_ABORT;
}

/* Does the header line `name: value` hold anything but the value allowed? */
static bool
header_differs(const char *line, size_t length, const char *name, const char *allowed)
{
	size_t skip = strlen(name);

	if (length < skip || strncasecmp(line, name, skip) != 0)
		return false;
	line += skip;
	length -= skip;
	while (length > 0 && strchr(" \t", *line) != NULL) {
		line++;
		length--;
	}
	while (length > 0 && strchr(" \t\r\n", line[length - 1]) != NULL)
		length--;
	return length != strlen(allowed) || strncasecmp(line, allowed, length) != 0;
}

/* A host that answers early still gets the rest of the request. */
static bool
is_sent(const struct http_transfer *transfer)
{
	curl_off_t sent = 0;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return sent >= (curl_off_t)transfer->body_length;
}

static size_t
on_header(char *line, size_t size, size_t count, void *context)
{
	struct http_transfer *transfer = context;
	size_t length = size * count;
	bool last = length > 0 && (line[0] == '\r' || line[0] == '\n');

	transfer->work->header_octets += length;
	if (last && is_sent(transfer))
		(void)http_work_decide_by_status(transfer);
	if (transfer->work->header_octets > LIMIT_HTTP_HEADERS &&
	    !http_work_decide_by_status(transfer))
		http_transfer_decide(transfer, HTTP_TOO_LARGE,
		    "the headers from %s are larger than %d octets", transfer->host,
		    LIMIT_HTTP_HEADERS);
	else if (transfer->max_body > 0 &&
	    (header_differs(line, length, "Content-Encoding:", "identity") ||
		header_differs(line, length, "Transfer-Encoding:", "chunked")))
		http_transfer_decide(transfer, HTTP_GARBLED,
		    "%s answered in an encoding that was not requested", transfer->host);
	if (length > 18 && strncasecmp(line, "Transfer-Encoding:", 18) == 0)
		transfer->work->chunked = true;
	return transfer->decided ? 0 : length;
}

static size_t
on_body(char *octets, size_t size, size_t count, void *context)
{
	struct http_transfer *transfer = context;
	size_t length = size * count;

	if (length > transfer->max_body - transfer->answer.body.length) {
		if (!http_work_decide_by_status(transfer))
			http_work_decide_too_large(transfer);
		return length > 0 ? 0 : 1;
	}
	http_transfer_add(transfer, octets, length);
	return length;
}

static const struct {
	CURLoption option;
	long value;
} fixed_options[] = {
	{ CURLOPT_NOSIGNAL, 1 }, { CURLOPT_FOLLOWLOCATION, 0 },
	/* else a later request might use an address that is not its own */
	{ CURLOPT_FORBID_REUSE, 1 }, { CURLOPT_FRESH_CONNECT, 1 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 }, { CURLOPT_HTTP09_ALLOWED, 0 },
	{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 }, { CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED }, { CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	/* else the roots of the first connection take the place of ours on later ones */
	{ CURLOPT_CA_CACHE_TIMEOUT, 0 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },	/* RFC 8461 7.2: or later */
};

/* The first option that libcurl refuses ends the request: none of them is optional. */
#define SET(transfer, option, value)	\
	do { \
		if ((transfer)->work->setup == CURLE_OK) \
			(transfer)->work->setup = curl_easy_setopt((transfer)->work->easy, \
			    (option), (value)); \
	} while (0)

static void
set_fixed(struct http_transfer *transfer)
{
	size_t i;

	for (i = 0; i < sizeof(fixed_options) / sizeof(fixed_options[0]); i++)
		SET(transfer, fixed_options[i].option, fixed_options[i].value);
}

/* libcurl gets the addresses as a complete answer and never uses a resolver. */
static void
set_target(struct http_transfer *transfer)
{
	bool local = transfer->unix_path != NULL;

	SET(transfer, CURLOPT_URL, transfer->url);
	SET(transfer, CURLOPT_PROTOCOLS_STR, local ? "http" : "https");
	SET(transfer, CURLOPT_UNIX_SOCKET_PATH, transfer->unix_path);
	SET(transfer, CURLOPT_RESOLVE, transfer->work->resolve);
	/* Set even when empty: libcurl reads the environment for what is NULL. */
	SET(transfer, CURLOPT_PROXY, local ? "" : transfer->work->engine->proxy);
	SET(transfer, CURLOPT_NOPROXY, "");
	SET(transfer, CURLOPT_TIMEOUT_MS, (long)deadline_left_ms(transfer->deadline));
	SET(transfer, CURLOPT_CONNECTTIMEOUT_MS, (long)deadline_left_ms(transfer->deadline));
}

static void
set_method(struct http_transfer *transfer)
{
	if (strcmp(transfer->method, "POST") == 0) {
		SET(transfer, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)transfer->body_length);
		SET(transfer, CURLOPT_POSTFIELDS, (const char *)transfer->body);
	} else if (strcmp(transfer->method, "GET") == 0) {
		SET(transfer, CURLOPT_HTTPGET, 1L);
	} else {
		SET(transfer, CURLOPT_CUSTOMREQUEST, transfer->method);
	}
	SET(transfer, CURLOPT_HTTPHEADER, transfer->work->headers);
	SET(transfer, CURLOPT_USERAGENT, PACKAGE_NAME "/" PACKAGE_VERSION);
	/* 0 would be no limit: on_body() holds the line there. */
	SET(transfer, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->max_body);
}

static void
set_tls(struct http_transfer *transfer)
{
	/* The roots come from on_ssl_ctx(), read once; libcurl loads none of its own. */
	SET(transfer, CURLOPT_CAINFO, (char *)NULL);
	SET(transfer, CURLOPT_CAPATH, (char *)NULL);
	SET(transfer, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	SET(transfer, CURLOPT_SSL_CTX_DATA, transfer);
	SET(transfer, CURLOPT_SHARE, transfer->work->sessions->share);
	SET(transfer, CURLOPT_SSL_SESSIONID_CACHE, transfer->work->afresh ? 0L : 1L);
}

static void
set_hooks(struct http_transfer *transfer)
{
	SET(transfer, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	SET(transfer, CURLOPT_OPENSOCKETDATA, transfer);
	SET(transfer, CURLOPT_PREREQFUNCTION, on_connected);
	SET(transfer, CURLOPT_PREREQDATA, transfer);
	SET(transfer, CURLOPT_HEADERFUNCTION, on_header);
	SET(transfer, CURLOPT_HEADERDATA, transfer);
	SET(transfer, CURLOPT_WRITEFUNCTION, on_body);
	SET(transfer, CURLOPT_WRITEDATA, transfer);
	SET(transfer, CURLOPT_ERRORBUFFER, transfer->work->error);
	SET(transfer, CURLOPT_PRIVATE, transfer);
}

/* Those that a request used, unless another request has done so meanwhile. */
static void
sessions_forget(struct http_engine *engine, const struct http_work_sessions *used)
{
	struct http_work_sessions *others = NULL;

	if (engine->sessions == used)
		others = http_work_sessions_new();
	if (others == NULL)
		return;
	http_work_sessions_leave(engine->sessions);
	engine->sessions = others;
}

static void
work_free(struct http_transfer *transfer)
{
	struct http_work *work = transfer->work;

	if (work->easy != NULL)
		curl_easy_cleanup(work->easy);
	http_work_sessions_leave(work->sessions);
	x509_unwatch(work->ssl_ctx);
	curl_slist_free_all(work->resolve);
	curl_slist_free_all(work->headers);
	free(work);
	transfer->work = NULL;
}

/* An https URL of the host the caller vouches for, or http over a Unix socket. */
static bool
url_is_right(const struct http_transfer *transfer, CURLU *url)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	struct ip literal;
	bool right = false;

	if (curl_url_set(url, CURLUPART_URL, transfer->url, CURLU_DISALLOW_USER) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		goto out;
	if (transfer->unix_path != NULL) {
		right = strcmp(scheme, "http") == 0;
	} else if (strcmp(scheme, "https") == 0 && domain_is_host(host) &&
	    ip_parse(host, &literal) != 0 && domain_equal(host, transfer->host)) {
		(void)snprintf(transfer->work->port, sizeof(transfer->work->port), "%s", port);
		right = true;
	}
out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	return right;
}

/* "+host:port:address,address": libcurl keeps it a minute, or until the next request's. */
static void
prepare_resolve(struct http_transfer *transfer)
{
	struct buf text = { 0 };
	char address[IP_TEXT_MAX];
	size_t i;

	if (transfer->address_count == 0 || transfer->unix_path != NULL)
		return;
	buf_printf(&text, "+%s:%s:", transfer->host, transfer->work->port);
	for (i = 0; i < transfer->address_count; i++) {
		ip_format(&transfer->addresses[i], address);
		buf_printf(&text, transfer->addresses[i].v6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "",
		    address);
	}
	transfer->work->resolve = curl_slist_append(NULL, text.data);
	buf_free(&text);
}

static void
prepare_headers(struct http_transfer *transfer)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	struct buf text = { 0 };

	if (transfer->content_type != NULL) {
		buf_printf(&text, "Content-Type: %s", transfer->content_type);
		headers = curl_slist_append(headers, text.data);
		buf_free(&text);
	}
	transfer->work->headers = headers;
}

static bool
prepare(struct http_transfer *transfer)
{
	CURLU *url = curl_url();
	bool right = url != NULL && url_is_right(transfer, url);

	curl_url_cleanup(url);
	if (!right) {
		http_transfer_decide(transfer, HTTP_GARBLED,
		    "%s is not a URL that can be asked at %s", transfer->url, transfer->host);
		return false;
	}
	prepare_resolve(transfer);
	prepare_headers(transfer);
	set_fixed(transfer);
	set_target(transfer);
	set_method(transfer);
	set_hooks(transfer);
	if (transfer->unix_path == NULL)
		set_tls(transfer);
	return true;
}

static bool
start(struct http_engine *engine, struct http_transfer *transfer, bool afresh)
{
	struct http_work *work = xcalloc(1, sizeof(*work));

	transfer->work = work;
	work->engine = engine;
	work->sessions = engine->sessions;
	work->sessions->users++;
	work->afresh = afresh;
	work->proxied = engine->proxy[0] != '\0' && transfer->unix_path == NULL;
	work->easy = curl_easy_init();
	work->setup = work->easy != NULL ? CURLE_OK : CURLE_FAILED_INIT;
	if (prepare(transfer) && work->setup == CURLE_OK &&
	    curl_multi_add_handle(engine->multi, work->easy) == CURLM_OK)
		return true;
	http_transfer_decide(transfer, HTTP_LOCAL, "libcurl cannot start the request: %s",
	    curl_easy_strerror(work->setup));
	work_free(transfer);
	return false;
}

bool
http_engine_start(struct http_engine *engine, struct http_transfer *transfer)
{
	return start(engine, transfer, false);
}

/* Did it fail by the session that was offered, as far as can be seen? Up to the end of the
 * handshake, and where nothing but a question was sent, up to the first octet of the answer. */
static bool
is_rejected(const struct http_transfer *transfer, CURLcode code)
{
	const struct http_work *work = transfer->work;
	curl_off_t secured = 0;

	if (code == CURLE_OK || transfer->decided || !work->seen.offered)
		return false;
	(void)curl_easy_getinfo(work->easy, CURLINFO_APPCONNECT_TIME_T, &secured);
	return work->stale || secured == 0 ||
	    (work->header_octets == 0 && strcmp(transfer->method, "GET") == 0);
}

void
http_engine_cancel(struct http_engine *engine, struct http_transfer *transfer)
{
	if (is_rejected(transfer, CURLE_OPERATION_TIMEDOUT))
		sessions_forget(engine, transfer->work->sessions);
	(void)http_work_decide_by_status(transfer);
	http_transfer_decide(transfer, HTTP_LOCAL, "%s: broken off %s", transfer->host,
	    http_work_stage(transfer));
	(void)curl_multi_remove_handle(engine->multi, transfer->work->easy);
	work_free(transfer);
}

/* Once more without a session. false: the time is up, or it cannot be started. */
static bool
start_afresh(struct http_engine *engine, struct http_transfer *transfer, CURLcode code)
{
	if (!is_rejected(transfer, code))
		return false;
	sessions_forget(engine, transfer->work->sessions);
	if (deadline_left_ms(transfer->deadline) <= 0)
		return false;
	(void)curl_multi_remove_handle(engine->multi, transfer->work->easy);
	work_free(transfer);
	return start(engine, transfer, true);
}

/* false: it goes on. */
static bool
has_ended(struct http_engine *engine, struct http_transfer *transfer, CURLcode code)
{
	if (start_afresh(engine, transfer, code))
		return false;
	if (transfer->work == NULL)	/* decided where it could not start */
		return true;
	if (code == CURLE_OK)
		http_work_decide_answered(transfer);
	else
		http_work_decide_failure(transfer, code);
	(void)curl_multi_remove_handle(engine->multi, transfer->work->easy);
	work_free(transfer);
	return true;
}

struct http_transfer *
http_engine_ended(struct http_engine *engine)
{
	struct http_transfer *transfer;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(engine->multi, &left)) != NULL) {
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
		if (has_ended(engine, transfer, message->data.result))
			return transfer;
	}
	return NULL;
}

void
http_engine_run(struct http_engine *engine, int wait_ms)
{
	int running = 0;

	(void)curl_multi_poll(engine->multi, NULL, 0, wait_ms, NULL);
	(void)curl_multi_perform(engine->multi, &running);
}

void
http_engine_wake(struct http_engine *engine)
{
	(void)curl_multi_wakeup(engine->multi);
}

struct http_engine *
http_engine_new(struct x509_trust *trust, const char *proxy, char *why, size_t why_room)
{
	struct http_engine *engine = xcalloc(1, sizeof(*engine));
	const char *tls = curl_version_info(CURLVERSION_NOW)->ssl_version;

	(void)curl_global_init_mem(CURL_GLOBAL_DEFAULT, memory_malloc, memory_free, memory_realloc,
	    memory_strdup, memory_calloc);
	engine->trust = trust;
	engine->proxy = proxy;
	engine->multi = curl_multi_init();
	engine->sessions = http_work_sessions_new();
	/* on_ssl_ctx() and on_connected() speak OpenSSL. */
	if (tls == NULL || strncmp(tls, "OpenSSL/", 8) != 0)
		(void)snprintf(why, why_room,
		    "libcurl is built with %s, not with OpenSSL: install "
		    "its OpenSSL flavour",
		    tls != NULL ? tls : "no TLS");
	else if (engine->multi == NULL || engine->sessions == NULL)
		(void)snprintf(why, why_room, "libcurl cannot start");
	else
		return engine;
	http_engine_free(engine);
	return NULL;
}

void
http_engine_free(struct http_engine *engine)
{
	(void)curl_multi_cleanup(engine->multi);
	http_work_sessions_leave(engine->sessions);
	curl_global_cleanup();
	free(engine);
}
