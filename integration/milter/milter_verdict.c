/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "integration/milter/milter_verdict.h"

static const char *const says_names[] = { [SAYS_UNKNOWN] = "unknown",
	[SAYS_USE] = "use",
	[SAYS_DEFER] = "defer",
	[SAYS_REFUSE] = "refuse" };

const char *
milter_says_name(enum milter_says says)
{
	return says_names[says];
}

static const char *const action_names[] = {
	[ACTION_CONTINUE] = "continue", [ACTION_TEMPFAIL] = "tempfail", [ACTION_REJECT] = "reject"
};

const char *
milter_action_name(enum milter_action action)
{
	return action_names[action];
}

void
milter_verdict_unknown(struct milter_verdict *verdict, const char *format, ...)
{
	va_list args;

	*verdict = (struct milter_verdict){ .says = SAYS_UNKNOWN };
	va_start(args, format);
	vsnprintf(verdict->why, sizeof(verdict->why), format, args);
	va_end(args);
}

/* The text of a key, or "": a missing key and one of another type say nothing. */
static const char *
text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text == NULL ? "" : text;
}

/* Goes into a header and a log line, so what is no word there is left out. */
static void
copy_word(char *word, size_t room, const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	if (strspn(text, plain) == strlen(text) && strlen(text) < room)
		memcpy(word, text, strlen(text) + 1);
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "451 4.7.5 text", as base/reply.h writes it. */
static bool
read_reply(const char *line, char class, struct reply *reply)
{
	char enhanced[sizeof(reply->enhanced)];
	const char *at = line + 4;
	size_t length;

	if (strlen(line) < 5 || line[0] != class || !is_digit(line[1]) || !is_digit(line[2]) ||
	    line[3] != ' ')
		return false;
	length = strcspn(at, " ");
	if (at[0] != class || at[1] != '.' || length >= sizeof(enhanced) ||
	    strspn(at, "0123456789.") != length)
		return false;
	memcpy(enhanced, at, length);
	enhanced[length] = '\0';
	at += length;
	reply_set(reply, (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0', enhanced,
	    "%s", at[0] == ' ' ? at + 1 : "refused by policy");
	return true;
}

static void
add_policy(struct milter_verdict *verdict, const char *name)
{
	size_t length = strlen(verdict->policy);

	snprintf(verdict->policy + length, sizeof(verdict->policy) - length, "%s%s",
	    length > 0 ? "+" : "", name);
}

static bool
any_host(const json_t *hosts, bool used_only, const char *policy)
{
	const json_t *host;
	size_t i;

	json_array_foreach (hosts, i, host)
		if ((!used_only || json_is_true(json_object_get(host, "use"))) &&
		    (policy == NULL || strcmp(text_of(host, "policy"), policy) == 0))
			return true;
	return false;
}

/* Of the hosts that would be used; of all where none would. */
static void
read_policies(const json_t *hosts, struct milter_verdict *verdict)
{
	static const char *const names[] = { "dane", "sts", "none" };
	bool used_only = any_host(hosts, true, NULL);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (any_host(hosts, used_only, names[i]))
			add_policy(verdict, names[i]);
}

static void
read_sts(const json_t *sts, struct milter_verdict *verdict)
{
	if (strcmp(text_of(sts, "state"), "error") == 0)
		copy_word(verdict->mode, sizeof(verdict->mode), "error");
	if (strcmp(text_of(sts, "state"), "valid") != 0)
		return;
	copy_word(verdict->mode, sizeof(verdict->mode), text_of(sts, "mode"));
	copy_word(verdict->id, sizeof(verdict->id), text_of(sts, "id"));
}

/* False: it does not say what is to happen. */
static bool
read_object(const json_t *object, struct milter_verdict *verdict)
{
	const char *says = text_of(object, "verdict"), *reply = text_of(object, "reply");

	*verdict = (struct milter_verdict){ .says = SAYS_UNKNOWN };
	if (strcmp(says, "use") == 0)
		verdict->says = SAYS_USE;
	else if (strcmp(says, "defer") == 0 && read_reply(reply, '4', &verdict->reply))
		verdict->says = SAYS_DEFER;
	else if (strcmp(says, "refuse") == 0 && read_reply(reply, '5', &verdict->reply))
		verdict->says = SAYS_REFUSE;
	else
		return false;
	read_policies(json_object_get(object, "hosts"), verdict);
	read_sts(json_object_get(object, "sts"), verdict);
	return true;
}

void
milter_verdict_read(const char *answer, size_t length, struct milter_verdict *verdict)
{
	json_t *object;

	if (length < 3 || memcmp(answer, "OK ", 3) != 0) {
		milter_verdict_unknown(verdict, "stsgated: %.*s",
		    (int)(length < 120 ? length : 120), answer);
		return;
	}
	object = json_loadb(answer + 3, length - 3, 0, NULL);
	if (object == NULL || !read_object(object, verdict))
		milter_verdict_unknown(verdict,
		    "the answer of stsgated cannot be read: is it "
		    "another version?");
	json_decref(object);
}

enum milter_action
milter_decide(const struct milter_verdict *verdict, enum conf_milter_refuse refuse)
{
	switch (verdict->says) {
	case SAYS_UNKNOWN:
	case SAYS_USE:
		return ACTION_CONTINUE;
	case SAYS_DEFER:
		return refuse == REFUSE_NEVER ? ACTION_CONTINUE : ACTION_TEMPFAIL;
	case SAYS_REFUSE:
		return refuse == REFUSE_REJECT ? ACTION_REJECT : ACTION_CONTINUE;
	}
	return ACTION_CONTINUE;
}

static void
add_part(struct buf *value, const char *key, const char *text)
{
	if (text[0] != '\0')
		buf_printf(value, "; %s=%s", key, text);
}

void
milter_verdict_header(const struct milter_verdict *verdict, const char *domain, struct buf *value)
{
	buf_clear(value);
	buf_add_text(value, milter_says_name(verdict->says));
	add_part(value, "domain", domain);
	add_part(value, "policy", verdict->policy);
	add_part(value, "mode", verdict->mode);
	add_part(value, "id", verdict->id);
	add_part(value, "status", verdict->reply.enhanced);
}
