/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The part of engines.c that is about TLS reports: what counts sessions, hears of those of others,
 * tells a collector and sends. For its table alone, which says what each kind of function does.
 */
#ifndef CMD_ENGINES_REPORT_H
#define CMD_ENGINES_REPORT_H

#include "cmd/engines.h"

int engines_report_start_tally(struct engines *engines);
void engines_report_free_tally(struct engines *engines);
int engines_report_open_tlsrpt(struct engines *engines);
void engines_report_close_tlsrpt(struct engines *engines);
int engines_report_start_forward(struct engines *engines);
void engines_report_free_forward(struct engines *engines);
int engines_report_start_recorder(struct engines *engines);
void engines_report_free_recorder(struct engines *engines);
int engines_report_start_collector(struct engines *engines);
bool engines_report_halt_collector(struct engines *engines);
int engines_report_start_reporter(struct engines *engines);
bool engines_report_halt_reporter(struct engines *engines);
void engines_report_free_reporter(struct engines *engines);

int engines_report_start_history(struct engines *e);
void engines_report_reload_history(struct engines *e, const struct conf *conf);
void engines_report_free_history(struct engines *e);

#endif
