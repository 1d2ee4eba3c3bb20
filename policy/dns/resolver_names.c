/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/dns/resolver_names.h"

const char *
resolver_health_name(enum resolver_health health)
{
	static const char *const names[] = { [RESOLVER_UNTESTED] = "untested",
		[RESOLVER_VALIDATES] = "validates",
		[RESOLVER_RECURSES] = "recurses",
		[RESOLVER_BROKEN] = "broken",
		[RESOLVER_SILENT] = "silent",
		[RESOLVER_UNANCHORED] = "unanchored" };

	return names[health];
}

/* Where the reason itself begins: behind the last "<name TYPE IN>: ", since a key that did not
 * validate for an earlier question has that question's reason behind its own words. */
static const char *
find_reason(const char *text)
{
	static const char end_of_name[] = ">: ";
	const char *next;

	while ((next = strstr(text, end_of_name)) != NULL)
		text = next + sizeof(end_of_name) - 1;
	return text;
}

static bool
is_word(const char *word, size_t length, const char *what)
{
	return length == strlen(what) && memcmp(word, what, length) == 0;
}

/* Adds a word's letters and digits, with a hyphen before them; false: there is no room for it. */
static bool
add_word(char token[DNS_WHY_MAX], const char *word, size_t length)
{
	size_t used = strlen(token), begin = used;
	bool gap = used > 0;

	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)word[i])) {
			gap = used > 0;
			continue;
		}
		if (used + 2 >= DNS_WHY_MAX) {
			token[begin] = '\0';
			return false;
		}
		if (gap)
			token[used++] = '-';
		gap = false;
		token[used++] = (char)tolower((unsigned char)word[i]);
	}
	token[used] = '\0';
	return true;
}

/* The servers that gave an answer ("from A and B") and what was being done say nothing about it. */
void
resolver_bogus_token(const char *text, char token[DNS_WHY_MAX])
{
	const char *at = find_reason(text == NULL ? "" : text);
	bool servers = false;
	size_t length;

	token[0] = '\0';
	for (; *at != '\0'; at += length) {
		at += strspn(at, " ");
		length = strcspn(at, " ");
		if (is_word(at, length, "while") || at[0] == '<')
			break;
		if (is_word(at, length, "from") || (servers && is_word(at, length, "and"))) {
			at += length;
			at += strspn(at, " ");
			length = strcspn(at, " ");
			servers = true;
			continue;
		}
		servers = false;
		if (!add_word(token, at, length))
			break;
	}
	if (token[0] == '\0')
		snprintf(token, DNS_WHY_MAX, "bogus");
}

/* Does libunbound miss what a server has left out? */
static bool
is_left_out(const char *why)
{
	return strncmp(why, "no-", 3) == 0 || strncmp(why, "missing-", 8) == 0;
}

void
resolver_fault_words(enum resolver_health health, const char *server, const char *why,
    char words[RESOLVER_FAULT_MAX])
{
	int length = server != NULL ? (int)strcspn(server, "@") : 0;

	words[0] = '\0';
	if (health == RESOLVER_SILENT && server != NULL)
		snprintf(words, RESOLVER_FAULT_MAX,
		    "the DNS servers of the sending site (%.*s) do "
		    "not answer",
		    length, server);
	else if (health == RESOLVER_SILENT)
		snprintf(words, RESOLVER_FAULT_MAX, "the DNS does not answer the sending site");
	else if (health == RESOLVER_BROKEN && server != NULL && is_left_out(why))
		snprintf(words, RESOLVER_FAULT_MAX,
		    "the DNS servers of the sending site (%.*s) "
		    "drop DNSSEC records (%.60s): let them pass DNSSEC records, or set dns.mode "
		    "to recurse and open port 53",
		    length, server, why);
	else if (health == RESOLVER_BROKEN)
		snprintf(words, RESOLVER_FAULT_MAX,
		    "DNS answers do not validate at the sending "
		    "site (%.60s): fix its DNS servers (%.*s), dns.trust-anchor or clock",
		    why, server != NULL ? length : 4, server != NULL ? server : "root");
}
