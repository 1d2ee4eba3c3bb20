/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/digest.h"
#include "report/report_mail.h"

#define NAME_MAX_MAIL	200	/* a display name longer than that is left out */
#define BASE64_LINE	57	/* octets that become 76 */

/* RFC 5322 3.2.3: dot-atom-text */
static bool
is_dot_atom(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if (!isalnum((unsigned char)text[i]) &&
		    strchr("!#$%&'*+-/=?^_`{|}~", text[i]) == NULL &&
		    (text[i] != '.' || i == 0 || i + 1 == length || text[i + 1] == '.'))
			return false;
	return length > 0;
}

static void
add_quoted(struct buf *text, const char *octets, size_t length)
{
	size_t i;

	buf_add_char(text, '"');
	for (i = 0; i < length; i++) {
		if (octets[i] == '"' || octets[i] == '\\')
			buf_add_char(text, '\\');
		buf_add_char(text, octets[i]);
	}
	buf_add_char(text, '"');
}

const char *
report_mail_address(struct arena *arena, const char *address)
{
	const char *at = strrchr(address, '@'), *result;
	struct buf text = { 0 };

	if (at == NULL || is_dot_atom(address, (size_t)(at - address)))
		return arena_strdup(arena, address);
	add_quoted(&text, address, (size_t)(at - address));
	buf_add_text(&text, at);
	result = arena_strdup(arena, buf_text(&text));
	buf_free(&text);
	return result;
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			return false;
	return true;
}

/* The message is 7-bit: a name that is not goes without. */
static void
add_mailbox(struct buf *out, const char *field, const char *name, const char *address)
{
	buf_printf(out, "%s: ", field);
	if (name[0] != '\0' && strlen(name) <= NAME_MAX_MAIL && is_printable(name)) {
		add_quoted(out, name, strlen(name));
		buf_add_text(out, "\r\n ");
	}
	buf_printf(out, "<%s>\r\n", address);
}

static bool
is_of_domain(const char *address, const char *domain)
{
	const char *at = strrchr(address, '@');

	return at != NULL && domain_equal(at + 1, domain);
}

/* RFC 8460 3 asks for a signature of the domain that reports, and MTAs sign for the domain in From:
 * it is always the submitter's. */
static void
add_from(const struct reporter_name *name, struct buf *out)
{
	if (is_of_domain(name->sender, name->submitter)) {
		add_mailbox(out, "From", name->organization, name->sender);
		return;
	}
	add_mailbox(out, "From", name->organization, name->contact);
	add_mailbox(out, "Sender", "", name->sender);
}

static void
add_date(int64_t now, struct buf *out)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
		"Aug", "Sep", "Oct", "Nov", "Dec" };
	time_t at = (time_t)now;
	struct tm utc;

	(void)gmtime_r(&at, &utc);
	buf_printf(out, "Date: %s, %d %s %d %02d:%02d:%02d +0000\r\n", days[utc.tm_wday],
	    utc.tm_mday, months[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min,
	    utc.tm_sec);
}

/* The same on every try and another for every address, since an MTA may drop what it has seen. */
static void
add_message_id(const struct report_mail *mail, struct buf *out)
{
	const char *at = strchr(mail->id, '@');
	char receiver[DIGEST_TEXT];

	digest(mail->to, strlen(mail->to), receiver);
	buf_printf(out, "Message-ID: <%.*s.%s%s>\r\n", (int)(at - mail->id), mail->id, receiver,
	    at);
}

static void
add_header(const struct report_mail *mail, const char *to, const char *boundary, struct buf *out)
{
	const char *domain = mail->report->domain, *submitter = mail->name->submitter;

	add_from(mail->name, out);
	buf_printf(out, "To: <%s>\r\n", to);
	/* RFC 8460 5.3: tlsrpt-subject, in which white space may be folded */
	buf_printf(out, "Subject: Report Domain: %s\r\n Submitter: %s\r\n Report-ID: <%s>\r\n",
	    domain, submitter, mail->id);
	add_date(mail->now, out);
	add_message_id(mail, out);
	buf_printf(out, "TLS-Report-Domain: %s\r\nTLS-Report-Submitter: %s\r\n", domain, submitter);
	/* RFC 8689 5: a report about broken TLS must get through broken TLS. */
	buf_add_text(out,
	    "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\n"
	    "MIME-Version: 1.0\r\n");
	buf_printf(out,
	    "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"
	    " boundary=\"%s\"\r\n\r\n",
	    boundary);
}

static void
add_text_part(const struct report_mail *mail, struct buf *out)
{
	const struct tally_report *report = mail->report;
	char day[DAY_TEXT];
	size_t i;

	day_format(report->day, day);
	buf_add_text(out, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
	buf_printf(out,
	    "This is an aggregate TLS report (RFC 8460) from\r\n%s\r\nabout\r\n"
	    "%s\r\nfor %s, UTC.\r\n\r\n",
	    mail->name->submitter, report->domain, day);
	for (i = 0; i < report->policy_count; i++) {
		const struct tally_policy *policy = &report->policies[i];

		buf_printf(out,
		    "Policy %s of\r\n%s:\r\n%" PRIu64 " sessions succeeded, %" PRIu64
		    " failed.\r\n\r\n",
		    outcome_type_name(policy->policy.type),
		    is_printable(policy->policy.domain) ? policy->policy.domain : "?",
		    policy->succeeded, policy->failed);
	}
	buf_printf(out,
	    "The report itself is attached. It is sent because the TXT record at\r\n"
	    "_smtp._tls.%s\r\nasks for it.\r\n",
	    report->domain);
}

static void
add_base64(const unsigned char *octets, size_t length, struct buf *out)
{
	unsigned char line[2 * BASE64_LINE];
	size_t at, step;
	int made;

	for (at = 0; at < length; at += step) {
		step = length - at < BASE64_LINE ? length - at : BASE64_LINE;
		made = EVP_EncodeBlock(line, octets + at, (int)step);
		buf_add(out, line, (size_t)made);
		buf_add_text(out, "\r\n");
	}
}

void
report_mail_write(const struct report_mail *mail, struct buf *message)
{
	struct arena *arena = arena_new();
	char boundary[DIGEST_TEXT];

	digest(mail->packed, mail->packed_length, boundary);
	add_header(mail, report_mail_address(arena, mail->to), boundary, message);
	buf_printf(message, "--%s\r\n", boundary);
	add_text_part(mail, message);
	buf_printf(message,
	    "\r\n--%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
	    "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
	    " filename=\"%s\"\r\n\r\n",
	    boundary, mail->file_name);
	add_base64(mail->packed, mail->packed_length, message);
	buf_printf(message, "\r\n--%s--\r\n", boundary);
	arena_free(arena);
}
