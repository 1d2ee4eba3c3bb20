/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/deadline.h"
#include "report/bundle.h"
#include "report/outbox.h"
#include "report/report.h"
#include "report/tally.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/memory_store.h"

#define DIGEST	"0123456789abcdef0123"

/* The values that a day of one domain has in the store; the input takes the place of one. */
struct place {
	enum store_table table;
	const char *before, *after;	/* of the day, in the key */
	const char *value;
};

static const struct place places[] = {
	{ STORE_OUTBOX, "i ", " a.example " DIGEST " " DIGEST, "0 1 1 1 mailto a@b.example\naway" },
	{ STORE_OUTBOX, "p ", "", "1767225600 0 a.example" },
	{ STORE_OUTBOX, "w ", "", "" },
	{ STORE_TALLY, "", " a.example " DIGEST, "1\nv=TLSRPTv1;rua=mailto:a@b.example" },
	{ STORE_TALLY, "", " a.example " DIGEST " " DIGEST, "7 2 1" },
	{ STORE_TALLY, "", " a.example " DIGEST " " DIGEST " !",
	    "{\"type\":1,\"domain\":\"a.example\",\"strings\":[],\"mx\":[]}" },
	{ STORE_TALLY, "", " a.example " DIGEST " " DIGEST " " DIGEST,
	    "3\n[\"certificate-expired\",\"\",\"\",\"\",\"\",\"\",\"\"]" },
};

#define PLACES	(sizeof(places) / sizeof(places[0]))
#define WAITING	2	/* where the input stands in the key */

static struct conf_destination none[1];
static const struct conf conf = { .destinations = none, .tlsrpt = { .success_only = true } };

static bool
write_report(void *context, const struct tally_report *report)
{
	struct reporter_name name = { .organization = "A",
		.contact = "a@b.example",
		.sender = "a@b.example",
		.submitter = "b.example" };
	struct arena *arena = arena_new();
	size_t *octets = context;

	*octets += strlen(report_json(arena, report, &name, false));
	arena_free(arena);
	return true;
}

static bool
see_entry(void *context, const char *key, const struct outbox_entry *entry)
{
	size_t *octets = context;

	*octets += strlen(key) + strlen(entry->target) + strlen(entry->error) +
	    strlen(outbox_state_name(entry->state));
	return true;
}

struct due {
	struct store *store;
	struct arena *arena;
	struct outbox_entry entry;
};

static bool
see_due(void *context, const char *key)
{
	struct due *due = context;

	(void)outbox_read_key(due->store, due->arena, key, &due->entry);
	return true;
}

static void
fill(struct store *store, const char *day, size_t at, const char *input, size_t length)
{
	struct buf key = { 0 };

	for (size_t i = 0; i < PLACES; i++) {
		const struct place *place = &places[i];

		buf_clear(&key);
		buf_printf(&key, "%s%s%s", place->before, i == WAITING ? "" : day, place->after);
		if (i == WAITING)
			buf_add_text(&key, at == i ? input : "1");
		(void)store_put(store, place->table, buf_text(&key), i == at ? input : place->value,
		    i == at ? length : strlen(place->value), 0, STORE_LAZY);
	}
	buf_free(&key);
}

static void
read_all(struct store *store, int64_t day)
{
	struct tally *tally = tally_new(store, DAY_S);
	struct due due = { .store = store, .arena = arena_new() };
	struct tally_report *reports;
	struct bundles bundles;
	struct outbox_day state;
	size_t octets = 0, count, i;

	(void)tally_scan(tally, day, "", write_report, &octets);
	if (tally_read(tally, day, "a.example", due.arena, &reports, &count) == STORE_OK)
		for (i = 0; i < count; i++)
			(void)write_report(&octets, &reports[i]);
	if (bundle_read(tally, due.arena, &conf, day, "a.example", &bundles) == STORE_OK)
		for (i = 0; i < bundles.count; i++)
			(void)write_report(&octets, &bundles.at[i].report);
	(void)outbox_scan(store, day, "", "", see_entry, &octets);
	(void)outbox_due(store, INT64_MAX, see_due, &due);
	(void)outbox_day_read(store, day, &state);
	arena_free(due.arena);
	tally_free(tally);
}

/* The first octet says which value the rest is. */
int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	int64_t day = day_of(clock_wall_s());
	struct store *store;
	char text[DAY_TEXT], *value, why[64];

	if (length == 0 || input[0] < '0' || (size_t)(input[0] - '0') >= PLACES)
		return 0;
	value = xmalloc(length);
	memcpy(value, input + 1, length - 1);
	value[length - 1] = '\0';
	store = store_open("", "", why, sizeof(why));
	day_format(day, text);
	fill(store, text, (size_t)(input[0] - '0'), value, length - 1);
	read_all(store, day);
	store_close(store);
	memory_store_reset();
	free(value);
	return 0;
}
