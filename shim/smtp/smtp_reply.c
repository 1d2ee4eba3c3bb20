/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "shim/smtp/smtp_reply.h"

#define CODE_LENGTH	3
#define ENHANCED_DIGITS	3	/* of subject and detail, RFC 3463 2 */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void
smtp_reply_begin(struct smtp_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	reply->reply.remote = true;
}

/* The code of a line, or 0: none, or one that no SMTP reply has (RFC 5321 4.2.1). Some hosts omit
 * the space after it, or write a tab. */
static int
code_of(const char *line, size_t length)
{
	int code;

	if (length < CODE_LENGTH || !is_digit(line[0]) || !is_digit(line[1]) || !is_digit(line[2]))
		return 0;
	if (length > CODE_LENGTH && is_digit(line[CODE_LENGTH]))
		return 0;
	code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	return code >= 200 && code <= 599 ? code : 0;
}

static size_t
digits(const char *text, size_t length)
{
	size_t count = 0;

	while (count < length && is_digit(text[count]))
		count++;
	return count;
}

/* class "." subject "." detail, ended by a space or the end (RFC 2034 4). */
size_t
smtp_enhanced_length(int code, const char *text, size_t length)
{
	size_t at = 1, part, count;

	if (length == 0 || code < 200 || code / 100 == 3 || text[0] - '0' != code / 100)
		return 0;
	for (part = 0; part < 2; part++) {
		if (at >= length || text[at] != '.')
			return 0;
		count = digits(text + at + 1, length - at - 1);
		if (count == 0 || count > ENHANCED_DIGITS)
			return 0;
		at += 1 + count;
	}
	return at == length || text[at] == ' ' ? at : 0;
}

static void
append(struct smtp_reply *reply, const char *octets, size_t length)
{
	struct reply *made = &reply->reply;
	size_t i;

	for (i = 0; i < length && reply->text_length < sizeof(made->text) - 1; i++)
		made->text[reply->text_length++] = octets[i] >= 0x20 && octets[i] <= 0x7e
		    ? octets[i]
		    : '?';
}

/* Lines become one, and an enhanced code repeated on each is kept once. */
static void
add_text(struct smtp_reply *reply, const char *text, size_t length)
{
	size_t enhanced = smtp_enhanced_length(reply->reply.code, text, length);

	if (enhanced > 0) {
		if (reply->reply.enhanced[0] == '\0')
			memcpy(reply->reply.enhanced, text, enhanced);
		text += enhanced;
		length -= enhanced;
	}
	while (length > 0 && is_blank(text[0])) {
		text++;
		length--;
	}
	while (length > 0 && is_blank(text[length - 1]))
		length--;
	if (length > 0 && reply->text_length > 0)
		append(reply, " ", 1);
	append(reply, text, length);
}

void
smtp_reply_garble(struct smtp_reply *reply, const char *line, size_t length)
{
	reply->reply.code = 0;
	reply->reply.enhanced[0] = '\0';
	add_text(reply, line, length);
}

static enum smtp_reply_state
garbled(struct smtp_reply *reply, const char *line, size_t length)
{
	smtp_reply_garble(reply, line, length);
	return SMTP_REPLY_GARBLED;
}

/* The first digit tells yes from no (RFC 5321 4.2.1): which 2xx it is hardly matters. */
static void
set_code(struct smtp_reply *reply, int code)
{
	struct reply *made = &reply->reply;

	if (made->code != 0 && made->code / 100 != code / 100) {
		reply->contradictory = true;
		made->enhanced[0] = '\0';
	}
	made->code = code;
}

/* The text after the code, and after one space, tab or hyphen. */
static void
add_rest(struct smtp_reply *reply, int code, const char *line, size_t length)
{
	size_t skipped = code != 0 ? CODE_LENGTH : 0;

	if (code != 0 && length > CODE_LENGTH &&
	    (is_blank(line[CODE_LENGTH]) || line[CODE_LENGTH] == '-'))
		skipped++;
	add_text(reply, line + skipped, length - skipped);
}

