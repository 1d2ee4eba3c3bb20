/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "shim/lmtp/lmtp_command.h"

/* The unread rest of the line. */
struct rest {
	const char *at, *end;
};

enum argument { ARGUMENT_NONE, ARGUMENT_ANY, ARGUMENT_NEEDED };

static const struct {
	const char *word;
	enum lmtp_verb verb;
	enum argument argument;
} verbs[] = {
	{ "LHLO", LMTP_LHLO, ARGUMENT_NEEDED },
	{ "HELO", LMTP_HELO, ARGUMENT_ANY },
	{ "EHLO", LMTP_HELO, ARGUMENT_ANY },
	{ "MAIL", LMTP_MAIL, ARGUMENT_NEEDED },
	{ "RCPT", LMTP_RCPT, ARGUMENT_NEEDED },
	{ "DATA", LMTP_DATA, ARGUMENT_NONE },
	{ "BDAT", LMTP_BDAT, ARGUMENT_NEEDED },
	{ "RSET", LMTP_RSET, ARGUMENT_NONE },
	{ "NOOP", LMTP_NOOP, ARGUMENT_ANY },
	{ "VRFY", LMTP_VRFY, ARGUMENT_NEEDED },
	{ "QUIT", LMTP_QUIT, ARGUMENT_NONE },
};

static size_t
left(const struct rest *rest)
{
	return (size_t)(rest->end - rest->at);
}

static void
skip_spaces(struct rest *rest)
{
	while (rest->at < rest->end && *rest->at == ' ')
		rest->at++;
}

/* Up to the next space, which is not taken. */
static struct rest
take_word(struct rest *rest)
{
	const char *space = memchr(rest->at, ' ', left(rest));
	struct rest word = { rest->at, space != NULL ? space : rest->end };

	rest->at = word.end;
	return word;
}

static bool
is_word(const struct rest *word, const char *expected)
{
	return left(word) == strlen(expected) && strncasecmp(word->at, expected, left(word)) == 0;
}

static bool
take_prefix(struct rest *rest, const char *expected)
{
	size_t length = strlen(expected);

	if (left(rest) < length || strncasecmp(rest->at, expected, length) != 0)
		return false;
	rest->at += length;
	return true;
}

static int
fail(struct reply *error, const char *enhanced, const char *what)
{
	reply_set(error, 501, enhanced, "%s", what);
	return -1;
}

