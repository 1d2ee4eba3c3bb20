/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The clock of policies, for everything that can happen to the machine's clocks.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "policy/facts/sts_clock.h"

#define T	1700000000LL
#define HOUR	3600LL
#define DAY	(24 * HOUR)
#define YEAR	(365 * DAY)

static struct {
	int64_t wall, count;	/* ms */
	const char *boot;
} machine;

void
sts_clock_read(struct sts_reading *reading)
{
	*reading = (struct sts_reading){ machine.wall, machine.count };
}

void
sts_clock_boot(char boot[BOOT_ID_CLOCK_MAX])
{
	snprintf(boot, BOOT_ID_CLOCK_MAX, "%s", machine.boot);
}

/* What happens to a machine, in order, each with a number of seconds. */
enum event {
	END,
	PASS,	/* running or in suspend */
	STEP,	/* the wall clock is set, by so much */
	SET,	/* the wall clock is set to the truth */
	KEEP,	/* the anchor is */
	RESTART,	/* of stsgated, so much later */
	STEP_OVER_RESTART,	/* by so much */
	CRASH,	/* a restart, though nothing was kept since the last KEEP */
	OFF,	/* and booted again so much later, of which the wall clock knows */
	OFF_DEAD,	/* the same with a clock that begins in 1970 */
	OFF_AHEAD,	/* the same with a clock that is then 10 years ahead */
	OFF_STANDING,	/* the same with a clock that stood still */
	SNAPSHOT,	/* the same boot again, with an older count, so much later */
	OTHER_MACHINE,	/* the store is taken to one whose clock is ahead by so much */
	FETCH,	/* a policy with this max_age */
	ALIVE,	/* the policy is */
	OVER,
	CERTAIN,	/* so much at least has certainly passed since the fetch */
	UNCERTAIN,	/* not so much */
	STOOD	/* what the watch says: enum sts_step */
};

struct history {
	const char *name;
	struct {
		enum event event;
		int64_t value;
	} events[20];
};

struct run {
	const char *name;
	struct sts_clock clock;
	struct sts_anchor kept;
	int64_t truth;	/* ms */
	int64_t fetched, expires;
	enum sts_step step;
	char boot[40];
};

static void
watch(struct run *run)
{
	int64_t step_s;

	run->step = sts_clock_watch(&run->clock, &step_s);
}

static void
keep(struct run *run)
{
	struct buf text = { 0 };

	watch(run);
	sts_anchor_write(&run->clock.now, &text);
	assert_int_equal(sts_anchor_read(buf_text(&text), &run->kept), 0);
	buf_free(&text);
}

static void
begin(struct run *run)
{
	struct sts_reading at;

	sts_clock_read(&at);
	sts_clock_start_at(&run->clock, &run->kept, machine.boot, at);
	watch(run);
}

static void
pass(struct run *run, int64_t seconds)
{
	machine.wall += seconds * 1000;
	machine.count += seconds * 1000;
	run->truth += seconds * 1000;
}

static void
restart(struct run *run, enum event event, int64_t value)
{
	if (event != CRASH)
		keep(run);
	if (event == RESTART || event == CRASH) {
		pass(run, value);
	} else {
		machine.wall += value * 1000;
		run->truth += event == SNAPSHOT ? value * 1000 : 0;
		machine.count -= event == SNAPSHOT ? 1000 : 0;
	}
	begin(run);
}

static void
boot(struct run *run, enum event event, int64_t value)
{
	static unsigned boots;

	keep(run);
	if (event != OTHER_MACHINE)
		run->truth += value * 1000;
	if (event == OFF_DEAD)
		machine.wall = DAY * 1000;
	else if (event == OFF_AHEAD)
		machine.wall = run->truth + 10 * YEAR * 1000;
	else if (event != OFF_STANDING)
		machine.wall += value * 1000;
	machine.count = event == OTHER_MACHINE ? 999999999 : 7777;
	snprintf(run->boot, sizeof(run->boot), "boot-%u", ++boots);
	machine.boot = run->boot;
	begin(run);
}

