/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What stsgated's JSON looks like to a person. Values are printed as they came, but for controls.
 */
#ifndef CMD_STSGATE_PRINT_H
#define CMD_STSGATE_PRINT_H

#include <jansson.h>
#include <stdio.h>

/* The text of a key; "" where there is none. */
const char *stsgate_print_text(const json_t *object, const char *key);

void stsgate_print_policy(FILE *out, const json_t *policy);	/* /v1/policy/DOMAIN */
void stsgate_print_why(FILE *out, const json_t *why);	/* /v1/why/DOMAIN */
void stsgate_print_outcome(FILE *out, const json_t *why);	/* in short, below a policy */
void stsgate_print_sts(FILE *out, const json_t *sts);	/* its sts object */
void stsgate_print_entry_row(FILE *out, const json_t *entry);	/* a cached policy on one line */
void stsgate_print_entry_head(FILE *out);
void stsgate_print_entry(FILE *out, const json_t *entry);	/* a cached policy in full */
void stsgate_print_stats(FILE *out, const json_t *stats);	/* "name value", a line each */
void stsgate_print_step(FILE *out, const json_t *step);	/* a row of stsgate check */
void stsgate_print_inbound(FILE *out, const json_t *check);	/* stsgate check --inbound */
void stsgate_print_verdict(FILE *out, const json_t *check);	/* its last row */

void stsgate_print_report(FILE *out, const json_t *report);
void stsgate_print_report_days(FILE *out, const json_t *days);
void stsgate_print_report_entries(FILE *out, const json_t *entries);
void stsgate_print_report_results(FILE *out, const json_t *results);
void stsgate_print_received(FILE *out, const json_t *received);	/* received_rows() */

#endif
