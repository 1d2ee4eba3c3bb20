/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "base/number.h"

bool
number_take(const char **text, uint64_t most, uint64_t *number)
{
	const char *at = *text;
	uint64_t read = 0, digit;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		digit = (uint64_t)(*at - '0');
		if (read > most / 10 || digit > most - read * 10)
			return false;
		read = read * 10 + digit;
	}
	*number = read;
	*text = at;
	return true;
}

bool
number_take_wall(const char **text, int64_t *wall_s)
{
	uint64_t number;

	if (!number_take(text, NUMBER_WALL_MAX, &number))
		return false;
	*wall_s = (int64_t)number;
	return true;
}

bool
number_skip(const char **text, char c)
{
	if (**text != c)
		return false;
	++*text;
	return true;
}