static void
check(struct run *run, enum event event, int64_t value)
{
	bool over = sts_clock_is_over(&run->clock, run->fetched, run->expires);
	int64_t certain = sts_clock_certain(&run->clock) - run->fetched;

	if ((event == ALIVE && over) || (event == OVER && !over))
		fail_msg("%s: %s after %lld", run->name, over ? "over" : "alive",
		    (long long)(sts_clock_now(&run->clock) - run->fetched));
	if ((event == CERTAIN && certain < value) || (event == UNCERTAIN && certain >= value))
		fail_msg("%s: %lld s are certain", run->name, (long long)certain);
	if (event == STOOD && (int64_t)run->step != value)
		fail_msg("%s: the watch says %d", run->name, (int)run->step);
}

static void
happen(struct run *run, enum event event, int64_t value)
{
	if (event >= OFF && event <= OTHER_MACHINE && event != SNAPSHOT) {
		boot(run, event, value);
	} else if (event == RESTART || event == STEP_OVER_RESTART || event == CRASH ||
	    event == SNAPSHOT) {
		restart(run, event, value);
	} else if (event == FETCH) {
		run->fetched = sts_clock_now(&run->clock);
		run->expires = run->fetched + value;
	} else if (event >= ALIVE) {
		check(run, event, value);
	} else {
		if (event == PASS)
			pass(run, value);
		else if (event == KEEP)
			keep(run);
		else
			machine.wall = event == SET ? run->truth : machine.wall + value * 1000;
		watch(run);
	}
}

/* Life never goes back, and what is shown by the wall clock leads back to it. */
static void
check_life(struct run *run, int64_t *life)
{
	int64_t now = sts_clock_now(&run->clock);

	if (now < *life)
		fail_msg("%s: back by %lld", run->name, (long long)(*life - now));
	*life = now;
	assert_int_equal(sts_clock_life(&run->clock, sts_clock_wall(&run->clock, now)), now);
	assert_in_range(sts_clock_wall(&run->clock, now) - machine.wall / 1000 + 2, 0, 4);
	assert_int_equal(sts_clock_wall(&run->clock, 0), 0);
}

static void
run_history(const struct history *history)
{
	struct run run = { .name = history->name, .truth = T * 1000 };
	struct sts_reading at;
	int64_t life = T;

	machine.wall = T * 1000;
	machine.count = 500 * 1000;
	machine.boot = "first";
	sts_clock_read(&at);
	sts_clock_start_at(&run.clock, NULL, machine.boot, at);
	assert_int_equal(sts_clock_now(&run.clock), T);
	happen(&run, RESTART, 0);
	for (size_t i = 0; history->events[i].event != END; i++) {
		happen(&run, history->events[i].event, history->events[i].value);
		check_life(&run, &life);
	}
}

