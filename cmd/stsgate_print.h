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

void print_policy(FILE *out, const json_t *policy);	/* /v1/policy/DOMAIN */
void print_sts(FILE *out, const json_t *sts);	/* its sts object */
void print_entry_row(FILE *out, const json_t *entry);	/* a cached policy on one line */
void print_entry_head(FILE *out);
void print_entry(FILE *out, const json_t *entry);	/* a cached policy in full */
void print_stats(FILE *out, const json_t *stats);	/* "name value", a line each */
void print_step(FILE *out, const json_t *step);	/* a row of stsgate check */
void print_verdict(FILE *out, const json_t *check);	/* its last row */

void print_report(FILE *out, const json_t *report);
void print_report_days(FILE *out, const json_t *days);
void print_report_entries(FILE *out, const json_t *entries);
void print_report_results(FILE *out, const json_t *results);

#endif
