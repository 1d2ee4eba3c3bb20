/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Every limit on what a peer may send or make us hold, in one place. Sizes are octets unless the
 * name says otherwise.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define LIMIT_LMTP_COMMAND_LINE	4096	/* with CRLF */
#define LIMIT_LMTP_BAD_COMMANDS	20	/* then the session ends */
/* for a command, or more of a message (RFC 5321 4.5.3.2.7) */
#define LIMIT_LMTP_WAIT_MS	(5 * 60 * 1000)
#define LIMIT_LMTP_MESSAGE_MS	(60 * 60 * 1000)	/* for a message to come in */
#define LIMIT_RECEIVED_HEADERS	100	/* more is a loop */
#define LIMIT_ADDRESS	1024	/* one path in MAIL or RCPT, UTF-8 */
/* of it: 64 by RFC 5321 4.5.3.1.1, which variable sender paths ignore */
#define LIMIT_LOCAL_PART	255
#define LIMIT_BODY_IN_MEMORY	(1024 * 1024)	/* of one message; more goes to the spool file */

#define LIMIT_SMTP_REPLY_LINE	2048	/* one line of a peer's reply; the rest is dropped */
#define LIMIT_SMTP_REPLY_LINES	100	/* that stsgate-deliver takes from stsgated */
#define LIMIT_SMTP_REPLY	(1024 * 1024)	/* all lines of one reply: more has no end */

/* of one domain; the rest are ignored, the least preferred first */
#define LIMIT_MX_RECORDS	100
#define LIMIT_ADDRESSES_PER_HOST	16
#define LIMIT_ADDRESSES_PER_DOMAIN	40	/* tried in one delivery */
#define LIMIT_TLSA_RECORDS	100	/* of one host; the rest are ignored */
#define LIMIT_ATTEMPTS	100	/* of one delivery that are reported */
#define LIMIT_FAILED_ADDRESSES	10000	/* remembered for smtp.host-retry */
/* remembered for what their hosts took, after the last connection */
#define LIMIT_LINGERING_ADDRESSES	10000

/* answers that are repeated without asking libunbound, each of so many octets, so long at most */
#define LIMIT_DNS_ANSWERS	8192
#define LIMIT_DNS_ANSWER_KEPT	4096
#define LIMIT_DNS_KEPT_S	60
#define LIMIT_DNS_CORRECTED_S	3600	/* where libunbound's cache is known to be behind */

#define LIMIT_TXT_RECORDS	100
#define LIMIT_TXT_RECORD	4096	/* one _mta-sts record, strings joined */
#define LIMIT_STS_ID	32
/* more: sts-policy-fetch-error, as any policy that is too large */
#define LIMIT_STS_MX_PATTERNS	1000
/* kept of a file that is no policy, for the report */
#define LIMIT_STS_SERVED	2048
#define LIMIT_STS_MAX_AGE	31557600	/* seconds, RFC 8461 3.2 */

/* addresses that one _smtp._tls record can have reports sent to */
#define LIMIT_RUAS	10
#define LIMIT_DATAGRAM	(256 * 1024)	/* of libtlsrpt; a policy of 64 KiB fits, escaped */
/* waiting to be counted */
#define LIMIT_DATAGRAMS_HELD	(32 * 1024 * 1024)
#define LIMIT_DATAGRAM_POLICIES	100
#define LIMIT_DATAGRAM_STRINGS	2000	/* in each list of one policy */
#define LIMIT_DATAGRAM_FAILURES	100	/* of one policy */
#define LIMIT_DATAGRAM_TEXT	(16 * 1024)	/* one line or value; a value is cut */
#define LIMIT_DATAGRAM_REASON	512

/* What stsgate report read takes. */
#define LIMIT_RECEIVED_FILE	(256 * 1024 * 1024)	/* octets of one file */
#define LIMIT_RECEIVED	(64 * 1024 * 1024)	/* octets of one report, unpacked */
#define LIMIT_RECEIVED_TEXT	255	/* octets of a name or word; longer ones are cut */
#define LIMIT_RECEIVED_ROWS	100000

/* The most that is kept for one next-hop domain and day: TXT records, further ones are not counted;
 * policies of a record, the rest are counted as one a kind without its strings; failure details of
 * a policy, the rest are counted as one a result type without what tells sessions apart. */
#define LIMIT_REPORT_RECORDS	20
#define LIMIT_REPORT_RECEIVERS	20	/* of the reports of one domain and day */
#define LIMIT_REPORT_POLICIES	100
#define LIMIT_REPORT_DETAILS	1000
#define LIMIT_REPORT_FAILURES	100	/* details of one session */
#define LIMIT_REPORT_NAME	255	/* a host's or policy's name in a report */
#define LIMIT_REPORT_TEXT	512	/* another text about a failure */
#define LIMIT_REPORT_POLICY	(64 * 1024)	/* policy-string, or mx-host */

#define LIMIT_HTTP_HEADERS	(32 * 1024)
/* requests at once of one engine; more wait for their turn, under their deadlines */
#define LIMIT_HTTP_TRANSFERS	200
#define LIMIT_CONTROL_HEADER	(16 * 1024)	/* the request line and its fields */
#define LIMIT_CONTROL_BODY	(16 * 1024 * 1024)
#define LIMIT_CONTROL_CLIENTS	128	/* connections to one control listener */
#define LIMIT_CONTROL_OF_ONE	32	/* of them, from one user */
#define LIMIT_TLS_CHAIN	10	/* intermediate certificates */
#define LIMIT_TLS_CHAINS	1024	/* remembered as verified */
#define LIMIT_TLS_SESSIONS	2000	/* waiting to be resumed, each with a chain */
#define LIMIT_TLS_SESSION_OCTETS	(32 * 1024 * 1024)	/* of all of them */
#define LIMIT_TLS_DH_BITS	4096	/* of a group that is no curve: 8192 cost 0.3 s */
#define LIMIT_TLS_SESSIONS_PER_KEY	20
#define LIMIT_TLS_HANDSHAKE	(256 * 1024)	/* from the peer, until content comes */

#define LIMIT_MAP_SESSIONS	1000
#define LIMIT_MAP_LINE	1024	/* a line query, with its end */
#define LIMIT_MAP_PIPELINED	64	/* questions looked up side by side for one connection */
#define LIMIT_MAP_GATHERS	200	/* domains looked up at a time for all connections */
#define LIMIT_MAP_LOOKUPS	2000	/* with those that wait, and those kept for seconds */
/* between questions: Sendmail keeps its connection */
#define LIMIT_MAP_IDLE_MS	(60 * 60 * 1000)
#define LIMIT_MAP_STALL_MS	(60 * 1000)	/* in a question, or to take an answer */

/* Payloads of netstrings; Postfix has the same limits. */
#define LIMIT_NETSTRING_IN	10000
#define LIMIT_NETSTRING_OUT	100000

#define LIMIT_ALARMS	1000	/* that stand */
#define LIMIT_LOG_VALUE	2048	/* of one field; the rest is cut */

#endif
