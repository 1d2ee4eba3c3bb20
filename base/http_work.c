/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/http_work.h"
#include "base/routes.h"

#define TOO_LARGE	100	/* CURLE_TOO_LARGE */
#define TOO_LARGE_SINCE	0x080600	/* of libcurl's version */
#define X509_NAME_MISMATCH	62	/* X509_V_ERR_HOSTNAME_MISMATCH */

struct http_work_sessions *
http_work_sessions_new(void)
{
	CURLSH *share = curl_share_init();
	struct http_work_sessions *sessions;

	if (share == NULL)
		return NULL;
	if (curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK) {
		(void)curl_share_cleanup(share);
		return NULL;
	}
	sessions = xcalloc(1, sizeof(*sessions));
	sessions->share = share;
	sessions->users = 1;
	return sessions;
}

void
http_work_sessions_leave(struct http_work_sessions *sessions)
{
	if (sessions == NULL || --sessions->users > 0)
		return;
	(void)curl_share_cleanup(sessions->share);
	free(sessions);
}

void
http_work_decide_certificate(struct http_transfer *transfer, int x509_error)
{
	transfer->answer.x509_error = x509_error;
	http_transfer_decide(transfer, HTTP_TLS,
	    "the certificate of %s [%s] is not valid for it: %s (%s)", transfer->host,
	    transfer->work->peer, x509_error_name(x509_error), x509_error_text(x509_error));
}

/* A body without a length of its own ends where the peer says so, not where the connection is cut
 * (RFC 9112 9.8). */
static bool
is_cut(const struct http_transfer *transfer)
{
	curl_off_t announced = -1;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
	    &announced);
	return announced < 0 && !transfer->work->chunked && !transfer->work->seen.ended &&
	    transfer->unix_path == NULL && transfer->answer.body.length > 0;
}

void
http_work_decide_answered(struct http_transfer *transfer)
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
bool
http_work_decide_by_status(struct http_transfer *transfer)
{
	long status = 0;

	if (transfer->max_body == 0 && transfer->work->header_octets > 0)
		(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)	/* none yet, or an interim one */
		return false;
	http_work_decide_answered(transfer);
	return true;
}

void
http_work_decide_too_large(struct http_transfer *transfer)
{
	long status = 0;

	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_RESPONSE_CODE, &status);
	http_transfer_decide(transfer, HTTP_TOO_LARGE,
	    "the answer of %s (HTTP status %ld) is larger than %zu octets", transfer->host, status,
	    transfer->max_body);
}

/* Other errors say nothing about the host: HTTP_LOCAL. */
static const struct {
	CURLcode code;
	enum http_outcome outcome;
} outcomes[] = {
	{ CURLE_COULDNT_CONNECT, HTTP_UNREACHABLE },
	{ CURLE_GOT_NOTHING, HTTP_UNREACHABLE },
	{ CURLE_SEND_ERROR, HTTP_UNREACHABLE },
	{ CURLE_RECV_ERROR, HTTP_UNREACHABLE },
	{ CURLE_OPERATION_TIMEDOUT, HTTP_TIMEOUT },
	{ CURLE_SSL_CONNECT_ERROR, HTTP_TLS },
	{ CURLE_PEER_FAILED_VERIFICATION, HTTP_TLS },
	{ CURLE_SSL_CIPHER, HTTP_TLS },
	{ CURLE_FILESIZE_EXCEEDED, HTTP_TOO_LARGE },
	{ TOO_LARGE, HTTP_TOO_LARGE },
	{ CURLE_PARTIAL_FILE, HTTP_GARBLED },
	{ CURLE_UNSUPPORTED_PROTOCOL, HTTP_GARBLED },	/* HTTP/0.9 and other unknown versions */
	{ CURLE_WEIRD_SERVER_REPLY, HTTP_GARBLED },
	{ CURLE_BAD_CONTENT_ENCODING, HTTP_GARBLED },
	{ CURLE_URL_MALFORMAT, HTTP_GARBLED },
};

