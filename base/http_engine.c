/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/http_engine.h"
#include "base/limits.h"

#define X509_NAME_MISMATCH	62	/* X509_V_ERR_HOSTNAME_MISMATCH */

struct http_engine {
	struct x509_trust *trust;
	const char *proxy;	/* "" : none */
	CURLM *multi;
	CURLSH *share;	/* TLS sessions */
};

struct http_work {
	struct http_engine *engine;
	CURL *easy;
	CURLcode setup;	/* the first option refused */
	struct curl_slist *resolve, *headers;
	char port[6];
	char peer[IP_TEXT_MAX];	/* dialled last, "" before */
	char error[CURL_ERROR_SIZE];
	size_t header_octets;
	void *ssl_ctx;	/* NULL before the TLS handshake */
	bool chunked;
	bool tls_ended;	/* the peer has said so */
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

	if (purpose != CURLSOCKTYPE_IPCXN || !may_dial(transfer, &address->addr))
		return CURL_SOCKET_BAD;
	if (ip_from_sockaddr(&address->addr, &ip) == 0)
		ip_format(&ip, transfer->work->peer);
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static CURLcode
on_ssl_ctx(CURL *easy, void *ssl_ctx, void *context)
{
	struct http_transfer *transfer = context;

	(void)easy;
	x509_unwatch_end(transfer->work->ssl_ctx);
	transfer->work->ssl_ctx = ssl_ctx;
	x509_watch_end(ssl_ctx, &transfer->work->tls_ended);
	if (x509_trust_use(transfer->work->engine->trust, ssl_ctx) == 0 &&
	    x509_require_host(ssl_ctx, transfer->host) == 0)
		return CURLE_OK;
	http_transfer_decide(transfer, HTTP_TLS, "%s: TLS cannot be set up", transfer->host);
	return CURLE_SSL_CERTPROBLEM;
}

static void
decide_certificate(struct http_transfer *transfer, int x509_error)
{
	transfer->answer.x509_error = x509_error;
	http_transfer_decide(transfer, HTTP_TLS,
	    "the certificate of %s [%s] is not valid for it: %s (%s)", transfer->host,
	    transfer->work->peer, x509_error_name(x509_error), x509_error_text(x509_error));
}

/* Runs once the connection stands, before the first octet of the request. */
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
		http_transfer_decide(transfer, HTTP_TLS, "%s: no TLS session to be judged",
		    transfer->host);
		return CURL_PREREQFUNC_ABORT;
	}
	x509_error = x509_verify_resumed(tls->internals);
	if (x509_error == 0)
		return CURL_PREREQFUNC_OK;
	decide_certificate(transfer, x509_error);
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

/* A body without a length of its own ends where the peer says so, not where the connection is cut
 * (RFC 9112 9.8). */
static bool
is_cut(const struct http_transfer *transfer)
{
	curl_off_t announced = -1;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
	    &announced);
	return announced < 0 && !transfer->work->chunked && !transfer->work->tls_ended &&
	    transfer->unix_path == NULL && transfer->answer.body.length > 0;
}

static void
decide_answered(struct http_transfer *transfer)
{
	struct http_answer *answer = &transfer->answer;
	struct curl_header *own;
	const char *type = NULL;

	if (is_cut(transfer)) {
		http_transfer_decide(transfer, HTTP_GARBLED, "the answer of %s [%s] was cut off",
		    transfer->host, transfer->work->peer);
		return;
	}
	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_RESPONSE_CODE, &answer->status);
	/* libcurl would give an interim answer's, too. */
	if (curl_easy_header(transfer->work->easy, "Content-Type", 0, CURLH_HEADER, -1, &own) ==
	    CURLHE_OK)
		(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_CONTENT_TYPE, &type);
	(void)snprintf(answer->content_type, sizeof(answer->content_type), "%s",
	    type != NULL ? type : "");
	http_transfer_decide(transfer, HTTP_ANSWERED, "HTTP status %ld from %s [%s]",
	    answer->status, transfer->host, transfer->work->peer);
}

/* Where no body is wanted the status is the whole answer, whatever is wrong with the rest of it. */
static bool
decide_by_status(struct http_transfer *transfer)
{
	long status = 0;

	if (transfer->max_body == 0 && transfer->work->header_octets > 0)
		(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)	/* none yet, or an interim one */
		return false;
	decide_answered(transfer);
	return true;
}

