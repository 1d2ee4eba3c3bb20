/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#ifndef REPORT_HISTORY_INSIDE_H
#define REPORT_HISTORY_INSIDE_H

#include "base/arena.h"
#include "base/digest.h"
#include "report/history.h"

/* An event, or equal ones, on the way into the store. */
struct history_item {
	struct history_item *next;
	char key[HISTORY_KEY_MAX];	/* in the store */
	int64_t hour;
	struct history_figures {
		uint64_t count, recipients;
		int64_t first_s, last_s;
	} figures;
	char chain[DIGEST_TEXT];	/* "" : none */
	char *pem;	/* of the chain; NULL: none, or another item has it */
	char *tail;	/* kind, domain, chain, line feed, JSON: what follows the figures */
};

/* history_form.c, pure */
struct history_item *history_item_new(const struct history_entry *event);
/* Makes the item one of the entry that counts all further events of a kind and result, when there
 * is no room for more entries. */
void history_item_blur(struct history_item *item, const struct history_entry *event);
void history_item_free(struct history_item *item);
void history_figures_add(struct history_figures *sum, const struct history_figures *more);
/* An entry's value begins with figures; *tail is what follows. false: it is none. */
bool history_figures_read(const char *value, struct history_figures *figures, const char **tail);
void history_figures_write(struct buf *value, const struct history_figures *figures);
/* Kind, domain and chain alone, for filters; false: it is none. */
struct history_head {
	enum history_kind kind;
	const char *domain;
	size_t domain_length;
	char chain[DIGEST_TEXT];
	const char *json;
};
bool history_head_read(const char *tail, struct history_head *head);
/* The rest of an entry from its JSON, into the arena. */
bool history_rest_read(struct arena *arena, const struct history_head *head,
    struct history_entry *entry);

/* history_store.c: one thread at a time */
struct history_disk {
	struct store *store;
	int64_t keep_s;
	uint64_t max_size;
	uint64_t entries_size, chains_size;	/* of what is kept */
	int64_t hour;	/* the last one written */
	uint64_t hour_size;
};

void history_disk_measure(struct history_disk *disk);
/* Adds the items of the list; what was written is freed and leaves it. */
enum store_result history_disk_add(struct history_disk *disk, struct history_item **list);
/* Drops what is too old or too much. */
void history_disk_trim(struct history_disk *disk, int64_t now_s);

/* history_last.c: locks itself */
struct history_lasts *history_lasts_new(void);
void history_lasts_free(struct history_lasts *lasts);
struct history_lasts *history_lasts(struct history *history);

#endif
