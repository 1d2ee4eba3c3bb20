/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "base/conf/conf_text.h"

#define DEPTH_MAX	4	/* sections within sections; stsgate.conf(5) has two */
#define SHOWN_MAX	60	/* octets of a word in a message */

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_SIGN, TOKEN_FAULT };

struct token {
	enum token_kind kind;
	const char *at;	/* without the quotes */
	size_t length;
	int line;
};

struct scan {
	struct arena *arena;
	struct conf_text *text;
	struct conf_fault *fault;
	const char *start, *at, *end;
	char *clean;	/* what stands for *at in the clean text */
	int line;
	int last_line;	/* of the last token that was one */
};

int
conf_fault_set(struct conf_fault *fault, int line, const char *format, ...)
{
	va_list args;

	fault->line = line;
	va_start(args, format);
	(void)vsnprintf(fault->text, sizeof(fault->text), format, args);
	va_end(args);
	return -1;
}

static void
step(struct scan *scan)
{
	if (*scan->at == '\n')
		scan->line++;
	scan->at++;
	scan->clean++;
}

static void
blank(struct scan *scan)
{
	if (*scan->at != '\n')
		*scan->clean = ' ';
	step(scan);
}

static bool
looking_at(const struct scan *scan, const char *text)
{
	size_t length = strlen(text);

	return (size_t)(scan->end - scan->at) >= length && memcmp(scan->at, text, length) == 0;
}

static int
skip_block_comment(struct scan *scan)
{
	int line = scan->line;

	blank(scan);
	blank(scan);
	while (scan->at < scan->end && !looking_at(scan, "*/"))
		blank(scan);
	if (scan->at == scan->end)
		return conf_fault_set(scan->fault, line,
		    "the comment that begins here has no end: \"*/\" is missing");
	blank(scan);
	blank(scan);
	return 0;
}

/* To the next token. libconfuse takes no comment inside a list and counts a line too many at each
 * block comment, so what is skipped becomes blanks. */
static int
skip_blanks(struct scan *scan)
{
	while (scan->at < scan->end) {
		if (looking_at(scan, "#") || looking_at(scan, "//")) {
			while (scan->at < scan->end && *scan->at != '\n')
				blank(scan);
		} else if (looking_at(scan, "/*")) {
			if (skip_block_comment(scan) != 0)
				return -1;
		} else if (strchr(" \t\n", *scan->at) != NULL || looking_at(scan, "\r\n")) {
			blank(scan);
		} else {
			break;
		}
	}
	return 0;
}

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* One character inside quotes, which must mean the same to libconfuse; 0 or -1. */
static int
take_quoted(struct scan *scan, char quote)
{
	size_t length = utf8_length(scan->at, (size_t)(scan->end - scan->at));

	if (looking_at(scan, "${"))
		return conf_fault_set(scan->fault, scan->line,
		    "\"${\" in a value: the environment is not read here");
	if (length == 0 || is_control(*scan->at))
		return conf_fault_set(scan->fault, scan->line,
		    "octet 0x%02x in a value: values are UTF-8 text without control characters",
		    (unsigned char)*scan->at);
	if (*scan->at == '\\') {
		step(scan);
		if (quote == '"' && !looking_at(scan, "\"") && !looking_at(scan, "\\"))
			return conf_fault_set(scan->fault, scan->line,
			    "a backslash in a value may only precede \" or \\");
		if (!looking_at(scan, "'") && !looking_at(scan, "\"") && !looking_at(scan, "\\"))
			return 0;
	}
	while (length-- > 0)
		step(scan);
	return 0;
}

static int
take_string(struct scan *scan, struct token *token)
{
	char quote = *scan->at;

	step(scan);
	token->kind = TOKEN_STRING;
	token->at = scan->at;
	while (scan->at < scan->end && *scan->at != quote && *scan->at != '\n' &&
	    !looking_at(scan, "\r\n"))
		if (take_quoted(scan, quote) != 0)
			return -1;
	if (scan->at == scan->end || *scan->at != quote)
		return conf_fault_set(scan->fault, token->line,
		    "the value that begins with %c here is not closed on this line", quote);
	token->length = (size_t)(scan->at - token->at);
	step(scan);
	return 0;
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("._-:@/", c) != NULL);
}