/* Who answers early is still sent the rest of the request. */
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
		(void)decide_by_status(transfer);
	if (transfer->work->header_octets > LIMIT_HTTP_HEADERS && !decide_by_status(transfer))
		http_transfer_decide(transfer, HTTP_TOO_LARGE,
		    "the headers from %s are larger than %d octets", transfer->host,
		    LIMIT_HTTP_HEADERS);
	else if (transfer->max_body > 0 &&
	    (header_differs(line, length, "Content-Encoding:", "identity") ||
	    header_differs(line, length, "Transfer-Encoding:", "chunked")))
		http_transfer_decide(transfer, HTTP_GARBLED,
		    "%s answered in an encoding that was not asked for", transfer->host);
	if (length > 18 && strncasecmp(line, "Transfer-Encoding:", 18) == 0)
		transfer->work->chunked = true;
	return transfer->decided ? 0 : length;
}

static void
decide_too_large(struct http_transfer *transfer)
{
	long status = 0;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_RESPONSE_CODE, &status);
	http_transfer_decide(transfer, HTTP_TOO_LARGE,
	    "the answer of %s (HTTP status %ld) is larger than %zu octets",
	    transfer->host, status, transfer->max_body);
}

static size_t
on_body(char *octets, size_t size, size_t count, void *context)
{
	struct http_transfer *transfer = context;
	size_t length = size * count;

	if (length > transfer->max_body - transfer->answer.body.length) {
		if (!decide_by_status(transfer))
			decide_too_large(transfer);
		return length > 0 ? 0 : 1;
	}
	http_transfer_add(transfer, octets, length);
	return length;
}

static const struct {
	CURLoption option;
	long value;
} fixed_options[] = {
	{ CURLOPT_NOSIGNAL, 1 },
	{ CURLOPT_FOLLOWLOCATION, 0 },
	/* else a later request might use an address that is not its own */
	{ CURLOPT_FORBID_REUSE, 1 },
	{ CURLOPT_FRESH_CONNECT, 1 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
	{ CURLOPT_HTTP09_ALLOWED, 0 },
	{ CURLOPT_SUPPRESS_CONNECT_HEADERS, 1 },
	{ CURLOPT_DISALLOW_USERNAME_IN_URL, 1 },
	{ CURLOPT_NETRC, CURL_NETRC_IGNORED },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	/* else the roots of the first connection take the place of ours on later ones */
	{ CURLOPT_CA_CACHE_TIMEOUT, 0 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },	/* RFC 8461 7.2: or later */
};

/* The first option that libcurl refuses ends the request: none of them is optional. */
#define SET(transfer, option, value) do { \
	if ((transfer)->work->setup == CURLE_OK) \
		(transfer)->work->setup = curl_easy_setopt((transfer)->work->easy, (option), \
		    (value)); \
} while (0)

static void
set_fixed(struct http_transfer *transfer)
{
	size_t i;

	for (i = 0; i < sizeof(fixed_options) / sizeof(fixed_options[0]); i++)
		SET(transfer, fixed_options[i].option, fixed_options[i].value);
}

/* Where to: libcurl gets the addresses as a ready answer and never asks a resolver itself. */
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
	SET(transfer, CURLOPT_SHARE, transfer->work->engine->share);
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

static const struct {
	CURLcode code;
	enum http_outcome outcome;
} outcomes[] = {
	{ CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT },
	{ CURLE_SSL_CONNECT_ERROR, HTTP_TLS },
	{ CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS },
	{ CURLE_SSL_CIPHER, HTTP_TLS },
	{ CURLE_SSL_CERTPROBLEM, HTTP_TLS },
	{ CURLE_SSL_ENGINE_INITFAILED, HTTP_TLS },
	{ CURLE_FILESIZE_EXCEEDED, HTTP_TOO_LARGE },
	/* a header line beyond libcurl's own bound */
	{ CURLE_OUT_OF_MEMORY, HTTP_TOO_LARGE },
	{ CURLE_PARTIAL_FILE, HTTP_GARBLED },
	{ CURLE_UNSUPPORTED_PROTOCOL, HTTP_GARBLED },	/* HTTP/0.9 and other unknown versions */
	{ CURLE_WEIRD_SERVER_REPLY, HTTP_GARBLED },
	{ CURLE_BAD_CONTENT_ENCODING, HTTP_GARBLED },
	{ CURLE_URL_MALFORMAT, HTTP_GARBLED },
};

static enum http_outcome
outcome_of(const struct http_transfer *transfer, CURLcode code)
{
	size_t i;

	for (i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (outcomes[i].code == code)
			return outcomes[i].outcome;
	/* A connection that is lost in the middle of an answer has cut it. */
	return transfer->work->header_octets > 0 ? HTTP_GARBLED : HTTP_UNREACHABLE;
}

/* How far did it get before the time was up? */
static const char *
stage(const struct http_transfer *transfer)
{
	curl_off_t secured = 0;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_APPCONNECT_TIME_T, &secured);
	if (transfer->work->header_octets > 0)
		return "in the middle of the answer";
	if (secured > 0 || transfer->unix_path != NULL)
		return "waiting for the answer";
	return transfer->work->ssl_ctx != NULL ? "in the TLS handshake" : "while connecting";
}

