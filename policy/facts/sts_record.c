/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/number.h"
#include "policy/facts/sts_record.h"

/*
 * "STSP", then big-endian: version 1 octet, mode 1, capped 1, max_age 4, fetched 8, expires 8,
 * refresh 8, used 8, id, last_error, body, number of patterns 4, patterns, checksum 8. A text is
 * its length in 4 octets and its octets. The checksum (FNV-1a, 64 bits) covers all before it, so
 * that a flipped bit never turns "enforce" into "none".
 */
static const char magic[4] = { 'S', 'T', 'S', 'P' };
#define RECORD_VERSION	1
#define CHECKSUM_OCTETS	8

struct reader {
	const unsigned char *at;
	size_t left;
	bool bad;	/* it ran out; what was read since is 0 */
};

static uint64_t
checksum(const void *octets, size_t length)
{
	return hash_add(HASH_START, octets, length);
}

static void
put_number(struct buf *octets, uint64_t number, size_t width)
{
	while (width-- > 0)
		buf_add_char(octets, (char)(unsigned char)(number >> 8 * width));
}

static void
put_text(struct buf *octets, const char *text, size_t length)
{
	put_number(octets, length, 4);
	if (length > 0)	/* an imported policy has no body */
		buf_add(octets, text, length);
}

void
sts_record_write(const struct sts_entry *entry, struct buf *octets)
{
	const struct sts_policy *policy = &entry->policy;
	size_t i, start = octets->length;

	buf_add(octets, magic, sizeof(magic));
	put_number(octets, RECORD_VERSION, 1);
	put_number(octets, (uint64_t)policy->mode, 1);
	put_number(octets, policy->max_age_capped, 1);
	put_number(octets, policy->max_age, 4);
	put_number(octets, (uint64_t)entry->fetched, 8);
	put_number(octets, (uint64_t)entry->expires, 8);
	put_number(octets, (uint64_t)entry->refresh, 8);
	put_number(octets, (uint64_t)entry->used, 8);
	put_text(octets, policy->id, strlen(policy->id));
	put_text(octets, entry->last_error, strlen(entry->last_error));
	put_text(octets, policy->body, policy->body_length);
	put_number(octets, policy->mx_count, 4);
	for (i = 0; i < policy->mx_count; i++)
		put_text(octets, policy->mx[i], strlen(policy->mx[i]));
	put_number(octets, checksum(octets->data + start, octets->length - start), 8);
}

static uint64_t
take_number(struct reader *reader, size_t width)
{
	uint64_t number = 0;

	if (reader->left < width) {
		reader->bad = true;
		reader->left = 0;
		return 0;
	}
	reader->left -= width;
	while (width-- > 0)
		number = number << 8 | *reader->at++;
	return number;
}

static char *
take_text(struct reader *reader, struct arena *arena, size_t *length)
{
	char *text;

	*length = (size_t)take_number(reader, 4);
	if (*length > reader->left) {
		reader->bad = true;
		*length = 0;
	}
	text = arena_alloc(arena, *length + 1);
	memcpy(text, reader->at, *length);
	reader->at += *length;
	reader->left -= *length;
	return text;
}

/* One without a NUL inside. */
static char *
take_string(struct reader *reader, struct arena *arena)
{
	size_t length;
	char *text = take_text(reader, arena, &length);

	if (strlen(text) != length)
		reader->bad = true;
	return text;
}

static void
take_id(struct reader *reader, struct arena *arena, struct sts_policy *policy)
{
	const char *id = take_string(reader, arena);

	if (strlen(id) > LIMIT_STS_ID) {
		reader->bad = true;
		return;
	}
	strcpy(policy->id, id);
}

static void
take_patterns(struct reader *reader, struct arena *arena, struct sts_policy *policy)
{
	size_t i, count = (size_t)take_number(reader, 4);

	if (count > LIMIT_STS_MX_PATTERNS) {
		reader->bad = true;
		return;
	}
	policy->mx = arena_array(arena, count, sizeof(char *));
	policy->mx_count = count;
	for (i = 0; i < count; i++)
		policy->mx[i] = take_string(reader, arena);
}

/* 0 means none. A time beyond all dates would overflow in additions. */
static int64_t
take_wall(struct reader *reader)
{
	uint64_t second = take_number(reader, 8);

	if (second > NUMBER_WALL_MAX)
		reader->bad = true;
	return reader->bad ? 0 : (int64_t)second;
}

/* Could a fetched policy look like this? */
static bool
is_sound(const struct sts_policy *policy)
{
	switch (policy->mode) {
	case STS_MODE_NONE:
		break;
	case STS_MODE_TESTING:
	case STS_MODE_ENFORCE:
		if (policy->mx_count == 0)
			return false;
		break;
	}
	return policy->max_age <= LIMIT_STS_MAX_AGE;
}

static int
open_record(const void *octets, size_t length, struct reader *reader)
{
	struct reader tail = { .left = CHECKSUM_OCTETS };

	if (length < sizeof(magic) + CHECKSUM_OCTETS || memcmp(octets, magic, sizeof(magic)) != 0)
		return -1;
	length -= CHECKSUM_OCTETS;
	tail.at = (const unsigned char *)octets + length;
	if (take_number(&tail, CHECKSUM_OCTETS) != checksum(octets, length))
		return -1;
	reader->at = (const unsigned char *)octets + sizeof(magic);
	reader->left = length - sizeof(magic);
	return take_number(reader, 1) == RECORD_VERSION ? 0 : -1;
}

int
sts_record_read(struct arena *arena, const char *domain, const void *octets, size_t length,
    struct sts_entry *entry)
{
	struct sts_entry read = { .domain = domain };
	struct sts_policy *policy = &read.policy;
	struct reader reader = { 0 };
	uint64_t mode, capped;

	if (open_record(octets, length, &reader) != 0)
		return -1;
	mode = take_number(&reader, 1);
	capped = take_number(&reader, 1);
	policy->max_age = (uint32_t)take_number(&reader, 4);
	read.fetched = take_wall(&reader);
	read.expires = take_wall(&reader);
	read.refresh = take_wall(&reader);
	read.used = take_wall(&reader);
	take_id(&reader, arena, policy);
	read.last_error = take_string(&reader, arena);
	policy->body = take_text(&reader, arena, &policy->body_length);
	take_patterns(&reader, arena, policy);
	if (reader.bad || reader.left > 0 || mode > STS_MODE_ENFORCE || capped > 1)
		return -1;
	policy->mode = (enum sts_mode)mode;
	policy->max_age_capped = capped == 1;
	if (!is_sound(policy))
		return -1;
	read.domain = arena_strdup(arena, domain);
	*entry = read;
	return 0;
}
