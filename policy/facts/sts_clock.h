/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What time is it for policies, which outlive the process and the machine's wall clock's errors?
 * They go by a clock of their own, "life": seconds that only ever advance, as CLOCK_BOOTTIME does,
 * from the wall clock of the first start on. The store keeps the state of the clocks (an anchor),
 * so life continues exactly over a restart within one boot, whatever happened to the wall clock.
 * After another boot the time that the machine was off is known from the wall clock alone: life
 * advances by how far that is beyond everything it has shown before, or not at all.
 *
 * So a wall clock that steps makes no policy older or younger. One thing remains: a machine that
 * comes up with its wall clock too far ahead makes the time off too long. When it is then set back,
 * what is older than that boot is judged by the earlier of both times.
 *
 * Any thread, but for sts_clock_watch() and sts_clock_save(): one thread.
 */
#ifndef POLICY_FACTS_STS_CLOCK_H
#define POLICY_FACTS_STS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/boot_id.h"
#include "base/store/store.h"

struct sts_reading {
	int64_t wall_ms;	/* since 1970 */
	int64_t count_ms;	/* CLOCK_BOOTTIME: never set, runs on in suspend */
};

/* How the clocks stood at some moment. All times but wall_ms and count_ms are life's. */
struct sts_anchor {
	char boot[BOOT_ID_CLOCK_MAX];
	struct sts_reading at;
	int64_t life_ms;
	int64_t skew_ms;	/* wall clock less life, to 2 s */
	int64_t ahead_ms;	/* the most that the skew has ever been */
	int64_t usual_ms;	/* the skew that is taken for right */
	int64_t stepped_ms;	/* when the wall clock was last set by STEP_MS or more */
	/* When this boot was first seen, */
	int64_t boot_ms;
	int64_t boot_gap_ms;	/* for how long the machine was taken to have been off before, */
	int64_t boot_skew_ms, boot_ahead_ms;	/* and skew and ahead then. */
	int64_t slip_ms;	/* by how much boot_gap_ms may have been too long */
	int64_t before_ms, doubt_ms;	/* the slips of earlier boots, and before when */
	int64_t damaged_s;	/* when the store was found damaged, 0: never */
};

struct sts_clock {
	struct sts_anchor start, now;	/* now: of the thread that watches */
	_Atomic int64_t skew_ms, slip_ms;	/* as in now, for any thread */
	bool unanchored;	/* nothing was known of earlier times */
};

/* The state of the wall clock. */
enum sts_step {
	STS_STEP_NONE,	/* it shows what it should, by STEP_MS */
	STS_STEP_BEHIND,	/* this boot began in the past, and it is not set yet */
	STS_STEP_SET,	/* in such a boot: just now it was */
	STS_STEP_MADE,	/* it was set */
	STS_STEP_KEPT	/* and has run on for a day since: taken for right from now on */
};

/* Goes on from what store has, and writes it. */
void sts_clock_start(struct sts_clock *clock, struct store *store);
void sts_clock_save(struct sts_clock *clock, struct store *store);
/* Looks at the wall clock. *step_s: by how much it is ahead of what it should show. */
enum sts_step sts_clock_watch(struct sts_clock *clock, int64_t *step_s);

int64_t sts_clock_now(const struct sts_clock *clock);
/* Has the time of something from fetched on come to its end? */
bool sts_clock_is_over(const struct sts_clock *clock, int64_t fetched, int64_t expires);
/* For people and other machines, by the wall clock as it is now; 0 stays 0. Back and forth gives
 * the same second unless the wall clock is set in between. */
int64_t sts_clock_wall(struct sts_clock *clock, int64_t life_s);
int64_t sts_clock_life(struct sts_clock *clock, int64_t wall_s);
/* By which to delete: never more than what is certain to have passed, of life and of the wall. */
int64_t sts_clock_certain(const struct sts_clock *clock);
int64_t sts_clock_certain_wall(const struct sts_clock *clock);
/* When the store was found damaged, by life; 0: never. */
int64_t sts_clock_damaged(const struct sts_clock *clock);

/* The same for given readings. Pure. saved NULL: nothing is known. */
void sts_clock_start_at(struct sts_clock *clock, const struct sts_anchor *saved, const char *boot,
    struct sts_reading at);
enum sts_step sts_clock_watch_at(struct sts_clock *clock, struct sts_reading at, int64_t *step_s);
void sts_anchor_write(const struct sts_anchor *anchor, struct buf *text);
int sts_anchor_read(const char *text, struct sts_anchor *anchor);

/* The machine's clocks; tests have their own. */
void sts_clock_read(struct sts_reading *reading);
void sts_clock_boot(char boot[BOOT_ID_CLOCK_MAX]);

#endif
