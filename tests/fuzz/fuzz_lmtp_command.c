/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* A command line from the MTA, and the address in it. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "shim/message/address.h"
#include "shim/lmtp/lmtp_command.h"
#include "tests/fuzz/fuzz.h"

static void
require(bool holds)
{
	if (!holds)
		abort();
}

/* Nothing that reaches the SMTP client may end a command or begin another. */
static void
check_text(const char *text)
{
	for (; *text != '\0'; text++)
		require((unsigned char)*text >= 0x20 && *text != 0x7f);
}

static void
check_address(const struct lmtp_command *command)
{
	struct arena *arena = arena_new();
	struct address address;
	const char *why = NULL;

	if (address_parse(arena, command->path, command->path_length, command->verb == LMTP_MAIL,
		&address, &why) == 0) {
		check_text(address.mailbox);
		check_text(address.next_hop);
		require(address.utf8 || address.wire != NULL);
		if (address.wire != NULL)
			check_text(address.wire);
		require((address.mailbox[0] == '\0') == (address.next_hop[0] == '\0'));
	} else {
		require(why != NULL);
	}
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	const char *line = (const char *)input;
	struct lmtp_command command;
	struct reply error = { 0 };

	if (lmtp_command_parse(line, length, &command, &error) != 0) {
		require(error.code >= 500 && error.code <= 555 && error.text[0] != '\0');
		return 0;
	}
	require(command.verb != LMTP_UNKNOWN);
	if (command.verb == LMTP_MAIL || command.verb == LMTP_RCPT) {
		require(command.path >= line && command.path + command.path_length < line + length);
		check_address(&command);
	}
	return 0;
}
