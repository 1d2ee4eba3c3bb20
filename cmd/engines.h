/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The subsystems of stsgated, and their order of start and stop: one row each in engines.c. For the
 * main thread.
 */
#ifndef CMD_ENGINES_H
#define CMD_ENGINES_H

#include <stdbool.h>

#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "cmd/privileges.h"

/* Zero but for conf, now and privileges before engines_start(); each row fills in what is its
 * own. */
struct engines {
	const struct conf *conf;	/* of the start: good to the end, perhaps not in force */
	struct conf_now *now;	/* in force */
	struct privileges privileges;
	struct store *store;
	struct listeners *listeners;
	struct resolver *resolver;
	struct http *http;
	struct tls_client *tls;
	struct sts_cache *sts_cache;
	struct body_spool *spool;
	struct tally *tally;	/* NULL: tlsrpt.enable is off */
	int tlsrpt_fd;	/* tlsrpt.socket; -1: none, or the collector's */
	struct forward *forward;	/* NULL: tlsrpt.forward is not set */
	struct recorder *recorder;	/* NULL: tlsrpt.enable is off */
	struct collector *collector;	/* NULL: tlsrpt.socket is not set */
	struct history *history;
	struct deliver_context *deliver;
	struct timer *timer;
	struct policy_map *policy_map;
	struct reporter *reporter;	/* NULL with tally */
	struct control *control;
	struct lmtp_server *lmtp;
};

/* 0; EX_CONFIG, where the configuration names what cannot be used; or -1. It has been said why,
 * and the process is to end without another call. */
int engines_start(struct engines *engines);
/* Goes on by conf, which is the engines' then; running operations end with the configuration that
 * they began with. -1: the reason is logged, nothing has changed, and conf stays the caller's. */
int engines_reload(struct engines *engines, struct conf *conf);
/* Returns when the engines have answered, which one that hangs never does. */
void engines_probe(struct engines *engines);
/* Answers what runs and ends it all. false: threads still ran when the time to stop was over and
 * may use anything: the process is to end with _exit(). */
bool engines_stop(struct engines *engines);

#endif