static int
take_word(struct scan *scan, struct token *token)
{
	token->kind = TOKEN_WORD;
	while (scan->at < scan->end && is_word_char(*scan->at)) {
		/* Half of http://host would be a comment. */
		if (looking_at(scan, "//") || looking_at(scan, "/*"))
			return conf_fault_set(scan->fault, token->line,
			    "a value with \"//\" or \"/*\" in it stands in double quotes");
		step(scan);
	}
	token->length = (size_t)(scan->at - token->at);
	return 0;
}

static int
refuse_octet(struct scan *scan)
{
	char c = *scan->at;

	if (looking_at(scan, "+="))
		return conf_fault_set(scan->fault, scan->line,
		    "\"+=\" is not taken: write the whole list after \"=\"");
	if (looking_at(scan, "${"))
		return conf_fault_set(scan->fault, scan->line,
		    "\"${\" in a value: the environment is not read here");
	if (c == '(')
		return conf_fault_set(scan->fault, scan->line,
		    "\"(\": there are no functions here, and no include");
	if (is_control(c) || (unsigned char)c >= 0x80)
		return conf_fault_set(scan->fault, scan->line, "unexpected octet 0x%02x%s",
		    (unsigned char)c,
		    is_control(c) ? "" : ": a value with it stands in double quotes");
	return conf_fault_set(scan->fault, scan->line,
	    "unexpected \"%c\": a value with it stands in double quotes", c);
}

static struct token
next_token(struct scan *scan)
{
	struct token token = { .kind = TOKEN_FAULT };
	int result = 0;

	if (skip_blanks(scan) != 0)
		return token;
	token.kind = TOKEN_END;
	token.at = scan->at;
	token.line = scan->at == scan->end ? scan->last_line : scan->line;
	scan->last_line = token.line;
	if (scan->at == scan->end)
		return token;
	if (*scan->at == '"' || *scan->at == '\'') {
		result = take_string(scan, &token);
	} else if (is_word_char(*scan->at)) {
		result = take_word(scan, &token);
	} else if (strchr("{}=,", *scan->at) != NULL) {
		token.kind = TOKEN_SIGN;
		token.length = 1;
		step(scan);
	} else {
		result = refuse_octet(scan);
	}
	/* libconfuse copies a long value again and again as it grows. */
	if (result == 0 && token.length > CONF_VALUE_MAX)
		result = conf_fault_set(scan->fault, token.line, "longer than %d octets",
		    CONF_VALUE_MAX);
	if (result != 0)
		token.kind = TOKEN_FAULT;
	return token;
}

static bool
is_sign(const struct token *token, char sign)
{
	return token->kind == TOKEN_SIGN && *token->at == sign;
}

static bool
is_text(const struct token *token)
{
	return token->kind == TOKEN_WORD || token->kind == TOKEN_STRING;
}

/* Says what was wanted where token stands; the scanner's own fault stays. */
static int
expected(struct scan *scan, const struct token *token, const char *what)
{
	int shown = token->length < SHOWN_MAX ? (int)token->length : SHOWN_MAX;

	if (token->kind == TOKEN_FAULT)
		return -1;
	if (token->kind == TOKEN_END)
		return conf_fault_set(scan->fault, token->line,
		    "the file ends where %s was expected", what);
	return conf_fault_set(scan->fault, token->line, "%s was expected, not \"%.*s\"", what,
	    shown, token->at);
}

static struct conf_entry *
add_entry(struct scan *scan, const struct token *name, int parent, enum conf_shape shape)
{
	struct conf_entry *entry = &scan->text->entries[scan->text->count++];

	entry->shape = shape;
	entry->name = arena_strndup(scan->arena, name->at, name->length);
	entry->line = name->line;
	entry->parent = parent;
	return entry;
}

