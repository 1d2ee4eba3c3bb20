/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/number.h"
#include "policy/facts/sts_clock.h"

#define KEY	"anchor"
#define STEP_MS	(60 * 1000)	/* less is no step but drift */
#define HOLD_MS	2000	/* the skew need not be known better */
#define DAY_MS	(24 * 3600 * 1000LL)
/* A wall clock that shows less was never set: it says nothing about how long a machine was off. */
#define SANE_MS	(1577836800 * 1000LL)	/* 2020-01-01 */

static int64_t
larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
life_ms(const struct sts_clock *clock, int64_t count_ms)
{
	return clock->start.life_ms + (count_ms - clock->start.at.count_ms);
}

static bool
is_same_boot(const struct sts_anchor *saved, const char *boot, struct sts_reading at)
{
	/* A snapshot that was restored has its old boot id, and a clock that went back. */
	return boot[0] != '\0' && strcmp(saved->boot, boot) == 0 &&
	    at.count_ms >= saved->at.count_ms;
}

/* For how long was the machine off? No longer than the wall clock is beyond all that it has shown
 * or should have shown: where it was wrong before, some of it has been counted already. */
static int64_t
time_off(const struct sts_anchor *saved, struct sts_reading at)
{
	int64_t shown_ms = saved->life_ms + saved->ahead_ms;

	return shown_ms < SANE_MS ? 0 : larger(at.wall_ms - shown_ms, 0);
}

/* If the earlier boot did not know its own beginning, it is still not known. */
static void
inherit_doubt(struct sts_anchor *anchor)
{
	if (anchor->life_ms - anchor->before_ms > LIMIT_STS_MAX_AGE * 1000LL)
		anchor->doubt_ms = 0;
	if (anchor->slip_ms > 0) {
		anchor->doubt_ms += anchor->slip_ms;
		anchor->before_ms = anchor->boot_ms;
	}
	anchor->slip_ms = 0;
}

static void
begin_boot(struct sts_anchor *anchor, int64_t gap_ms, struct sts_reading at)
{
	anchor->life_ms += gap_ms;
	anchor->boot_ms = anchor->life_ms;
	anchor->boot_gap_ms = gap_ms;
	anchor->boot_skew_ms = at.wall_ms - anchor->life_ms;
	anchor->boot_ahead_ms = anchor->ahead_ms;
}

/* Takes the skew over when it is not the same any more. */
static int64_t
held(int64_t skew_ms, int64_t fresh_ms)
{
	return llabs(fresh_ms - skew_ms) < HOLD_MS ? skew_ms : fresh_ms;
}

void
sts_clock_start_at(struct sts_clock *clock, const struct sts_anchor *saved, const char *boot,
    struct sts_reading at)
{
	struct sts_anchor now = { .life_ms = at.wall_ms };

	*clock = (struct sts_clock){ .unanchored = saved == NULL };
	if (saved == NULL) {
		now.stepped_ms = now.life_ms;
		begin_boot(&now, 0, at);
	} else if (is_same_boot(saved, boot, at)) {
		now = *saved;
		now.life_ms += at.count_ms - saved->at.count_ms;
	} else {
		now = *saved;
		inherit_doubt(&now);
		begin_boot(&now, time_off(saved, at), at);
	}
	(void)snprintf(now.boot, sizeof(now.boot), "%s", boot);
	now.at = at;
	clock->start = clock->now = now;
	clock->skew_ms = now.skew_ms;
	clock->slip_ms = now.slip_ms;
}

/* Machines without a battery come up in the past, and are set right a little later. */
static bool
is_behind(const struct sts_anchor *now)
{
	return now->boot_skew_ms < now->boot_ahead_ms - STEP_MS;
}