/* Only digits. A larger number is UINT64_MAX, which is beyond every limit. */
static bool
parse_number(const struct rest *digits, uint64_t *number)
{
	bool fits = true;
	const char *at;

	*number = 0;
	for (at = digits->at; at < digits->end; at++) {
		if (*at < '0' || *at > '9')
			return false;
		if (__builtin_mul_overflow(*number, (uint64_t)10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
			fits = false;
	}
	if (!fits)
		*number = UINT64_MAX;
	return at > digits->at;
}

static bool
take_size(struct lmtp_command *command, const struct rest *value)
{
	return parse_number(value, &command->size);	/* RFC 1870 4 */
}

static bool
take_body(struct lmtp_command *command, const struct rest *value)
{
	command->body_8bitmime = is_word(value, "8BITMIME");	/* RFC 6152 2 */
	return command->body_8bitmime || is_word(value, "7BIT");
}

static bool
take_smtputf8(struct lmtp_command *command, const struct rest *value)
{
	command->smtputf8 = true;	/* RFC 6531 3.1 */
	return value->at == NULL;
}

static bool
take_requiretls(struct lmtp_command *command, const struct rest *value)
{
	command->requiretls = true;	/* RFC 8689 2 */
	return value->at == NULL;
}

static bool
take_ignored(struct lmtp_command *command, const struct rest *value)
{
	(void)command;
	return left(value) > 0;
}

/*
 * AUTH and the parameters of DSN are not advertised, but an MTA may be configured to send them
 * anyway. Nothing is lost: notifications remain the MTA's duty.
 */
static const struct parameter {
	enum lmtp_verb verb;
	const char *keyword;
	bool (*take)(struct lmtp_command *command, const struct rest *value);	/* at NULL: none */
} parameters[] = {
	{ LMTP_MAIL, "SIZE", take_size },
	{ LMTP_MAIL, "BODY", take_body },
	{ LMTP_MAIL, "SMTPUTF8", take_smtputf8 },
	{ LMTP_MAIL, "REQUIRETLS", take_requiretls },
	{ LMTP_MAIL, "AUTH", take_ignored },
	{ LMTP_MAIL, "RET", take_ignored },
	{ LMTP_MAIL, "ENVID", take_ignored },
	{ LMTP_RCPT, "NOTIFY", take_ignored },
	{ LMTP_RCPT, "ORCPT", take_ignored },
};
#define PARAMETERS	(sizeof(parameters) / sizeof(parameters[0]))

static size_t
find_parameter(enum lmtp_verb verb, const struct rest *keyword)
{
	size_t i;

	for (i = 0; i < PARAMETERS; i++)
		if (parameters[i].verb == verb && is_word(keyword, parameters[i].keyword))
			break;
	return i;
}

/* KEYWORD or KEYWORD=VALUE (RFC 5321 4.1.2). seen has a bit for each row of the table. */
static int
parse_parameter(const struct rest *word, unsigned *seen, struct lmtp_command *command,
    struct reply *error)
{
	const char *equals = memchr(word->at, '=', left(word));
	struct rest keyword = { word->at, equals != NULL ? equals : word->end };
	struct rest value = { NULL, NULL };
	size_t i = find_parameter(command->verb, &keyword);

	if (equals != NULL)
		value = (struct rest){ equals + 1, word->end };
	if (i == PARAMETERS) {
		/* RFC 5321 4.1.1.11 */
		reply_set(error, 555, "5.5.4", "parameter %.*s is not supported",
		    left(&keyword) < 64 ? (int)left(&keyword) : 64, keyword.at);
		return -1;
	}
	if ((*seen & 1U << i) != 0)
		return fail(error, "5.5.4", "a parameter is given twice");
	*seen |= 1U << i;
	if (!parameters[i].take(command, &value))
		return fail(error, "5.5.4", "a parameter's value is not valid");
	return 0;
}

static int
parse_parameters(struct rest *rest, struct lmtp_command *command, struct reply *error)
{
	unsigned seen = 0;
	struct rest word;

	for (skip_spaces(rest); left(rest) > 0; skip_spaces(rest)) {
		word = take_word(rest);
		if (parse_parameter(&word, &seen, command, error) != 0)
			return -1;
	}
	return 0;
}

/* The > that closes the path: not one in a quoted local part (RFC 5321 4.1.2). */
static const char *
path_end(const struct rest *rest)
{
	bool quoted = false;
	const char *at;

	for (at = rest->at; at < rest->end; at++) {
		if (quoted && *at == '\\')
			at++;
		else if (*at == '"')
			quoted = !quoted;
		else if (*at == '>' && !quoted)
			return at;
	}
	return NULL;
}

/* "FROM:<...> parameters" or "TO:<...> parameters". A blank after the colon is a common fault. */
static int
parse_path(struct rest *rest, const char *keyword, struct lmtp_command *command,
    struct reply *error)
{
	const char *end;

	if (!take_prefix(rest, keyword))
		return fail(error, "5.5.2", "expected MAIL FROM:<...> or RCPT TO:<...>");
	skip_spaces(rest);
	if (!take_prefix(rest, "<"))
		return fail(error, "5.5.2", "expected an address in <>");
	end = path_end(rest);
	if (end == NULL)
		return fail(error, "5.5.2", "the address has no closing >");
	command->path = rest->at;
	command->path_length = (size_t)(end - rest->at);
	rest->at = end + 1;
	if (left(rest) > 0 && *rest->at != ' ')
		return fail(error, "5.5.2", "expected a blank after the address");
	return parse_parameters(rest, command, error);
}

/* RFC 3030 2: "BDAT" SP chunk-size [SP "LAST"] */
static int
parse_chunk(struct rest *rest, struct lmtp_command *command, struct reply *error)
{
	struct rest size = take_word(rest), last;

	if (!parse_number(&size, &command->size))
		return fail(error, "5.5.4", "BDAT needs a number of octets");
	skip_spaces(rest);
	last = take_word(rest);
	command->last = is_word(&last, "LAST");
	skip_spaces(rest);
	if ((left(&last) > 0 && !command->last) || left(rest) > 0)
		return fail(error, "5.5.4", "only LAST may follow the size of BDAT");
	return 0;
}

static int
parse_argument(struct rest *rest, struct lmtp_command *command, struct reply *error)
{
	switch (command->verb) {
	case LMTP_MAIL:
		return parse_path(rest, "FROM:", command, error);
	case LMTP_RCPT:
		return parse_path(rest, "TO:", command, error);
	case LMTP_BDAT:
		return parse_chunk(rest, command, error);
	case LMTP_UNKNOWN:
	case LMTP_LHLO:
	case LMTP_HELO:
	case LMTP_DATA:
	case LMTP_RSET:
	case LMTP_NOOP:
	case LMTP_VRFY:
	case LMTP_QUIT:
		return 0;
	}
	return 0;
}

static bool
has_control(const char *line, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			return true;
	return false;
}

static int
parse_verb(struct rest *rest, struct lmtp_command *command, struct reply *error)
{
	struct rest word = take_word(rest);
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (is_word(&word, verbs[i].word))
			break;
	if (i == sizeof(verbs) / sizeof(verbs[0])) {
		reply_set(error, 500, "5.5.1", "unknown command");
		return -1;
	}
	command->verb = verbs[i].verb;
	skip_spaces(rest);
	if (verbs[i].argument == ARGUMENT_NONE && left(rest) > 0)
		return fail(error, "5.5.4", "this command takes no argument");
	if (verbs[i].argument == ARGUMENT_NEEDED && left(rest) == 0)
		return fail(error, "5.5.4", "this command needs an argument");
	return 0;
}

int
lmtp_command_parse(const char *line, size_t length, struct lmtp_command *command,
    struct reply *error)
{
	struct rest rest = { line, line + length }, start = rest;

	*command = (struct lmtp_command){ .verb = LMTP_UNKNOWN };
	/* Octets may follow whatever looks like BDAT, even when it is garbled. */
	if (take_prefix(&start, "BDAT"))
		command->verb = LMTP_BDAT;
	if (has_control(line, length)) {
		reply_set(error, 500, "5.5.2", "the command holds a control character");
		return -1;
	}
	if (parse_verb(&rest, command, error) != 0)
		return -1;
	return parse_argument(&rest, command, error);
}