/* The name of the section that entry stands in. */
static const char *
around(const struct scan *scan, const struct conf_entry *entry)
{
	return entry->parent < 0 ? "" : scan->text->entries[entry->parent].name;
}

static int
take_list(struct scan *scan, int line)
{
	struct token token;

	for (;;) {
		token = next_token(scan);
		if (is_sign(&token, '}'))
			return 0;
		if (token.kind == TOKEN_END)
			return conf_fault_set(scan->fault, line,
			    "the list that begins here is not closed: \"}\" is missing");
		if (!is_text(&token))
			return expected(scan, &token, "a value of the list");
		token = next_token(scan);
		if (is_sign(&token, '}'))
			return 0;
		if (token.kind == TOKEN_END)
			return conf_fault_set(scan->fault, line,
			    "the list that begins here is not closed: \"}\" is missing");
		if (!is_sign(&token, ','))
			return expected(scan, &token, "\",\" or \"}\"");
	}
}

/* Puts the key before what is wrong with its value. */
static int
name_fault(struct scan *scan, const struct conf_entry *entry)
{
	struct conf_fault fault = *scan->fault;

	return conf_fault_set(scan->fault, fault.line, "%s%s%.*s: %.*s", around(scan, entry),
	    entry->parent < 0 ? "" : ".", SHOWN_MAX, entry->name, (int)sizeof(fault.text) / 2,
	    fault.text);
}

static int
take_value(struct scan *scan, const struct token *name, int parent)
{
	struct conf_entry *entry = add_entry(scan, name, parent, CONF_SCALAR);
	struct token value = next_token(scan);
	int result;

	if (is_sign(&value, '{')) {
		entry->shape = CONF_LIST;
		result = take_list(scan, value.line);
	} else {
		result = is_text(&value) ? 0 : expected(scan, &value, "a value");
	}
	return result == 0 ? 0 : name_fault(scan, entry);
}

/* libconfuse compares each title with all before it, and joins sections of one title. */
static void
blank_title(struct scan *scan, const struct token *title)
{
	size_t quotes = title->kind == TOKEN_STRING ? 1 : 0;
	size_t at = (size_t)(title->at - scan->start) - quotes;

	memset(scan->text->clean + at, ' ', title->length + 2 * quotes);
}

static int take_entries(struct scan *scan, int parent, int depth);

static int
take_section(struct scan *scan, const struct token *name, const struct token *title, int parent,
    int depth)
{
	int index = (int)scan->text->count;
	struct conf_entry *entry = add_entry(scan, name, parent, CONF_SECTION);

	if (title != NULL) {
		entry->title = arena_strndup(scan->arena, title->at, title->length);
		entry->line = title->line;
		blank_title(scan, title);
	}
	if (depth == DEPTH_MAX)
		return conf_fault_set(scan->fault, name->line, "sections are nested too deeply");
	return take_entries(scan, index, depth + 1);
}

static int
take_entry(struct scan *scan, const struct token *name, int parent, int depth)
{
	struct token token = next_token(scan), brace;

	if (is_sign(&token, '='))
		return take_value(scan, name, parent);
	if (is_sign(&token, '{'))
		return take_section(scan, name, NULL, parent, depth);
	if (!is_text(&token))
		return expected(scan, &token, "\"=\" or \"{\"");
	brace = next_token(scan);
	if (is_sign(&brace, '{'))
		return take_section(scan, name, &token, parent, depth);
	if (brace.kind == TOKEN_FAULT)
		return -1;
	return conf_fault_set(scan->fault, name->line, "\"=\" is missing after \"%.*s\"",
	    name->length < SHOWN_MAX ? (int)name->length : SHOWN_MAX, name->at);
}