static void
look(struct sts_clock *clock, struct sts_reading at)
{
	struct sts_anchor *now = &clock->now;
	int64_t fresh_ms;

	now->at = at;
	now->life_ms = life_ms(clock, at.count_ms);
	fresh_ms = held(now->skew_ms, at.wall_ms - now->life_ms);
	if (llabs(fresh_ms - now->skew_ms) >= STEP_MS)
		now->stepped_ms = now->life_ms;
	now->skew_ms = fresh_ms;
	now->ahead_ms = larger(now->ahead_ms, fresh_ms);
	if (now->boot_skew_ms - fresh_ms >= HOLD_MS)
		now->slip_ms = larger(now->slip_ms, now->boot_skew_ms - fresh_ms);
	if (now->slip_ms > now->boot_gap_ms)
		now->slip_ms = now->boot_gap_ms;
	clock->skew_ms = now->skew_ms;
	clock->slip_ms = now->slip_ms;
}

enum sts_step
sts_clock_watch_at(struct sts_clock *clock, struct sts_reading at, int64_t *step_s)
{
	struct sts_anchor *now = &clock->now;
	bool behind = is_behind(now);

	look(clock, at);
	if (behind && now->skew_ms >= now->boot_ahead_ms - STEP_MS) {
		now->boot_skew_ms = now->usual_ms = now->skew_ms;
		*step_s = 0;
		return STS_STEP_SET;
	}
	*step_s = (now->skew_ms - now->usual_ms) / 1000;
	if (llabs(now->skew_ms - now->usual_ms) < STEP_MS)
		return STS_STEP_NONE;
	if (now->life_ms - now->stepped_ms < DAY_MS)
		return behind ? STS_STEP_BEHIND : STS_STEP_MADE;
	now->usual_ms = now->skew_ms;
	return STS_STEP_KEPT;
}

enum sts_step
sts_clock_watch(struct sts_clock *clock, int64_t *step_s)
{
	struct sts_reading at;

	sts_clock_read(&at);
	return sts_clock_watch_at(clock, at, step_s);
}

int64_t
sts_clock_now(const struct sts_clock *clock)
{
	struct sts_reading at;

	sts_clock_read(&at);
	return life_ms(clock, at.count_ms) / 1000;
}

bool
sts_clock_is_over(const struct sts_clock *clock, int64_t fetched, int64_t expires)
{
	const struct sts_anchor *start = &clock->start;
	int64_t now = sts_clock_now(clock);

	if (fetched < start->boot_ms / 1000)
		now -= (clock->slip_ms + 999) / 1000;
	if (fetched < start->before_ms / 1000)
		now -= (start->doubt_ms + 999) / 1000;
	return now >= expires;
}

/* The skew as it is now, in seconds. */
static int64_t
skew_s(struct sts_clock *clock)
{
	struct sts_reading at;
	int64_t skew_ms;

	sts_clock_read(&at);
	skew_ms = held(clock->skew_ms, at.wall_ms - life_ms(clock, at.count_ms));
	return (skew_ms + (skew_ms < 0 ? -500 : 500)) / 1000;
}

int64_t
sts_clock_wall(struct sts_clock *clock, int64_t life_s)
{
	return life_s == 0 ? 0 : life_s + skew_s(clock);
}

int64_t
sts_clock_life(struct sts_clock *clock, int64_t wall_s)
{
	return wall_s == 0 ? 0 : wall_s - skew_s(clock);
}

/* How long the machine was off is what the wall clock said, and nothing is deleted by that before
 * the next boot. */
int64_t
sts_clock_certain(const struct sts_clock *clock)
{
	const struct sts_anchor *start = &clock->start;
	int64_t unknown_ms = start->boot_gap_ms + start->doubt_ms;

	if (clock->unanchored)
		unknown_ms = LIMIT_STS_MAX_AGE * 1000LL;
	return sts_clock_now(clock) - unknown_ms / 1000;
}

int64_t
sts_clock_certain_wall(const struct sts_clock *clock)
{
	struct sts_reading at;
	int64_t counted_ms;

	sts_clock_read(&at);
	counted_ms = clock->start.at.wall_ms + (at.count_ms - clock->start.at.count_ms);
	return (at.wall_ms < counted_ms ? at.wall_ms : counted_ms) / 1000;
}

int64_t
sts_clock_damaged(const struct sts_clock *clock)
{
	return clock->start.damaged_s;
}

