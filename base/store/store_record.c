/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/store/store_record.h"

#define CHECK_SUM_AT	8

/* CRC-32C, four bits at a time: the reflected polynomial is 0x82f63b78. */
static uint32_t
check_sum(uint32_t sum, const unsigned char *octets, size_t length)
{
	static const uint32_t steps[16] = {
		0x00000000,
		0x105ec76f,
		0x20bd8ede,
		0x30e349b1,
		0x417b1dbc,
		0x5125dad3,
		0x61c69362,
		0x7198540d,
		0x82f63b78,
		0x92a8fc17,
		0xa24bb5a6,
		0xb21572c9,
		0xc38d26c4,
		0xd3d3e1ab,
		0xe330a81a,
		0xf36e6f75,
	};

	for (; length > 0; length--) {
		sum ^= *octets++;
		sum = steps[sum & 15] ^ sum >> 4;
		sum = steps[sum & 15] ^ sum >> 4;
	}
	return sum;
}

/* Over purge_at, key and value; the NUL keeps key and value apart. */
static uint32_t
record_sum(const unsigned char *head, const void *key, size_t key_length, const void *value,
    size_t length)
{
	uint32_t sum = check_sum(UINT32_MAX, head, CHECK_SUM_AT);

	sum = check_sum(sum, key, key_length);
	sum = check_sum(sum, (const unsigned char *)"", 1);
	return ~check_sum(sum, value, length);
}

static void
put_number(unsigned char *octets, size_t count, uint64_t number)
{
	while (count-- > 0) {
		octets[count] = (unsigned char)(number & 0xff);
		number >>= 8;
	}
}

static uint64_t
get_number(const unsigned char *octets, size_t count)
{
	uint64_t number = 0;

	while (count-- > 0)
		number = number << 8 | *octets++;
	return number;
}

void
store_record_pack(struct buf *record, const char *key, const void *value, size_t length,
    int64_t purge_at)
{
	unsigned char head[STORE_RECORD_HEAD];

	put_number(head, CHECK_SUM_AT, (uint64_t)purge_at);
	put_number(head + CHECK_SUM_AT, 4, record_sum(head, key, strlen(key), value, length));
	buf_clear(record);
	buf_add(record, head, sizeof(head));
	buf_add(record, value, length);
}

int
store_record_unpack(const char *key, size_t key_length, const void *record, size_t record_length,
    const void **value, size_t *length)
{
	const unsigned char *octets = record;

	if (record_length < STORE_RECORD_HEAD)
		return -1;
	*value = octets + STORE_RECORD_HEAD;
	*length = record_length - STORE_RECORD_HEAD;
	return get_number(octets + CHECK_SUM_AT, 4) ==
		record_sum(octets, key, key_length, *value, *length)
	    ? 0
	    : -1;
}

bool
store_record_is_due(const void *record, size_t record_length, int64_t now)
{
	int64_t purge_at;

	if (record_length < STORE_RECORD_HEAD)
		return false;
	purge_at = (int64_t)get_number(record, CHECK_SUM_AT);
	return purge_at != 0 && purge_at <= now;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* " 6b6579\n" becomes three octets. false: no line of data. */
static bool
read_hex(struct buf *octets, const char *line, size_t length)
{
	int high, low;

	buf_clear(octets);
	if (length > 0 && line[length - 1] == '\n')
		length--;
	if (length == 0 || *line != ' ' || length % 2 == 0)
		return false;
	for (line++, length--; length > 0; line += 2, length -= 2) {
		high = hex_value(line[0]);
		low = hex_value(line[1]);
		if (high < 0 || low < 0)
			return false;
		buf_add_char(octets, (char)(high << 4 | low));
	}
	return true;
}

static bool
is_entry(const struct buf *key, const struct buf *record)
{
	const void *value;
	size_t length;

	return memchr(buf_text(key), '\0', key->length) == NULL &&
	    store_record_unpack(buf_text(key), key->length, record->data, record->length, &value,
		&length) == 0;
}

size_t
store_record_read_dump(FILE *dump,
    bool (*each)(void *context, const char *key, const struct buf *record), void *context)
{
	struct buf key = { 0 }, record = { 0 }, passed;
	bool more = true, have_key = false;
	size_t room = 0, left_over = 0;
	char *line = NULL;
	ssize_t length;

	while (more && (length = getline(&line, &room, dump)) > 0) {
		if (!read_hex(&record, line, (size_t)length)) {
			left_over += line[0] == ' ';
		} else if (have_key && is_entry(&key, &record)) {
			more = each(context, buf_text(&key), &record);
			have_key = false;
			continue;
		} else {
			/* Damage may swallow a key or a record: what was taken for the one may be
			 * the other. */
			left_over += have_key;
			passed = key;
			key = record;
			record = passed;
			have_key = true;
		}
	}
	left_over += have_key;
	free(line);
	buf_free(&key);
	buf_free(&record);
	return left_over;
}
