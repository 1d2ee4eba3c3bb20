/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>
#include <string.h>

#include <gmime/gmime.h>

#include "cmd/received_mail.h"

#define MBOX	"From "

struct walk {
	void (*found)(void *context, const char *octets, size_t length);
	void *context;
};

static void
give_part(const struct walk *walk, GMimeObject *object)
{
	GMimeStream *memory;
	GMimeDataWrapper *content;
	const GByteArray *octets;

	if (!GMIME_IS_PART(object))
		return;
	content = g_mime_part_get_content(GMIME_PART(object));
	if (content == NULL)
		return;
	memory = g_mime_stream_mem_new();
	(void)g_mime_data_wrapper_write_to_stream(content, memory);
	octets = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(memory));
	walk->found(walk->context, (const char *)octets->data, octets->len);
	g_object_unref(memory);
}

/* The parts of messages within the message, too. */
static void
walk_message(const struct walk *walk, GMimeMessage *message)
{
	GMimePartIter *parts = g_mime_part_iter_new(GMIME_OBJECT(message));

	do
		give_part(walk, g_mime_part_iter_get_current(parts));
	while (g_mime_part_iter_next(parts));
	g_mime_part_iter_free(parts);
}

void
received_mail_read(const char *octets, size_t length,
    void (*found)(void *context, const char *octets, size_t length), void *context)
{
	struct walk walk = { found, context };
	bool mbox = length >= strlen(MBOX) && memcmp(octets, MBOX, strlen(MBOX)) == 0;
	GMimeStream *stream;
	GMimeParser *parser;
	GMimeMessage *message;

	g_mime_init();
	stream = g_mime_stream_mem_new_with_buffer(octets, length);
	parser = g_mime_parser_new_with_stream(stream);
	g_mime_parser_set_format(parser, mbox ? GMIME_FORMAT_MBOX : GMIME_FORMAT_MESSAGE);
	do {
		message = g_mime_parser_construct_message(parser, NULL);
		if (message == NULL)
			break;
		walk_message(&walk, message);
		g_object_unref(message);
	} while (mbox && !g_mime_parser_eos(parser));
	g_object_unref(parser);
	g_object_unref(stream);
}