/* Before the dot a contradiction is no answer. After it the host has the message if the last line
 * says so, and would get it twice if that did not count. */
static enum smtp_reply_state
add_last_line(struct smtp_reply *reply, int code, const char *line, size_t length)
{
	bool yes = reply->after_dot && length > 0 && line[0] == '2';

	if (code == 0 && !yes)
		return garbled(reply, line, length);
	set_code(reply, code != 0 ? code : 250);
	if (reply->contradictory && !yes)
		return garbled(reply, line, length);
	add_rest(reply, code, line, length);
	return SMTP_REPLY_COMPLETE;
}

enum smtp_reply_state
smtp_reply_add(struct smtp_reply *reply, const char *line, size_t length)
{
	int code = code_of(line, length);
	bool hyphen = code != 0 && length > CODE_LENGTH && line[CODE_LENGTH] == '-';
	/* Words without a code between the lines of an answer to the dot: the last is to come. */
	bool aside = code == 0 && reply->after_dot && reply->lines > 0 &&
	    (length == 0 || line[0] != '2');

	reply->lines++;
	reply->octets += length;
	if (!hyphen && !aside)
		return add_last_line(reply, code, line, length);
	if (hyphen)
		set_code(reply, code);
	if (reply->octets > LIMIT_SMTP_REPLY || (reply->contradictory && !reply->after_dot))
		return garbled(reply, line, length);
	add_rest(reply, code, line, length);
	return SMTP_REPLY_MORE;
}

/* Takes one word off the front of a line. Its length, 0 at the end. */
static size_t
next_word(const char **line, size_t *length)
{
	size_t word = 0;

	while (*length > 0 && **line == ' ') {
		(*line)++;
		(*length)--;
	}
	while (word < *length && (*line)[word] != ' ')
		word++;
	return word;
}

static bool
is_word(const char *word, size_t length, const char *name)
{
	return length == strlen(name) && strncasecmp(word, name, length) == 0;
}

/* A number that cannot be parsed or represented is ignored. */
static uint64_t
number_of(const char *text, size_t length)
{
	uint64_t number = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (!is_digit(text[i]) || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
			return 0;
	}
	return number;
}

/* The flag of one keyword; NULL: nothing here uses it. */
static bool *
feature_of(struct smtp_features *features, const char *word, size_t length)
{
	const struct {
		const char *keyword;
		bool *flag;
	} keywords[] = {
		{ "PIPELINING", &features->pipelining },	/* RFC 2920 */
		{ "8BITMIME", &features->eightbitmime },	/* RFC 6152 */
		{ "SMTPUTF8", &features->smtputf8 },	/* RFC 6531 */
		{ "STARTTLS", &features->starttls },	/* RFC 3207 */
		{ "REQUIRETLS", &features->requiretls },	/* RFC 8689 */
		{ "SIZE", &features->size },	/* RFC 1870 */
	};
	size_t i;

	for (i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
		if (is_word(word, length, keywords[i].keyword))
			return keywords[i].flag;
	return NULL;
}

void
smtp_features_add(struct smtp_features *features, const char *line, size_t length)
{
	size_t word;
	bool *flag;

	if (length <= CODE_LENGTH)
		return;
	line += CODE_LENGTH + 1;
	length -= CODE_LENGTH + 1;
	word = next_word(&line, &length);
	flag = feature_of(features, line, word);
	if (flag == NULL)
		return;
	*flag = true;
	if (flag != &features->size)
		return;
	line += word;
	length -= word;
	word = next_word(&line, &length);
	features->size_limit = number_of(line, word);
}

void
smtp_features_drop(struct smtp_features *features, const char *keyword)
{
	bool *flag = feature_of(features, keyword, strlen(keyword));

	if (flag == NULL)
		return;
	*flag = false;
	if (flag == &features->size)
		features->size_limit = 0;
}