static void
decide_tls(struct http_transfer *transfer, CURLcode code)
{
	long x509_error = 0;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_SSL_VERIFYRESULT, &x509_error);
	/* libcurl compares the name once more by itself, and has no number for its verdict. */
	if (x509_error == 0)
		x509_error = X509_NAME_MISMATCH;
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		decide_certificate(transfer, (int)x509_error);
	else
		http_transfer_decide(transfer, HTTP_TLS, "no TLS with %s [%s]: %s", transfer->host,
		    transfer->work->peer, transfer->work->error);
}

static void
decide_failure(struct http_transfer *transfer, CURLcode code)
{
	enum http_outcome outcome = outcome_of(transfer, code);
	const char *text = transfer->work->error[0] != '\0' ? transfer->work->error :
	    curl_easy_strerror(code);
	long os_error = 0;

	if (decide_by_status(transfer))
		return;
	if (outcome == HTTP_TLS)
		decide_tls(transfer, code);
	if (code == CURLE_FILESIZE_EXCEEDED)
		decide_too_large(transfer);
	if (outcome == HTTP_TIMEOUT)
		http_transfer_decide(transfer, outcome, "%s [%s]: time is up %s", transfer->host,
		    transfer->work->peer, stage(transfer));
	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_OS_ERRNO, &os_error);
	if (code == CURLE_COULDNT_CONNECT && os_error != 0)
		text = strerrordesc_np((int)os_error);
	http_transfer_decide(transfer, outcome, "%s [%s]: %s", transfer->host, transfer->work->peer,
	    text);
}

static void
work_free(struct http_transfer *transfer)
{
	struct http_work *work = transfer->work;

	if (work->easy != NULL)
		curl_easy_cleanup(work->easy);
	x509_unwatch_end(work->ssl_ctx);
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

	if (transfer->address_count == 0)
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
		    "%s is not a URL that can be asked at %s", transfer->url,
		    transfer->host);
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

bool
http_engine_start(struct http_engine *engine, struct http_transfer *transfer)
{
	struct http_work *work = xcalloc(1, sizeof(*work));

	transfer->work = work;
	work->engine = engine;
	work->easy = curl_easy_init();
	work->setup = work->easy != NULL ? CURLE_OK : CURLE_FAILED_INIT;
	if (prepare(transfer) && work->setup == CURLE_OK &&
	    curl_multi_add_handle(engine->multi, work->easy) == CURLM_OK)
		return true;
	http_transfer_decide(transfer, HTTP_UNREACHABLE, "libcurl cannot start the request: %s",
	    curl_easy_strerror(work->setup));
	work_free(transfer);
	return false;
}

void
http_engine_cancel(struct http_engine *engine, struct http_transfer *transfer)
{
	(void)decide_by_status(transfer);
	http_transfer_decide(transfer, HTTP_TIMEOUT, "%s: broken off %s", transfer->host,
	    stage(transfer));
	(void)curl_multi_remove_handle(engine->multi, transfer->work->easy);
	work_free(transfer);
}

struct http_transfer *
http_engine_ended(struct http_engine *engine)
{
	struct http_transfer *transfer;
	CURLMsg *message;
	CURLcode code;
	int left;

	message = curl_multi_info_read(engine->multi, &left);
	if (message == NULL)
		return NULL;
	code = message->data.result;
	(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
	if (code == CURLE_OK)
		decide_answered(transfer);
	else
		decide_failure(transfer, code);
	(void)curl_multi_remove_handle(engine->multi, transfer->work->easy);
	work_free(transfer);
	return transfer;
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

	(void)curl_global_init(CURL_GLOBAL_DEFAULT);
	engine->trust = trust;
	engine->proxy = proxy;
	engine->multi = curl_multi_init();
	engine->share = curl_share_init();
	/* on_ssl_ctx() and on_connected() speak OpenSSL. */
	if (tls == NULL || strncmp(tls, "OpenSSL/", 8) != 0)
		(void)snprintf(why, why_room, "libcurl is built with %s, not with OpenSSL: install "
		    "its OpenSSL flavour", tls != NULL ? tls : "no TLS");
	else if (engine->multi == NULL || engine->share == NULL || curl_share_setopt(engine->share,
	    CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK)
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
	(void)curl_share_cleanup(engine->share);
	curl_global_cleanup();
	free(engine);
}