static const struct history histories[] = {
	{ "nothing happens",
	    { { FETCH, DAY }, { PASS, DAY - 1 }, { ALIVE, 0 }, { STOOD, STS_STEP_NONE },
		{ PASS, 1 }, { OVER, 0 } } },
	{ "forward while it runs",
	    { { FETCH, DAY }, { STEP, 25 * HOUR }, { STOOD, STS_STEP_MADE }, { ALIVE, 0 },
		{ PASS, DAY - 1 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "back while it runs",
	    { { FETCH, 8 }, { STEP, -DAY }, { STOOD, STS_STEP_MADE }, { PASS, 7 }, { ALIVE, 0 },
		{ PASS, 1 }, { OVER, 0 } } },
	{ "back and fetched",
	    { { STEP, -DAY }, { FETCH, 8 }, { PASS, 7 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "forward, fetched and back",
	    { { STEP, DAY }, { FETCH, HOUR }, { STEP, -DAY }, { STOOD, STS_STEP_NONE },
		{ PASS, HOUR - 1 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "forward over a restart",
	    { { FETCH, DAY }, { STEP_OVER_RESTART, 25 * HOUR }, { STOOD, STS_STEP_MADE },
		{ ALIVE, 0 }, { PASS, DAY - 1 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "back over a restart",
	    { { FETCH, DAY }, { STEP_OVER_RESTART, -25 * HOUR }, { STOOD, STS_STEP_MADE },
		{ PASS, DAY - 1 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "there and back over restarts",
	    { { STEP_OVER_RESTART, YEAR }, { FETCH, DAY }, { STEP_OVER_RESTART, -YEAR },
		{ STOOD, STS_STEP_NONE }, { ALIVE, 0 }, { PASS, DAY }, { OVER, 0 } } },
	{ "killed, and the anchor is old",
	    { { FETCH, DAY }, { KEEP, 0 }, { PASS, HOUR }, { STEP, 25 * HOUR }, { CRASH, 10 },
		{ ALIVE, 0 }, { PASS, DAY - HOUR - 11 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "forward, then off",
	    { { FETCH, DAY }, { STEP, 25 * HOUR }, { OFF, HOUR }, { ALIVE, 0 },
		{ PASS, DAY - HOUR - 1 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "off for a while",
	    { { FETCH, DAY }, { PASS, HOUR }, { OFF, 22 * HOUR }, { ALIVE, 0 },
		{ STOOD, STS_STEP_NONE }, { UNCERTAIN, 2 * HOUR }, { PASS, HOUR }, { OVER, 0 } } },
	{ "off for longer",
	    { { FETCH, DAY }, { OFF, DAY }, { OVER, 0 }, { UNCERTAIN, DAY }, { OFF, 1 },
		{ CERTAIN, DAY } } },
	{ "no battery, set later",
	    { { FETCH, DAY }, { OFF_DEAD, HOUR }, { STOOD, STS_STEP_BEHIND }, { ALIVE, 0 },
		{ PASS, 60 }, { SET, 0 }, { STOOD, STS_STEP_SET }, { PASS, 60 },
		{ STOOD, STS_STEP_NONE }, { ALIVE, 0 }, { PASS, DAY - 121 }, { ALIVE, 0 },
		{ PASS, 1 }, { OVER, 0 } } },
	{ "no battery, fetched, set later",
	    { { OFF_DEAD, HOUR }, { FETCH, DAY }, { SET, 0 }, { ALIVE, 0 }, { PASS, DAY - 1 },
		{ ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
	{ "no battery, never set",
	    { { FETCH, DAY }, { OFF_DEAD, HOUR }, { PASS, DAY }, { OVER, 0 } } },
	{ "no battery, off again before it was set",
	    { { OFF_DEAD, HOUR }, { FETCH, DAY }, { PASS, 60 }, { OFF_DEAD, HOUR }, { SET, 0 },
		{ STOOD, STS_STEP_SET }, { ALIVE, 0 }, { OFF, HOUR }, { ALIVE, 0 }, { PASS, DAY },
		{ OVER, 0 } } },
	{ "no battery, off again, and right then",
	    { { OFF_DEAD, HOUR }, { FETCH, DAY }, { PASS, 60 }, { OFF, 50 * YEAR }, { ALIVE, 0 },
		{ PASS, DAY }, { OVER, 0 } } },
	{ "a clock that stood while off",
	    { { FETCH, DAY }, { OFF_STANDING, HOUR }, { STOOD, STS_STEP_NONE }, { PASS, 60 },
		{ SET, 0 }, { STOOD, STS_STEP_MADE }, { ALIVE, 0 }, { PASS, DAY }, { OVER, 0 } } },
	{ "comes up ahead, set back",
	    { { FETCH, DAY }, { OFF_AHEAD, HOUR }, { OVER, 0 }, { UNCERTAIN, DAY }, { PASS, 60 },
		{ SET, 0 }, { STOOD, STS_STEP_MADE }, { ALIVE, 0 }, { RESTART, 1 }, { ALIVE, 0 },
		{ UNCERTAIN, DAY }, { STEP, 11 * YEAR }, { ALIVE, 0 }, { SET, 0 }, { OFF, 60 },
		{ ALIVE, 0 }, { UNCERTAIN, DAY }, { PASS, DAY }, { OVER, 0 } } },
	{ "comes up ahead, restarted, set back",
	    { { FETCH, DAY }, { OFF_AHEAD, HOUR }, { RESTART, 60 }, { OVER, 0 }, { SET, 0 },
		{ ALIVE, 0 }, { PASS, DAY }, { OVER, 0 } } },
	{ "comes up ahead, fetched, set back",
	    { { OFF_AHEAD, HOUR }, { FETCH, DAY }, { SET, 0 }, { PASS, DAY - 1 }, { ALIVE, 0 },
		{ PASS, 1 }, { OVER, 0 } } },
	{ "comes up ahead, twice",
	    { { FETCH, DAY }, { OFF_AHEAD, HOUR }, { SET, 0 }, { OFF_AHEAD, HOUR }, { ALIVE, 0 },
		{ SET, 0 }, { ALIVE, 0 }, { PASS, DAY }, { OVER, 0 } } },
	{ "set, and not back",
	    { { STEP, 2 * HOUR }, { STOOD, STS_STEP_MADE }, { PASS, DAY - 60 },
		{ STOOD, STS_STEP_MADE }, { RESTART, 61 }, { STOOD, STS_STEP_KEPT }, { PASS, 1 },
		{ STOOD, STS_STEP_NONE }, { STEP, -2 * HOUR }, { STOOD, STS_STEP_MADE } } },
	{ "set again within a day",
	    { { STEP, 2 * HOUR }, { PASS, DAY - 60 }, { STEP, HOUR }, { PASS, DAY - 60 },
		{ STOOD, STS_STEP_MADE }, { PASS, 60 }, { STOOD, STS_STEP_KEPT } } },
	{ "a restored snapshot",
	    { { FETCH, DAY }, { SNAPSHOT, HOUR }, { ALIVE, 0 }, { PASS, DAY - HOUR },
		{ OVER, 0 } } },
	{ "another machine",
	    { { FETCH, DAY }, { OTHER_MACHINE, HOUR }, { ALIVE, 0 }, { STOOD, STS_STEP_NONE },
		{ PASS, DAY - HOUR }, { OVER, 0 } } },
	{ "another machine that is behind",
	    { { FETCH, DAY }, { OTHER_MACHINE, -HOUR }, { STOOD, STS_STEP_BEHIND }, { ALIVE, 0 },
		{ PASS, DAY }, { OVER, 0 } } },
	{ "small corrections",
	    { { STEP, 50 }, { STOOD, STS_STEP_NONE }, { FETCH, 100 }, { STEP, -50 },
		{ STOOD, STS_STEP_NONE }, { PASS, 99 }, { ALIVE, 0 }, { PASS, 1 }, { OVER, 0 } } },
};

static void
test_histories(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); i++)
		run_history(&histories[i]);
}

/* Containers share a boot, and may see its clock with an offset: no time is taken from that. */
static void
test_which_boots_are_the_same(void **state)
{
	static const struct {
		const char *before, *after;
		bool same;
	} cases[] = {
		{ "a,time:[1]", "a,time:[1]", true },
		{ "a,time:[1]", "a,time:[2]", false },
		{ "a,time:[1]", "b,time:[1]", false },
		{ "", "", false },
	};
	const struct sts_reading before = { T * 1000, 500000 },
				 after = { T * 1000, 500000 + 100 * DAY * 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sts_clock clock;
		struct sts_anchor kept;

		sts_clock_start_at(&clock, NULL, cases[i].before, before);
		kept = clock.now;
		sts_clock_start_at(&clock, &kept, cases[i].after, after);
		assert_int_equal(clock.now.life_ms / 1000 - T, cases[i].same ? 100 * DAY : 0);
	}
}

static void
test_anchors_that_cannot_be_read(void **state)
{
	static const char *const texts[] = { "", "1", "2 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 b",
		"1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "1 x 2 3 4 5 6 7 8 9 10 11 12 13 14 15 b",
		"1 -1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 b",
		"1 1 2 99999999999999999999 4 5 6 7 8 9 10 11 12 13 14 15 b",
		"1 1 2 3 -99999999999999999999 5 6 7 8 9 10 11 12 13 14 15 b" };
	struct sts_anchor anchor;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(sts_anchor_read(texts[i], &anchor), -1);
	assert_int_equal(sts_anchor_read("1 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 -", &anchor), 0);
	assert_string_equal(anchor.boot, "");
	assert_int_equal(anchor.damaged_s, 15);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_histories),
		cmocka_unit_test(test_which_boots_are_the_same),
		cmocka_unit_test(test_anchors_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