/* A header line beyond libcurl's own bound is out of memory to the libcurls before 8.6. */
static bool
is_long_header(const struct http_transfer *transfer, CURLcode code)
{
	return code == CURLE_OUT_OF_MEMORY && transfer->work->header_octets > 0 &&
	    curl_version_info(CURLVERSION_NOW)->version_num < TOO_LARGE_SINCE;
}

static enum http_outcome
outcome_of(const struct http_transfer *transfer, CURLcode code)
{
	enum http_outcome outcome = HTTP_LOCAL;
	size_t i;

	if (is_long_header(transfer, code))
		return HTTP_TOO_LARGE;
	for (i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++)
		if (outcomes[i].code == code)
			outcome = outcomes[i].outcome;
	/* A connection that is lost in the middle of an answer has cut it. */
	if (outcome == HTTP_UNREACHABLE && transfer->work->header_octets > 0)
		return HTTP_GARBLED;
	return outcome;
}

/* The proxy is this site's own: it was not reached, or does not serve us. */
static bool
is_proxys(const struct http_transfer *transfer)
{
	curl_off_t connected = 0;
	long status = 0;

	if (!transfer->work->proxied)
		return false;
	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_CONNECT_TIME_T, &connected);
	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_HTTP_CONNECTCODE, &status);
	return connected == 0 || (status >= 400 && status < 500);
}

/* Routers on the way say the same, which is a word about the host. */
static bool
is_off_the_net(int os_error)
{
	return (os_error == ENETUNREACH || os_error == ENETDOWN) && !routes_lead_out();
}

static bool
is_ours(const struct http_transfer *transfer, enum http_outcome outcome, int os_error)
{
	if (outcome == HTTP_TIMEOUT && transfer->late)
		return true;
	if (outcome == HTTP_UNREACHABLE &&
	    (transfer->work->local_error != 0 ||
		http_transfer_error_is_local(os_error, strchr(transfer->work->peer, ':') != NULL) ||
		is_off_the_net(os_error)))
		return true;
	return (outcome == HTTP_UNREACHABLE || outcome == HTTP_TIMEOUT) && is_proxys(transfer);
}

const char *
http_work_stage(const struct http_transfer *transfer)
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
		http_work_decide_certificate(transfer, (int)x509_error);
	else
		http_transfer_decide(transfer, HTTP_TLS, "no TLS with %s [%s]: %s", transfer->host,
		    transfer->work->peer, transfer->work->error);
}

void
http_work_decide_failure(struct http_transfer *transfer, CURLcode code)
{
	enum http_outcome outcome = outcome_of(transfer, code);
	const char *text = transfer->work->error[0] != '\0' ? transfer->work->error
							    : curl_easy_strerror(code);
	long os_error = 0;

	if (http_work_decide_by_status(transfer))
		return;
	(void)curl_easy_getinfo(transfer->work->easy, CURLINFO_OS_ERRNO, &os_error);
	if (transfer->work->local_error != 0)
		os_error = transfer->work->local_error;
	if (code == CURLE_COULDNT_CONNECT && os_error != 0)
		text = strerrordesc_np((int)os_error);
	if (is_ours(transfer, outcome, (int)os_error))
		http_transfer_decide(transfer, HTTP_LOCAL, "%s [%s]: local failure: %s",
		    transfer->host, transfer->work->peer, text);
	if (outcome == HTTP_TLS)
		decide_tls(transfer, code);
	if (code == CURLE_FILESIZE_EXCEEDED)
		http_work_decide_too_large(transfer);
	if (outcome == HTTP_TIMEOUT)
		http_transfer_decide(transfer, outcome, "%s [%s]: time is up %s", transfer->host,
		    transfer->work->peer, http_work_stage(transfer));
	http_transfer_decide(transfer, outcome, "%s [%s]: %s", transfer->host, transfer->work->peer,
	    text);
}