void
sts_anchor_write(const struct sts_anchor *anchor, struct buf *text)
{
	buf_printf(text,
	    "1 %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64,
	    anchor->at.wall_ms, anchor->at.count_ms, anchor->life_ms, anchor->skew_ms,
	    anchor->ahead_ms, anchor->usual_ms, anchor->stepped_ms);
	buf_printf(text,
	    " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64
	    " %" PRId64 " %s",
	    anchor->boot_ms, anchor->boot_gap_ms, anchor->boot_skew_ms, anchor->boot_ahead_ms,
	    anchor->slip_ms, anchor->before_ms, anchor->doubt_ms, anchor->damaged_s,
	    anchor->boot[0] != '\0' ? anchor->boot : "-");
}

static bool
is_skew(int64_t ms)
{
	return ms / 1000 <= (int64_t)NUMBER_WALL_MAX && ms / 1000 >= -(int64_t)NUMBER_WALL_MAX;
}

static bool
is_time(int64_t ms)
{
	return ms >= 0 && is_skew(ms);
}

/* Could these times have been read from clocks? */
static bool
is_sound(const struct sts_anchor *anchor)
{
	return is_time(anchor->at.wall_ms) && is_time(anchor->at.count_ms) &&
	    is_time(anchor->life_ms) && is_skew(anchor->skew_ms) && is_time(anchor->ahead_ms) &&
	    is_skew(anchor->usual_ms) && is_time(anchor->stepped_ms) && is_time(anchor->boot_ms) &&
	    is_time(anchor->boot_gap_ms) && is_skew(anchor->boot_skew_ms) &&
	    is_time(anchor->boot_ahead_ms) && is_time(anchor->slip_ms) &&
	    is_time(anchor->before_ms) && is_time(anchor->doubt_ms) && is_time(anchor->damaged_s);
}

/* A number and the space after it. */
static bool
take(const char **text, int64_t *number)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(*text, &end, 10);
	if (end == *text || errno != 0 || *end != ' ')
		return false;
	*number = value;
	*text = end + 1;
	return true;
}

int
sts_anchor_read(const char *text, struct sts_anchor *anchor)
{
	struct sts_anchor read = { .life_ms = 0 };
	int64_t version;
	int64_t *const fields[] = { &version, &read.at.wall_ms, &read.at.count_ms, &read.life_ms,
		&read.skew_ms, &read.ahead_ms, &read.usual_ms, &read.stepped_ms, &read.boot_ms,
		&read.boot_gap_ms, &read.boot_skew_ms, &read.boot_ahead_ms, &read.slip_ms,
		&read.before_ms, &read.doubt_ms, &read.damaged_s };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!take(&text, fields[i]))
			return -1;
	if (version != 1 || !is_sound(&read) || text[0] == '\0' || strchr(text, ' ') != NULL ||
	    strlen(text) >= sizeof(read.boot))
		return -1;
	if (strcmp(text, "-") != 0)
		memcpy(read.boot, text, strlen(text) + 1);
	*anchor = read;
	return 0;
}

/* Lost to a power failure it is a minute behind, which the next boot takes for time off. */
void
sts_clock_save(struct sts_clock *clock, struct store *store)
{
	struct buf text = { 0 };

	sts_anchor_write(&clock->now, &text);
	(void)store_put(store, STORE_CLOCK, KEY, buf_text(&text), text.length, 0, STORE_LAZY);
	buf_free(&text);
}

void
sts_clock_start(struct sts_clock *clock, struct store *store)
{
	struct sts_anchor saved;
	struct sts_reading at;
	char boot[BOOT_ID_CLOCK_MAX];
	struct buf text = { 0 };
	bool known;

	sts_clock_read(&at);
	sts_clock_boot(boot);
	known = store_get(store, STORE_CLOCK, KEY, &text) == STORE_OK &&
	    sts_anchor_read(buf_text(&text), &saved) == 0;
	buf_free(&text);
	sts_clock_start_at(clock, known ? &saved : NULL, boot, at);
	if (store_was_damaged(store))
		clock->start.damaged_s = clock->now.damaged_s = sts_clock_now(clock);
	else if (!known && store_damaged_at(store) != 0)
		clock->start.damaged_s = clock->now.damaged_s = store_damaged_at(store);
	look(clock, at);
	sts_clock_save(clock, store);
}