/* Keys and sections up to the end of the section they stand in. */
static int
take_entries(struct scan *scan, int parent, int depth)
{
	struct token token;

	for (;;) {
		token = next_token(scan);
		if (token.kind == TOKEN_END && parent < 0)
			return 0;
		if (token.kind == TOKEN_END)
			return conf_fault_set(scan->fault, scan->text->entries[parent].line,
			    "section %.*s is not closed: \"}\" is missing", SHOWN_MAX,
			    scan->text->entries[parent].name);
		if (is_sign(&token, '}') && parent >= 0)
			return 0;
		if (is_sign(&token, '}'))
			return conf_fault_set(scan->fault, token.line, "\"}\" closes no section");
		if (token.kind != TOKEN_WORD)
			return expected(scan, &token, "the name of a key or section");
		if (take_entry(scan, &token, parent, depth) != 0)
			return -1;
	}
}

static const char *
title_of(const struct conf_entry *entry)
{
	return entry->title == NULL ? "" : entry->title;
}

static int
compare_entries(const void *one, const void *other)
{
	const struct conf_entry *a = one, *b = other;
	int by_name, by_title;

	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	by_name = strcmp(a->name, b->name);
	if (by_name != 0)
		return by_name;
	by_title = strcmp(title_of(a), title_of(b));
	if (by_title != 0)
		return by_title;
	return (a->line > b->line) - (a->line < b->line);
}

static bool
same_entry(const struct conf_entry *a, const struct conf_entry *b)
{
	return a->parent == b->parent && strcmp(a->name, b->name) == 0 &&
	    strcmp(title_of(a), title_of(b)) == 0;
}

static int
refuse_repeat(struct scan *scan, const struct conf_entry *repeat, const struct conf_entry *first)
{
	const char *quote = repeat->title == NULL ? "" : "\"";

	return conf_fault_set(scan->fault, repeat->line,
	    "%s%s%s%.*s%s%s%.*s%s is given twice, first in line %d",
	    repeat->shape == CONF_SECTION ? "section " : "", around(scan, repeat),
	    repeat->parent < 0 ? "" : ".", SHOWN_MAX, repeat->name,
	    repeat->title == NULL ? "" : " ", quote, SHOWN_MAX, title_of(repeat), quote,
	    first->line);
}

/* Finds the repeat that comes first in the file. */
static int
check_repeats(struct scan *scan)
{
	size_t count = scan->text->count, i;
	struct conf_entry *sorted = arena_array(scan->arena, count + 1, sizeof(*sorted));
	const struct conf_entry *repeat = NULL;

	if (count > 0)
		memcpy(sorted, scan->text->entries, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), compare_entries);
	for (i = 1; i < count; i++)
		if (same_entry(&sorted[i - 1], &sorted[i]) &&
		    (repeat == NULL || sorted[i].line < repeat->line))
			repeat = &sorted[i];
	return repeat == NULL ? 0 : refuse_repeat(scan, repeat, repeat - 1);
}

/* Room for every entry there can be: each has its own "=" or "{". */
static size_t
entries_at_most(const char *octets, size_t length)
{
	size_t count = 0, i;

	for (i = 0; i < length; i++)
		if (octets[i] == '=' || octets[i] == '{')
			count++;
	return count;
}

static int
refuse_nul(const char *octets, size_t length, struct conf_fault *fault)
{
	const char *nul = memchr(octets, '\0', length), *at;
	int line = 1;

	if (nul == NULL)
		return 0;
	for (at = octets; at < nul; at++)
		if (*at == '\n')
			line++;
	return conf_fault_set(fault, line, "a NUL octet: this is not a text file");
}

int
conf_text_read(struct arena *arena, const char *octets, size_t length, struct conf_text *text,
    struct conf_fault *fault)
{
	struct scan scan = { .arena = arena, .text = text, .fault = fault, .line = 1 };

	if (refuse_nul(octets, length, fault) != 0)
		return -1;
	text->clean = arena_strndup(arena, octets, length);
	text->entries = arena_array(arena, entries_at_most(octets, length) + 1,
	    sizeof(*text->entries));
	text->count = 0;
	scan.start = scan.at = octets;
	scan.end = octets + length;
	scan.clean = text->clean;
	if (take_entries(&scan, -1, 0) != 0)
		return -1;
	return check_repeats(&scan);
}
