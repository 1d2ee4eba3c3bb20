/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sysexits.h>

#include "cmd/stsgate_cache.h"
#include "cmd/stsgate_print.h"

static void
collect(void *context, const json_t *page)
{
	json_array_extend(context, json_object_get(page, "policies"));
}

int
stsgate_cache_list(const struct stsgate_client *client, const char *domain)
{
	json_t *policies = json_array(), *object;
	const json_t *entry;
	size_t i;
	int status;

	(void)domain;
	status = stsgate_client_each_page(client, "/v1/cache", collect, policies);
	if (status != EX_OK) {
		json_decref(policies);
		return status;
	}
	if (client->json) {
		object = json_pack("{s:O}", "policies", policies);
		stsgate_client_print_json(object);
		json_decref(object);
	} else {
		stsgate_print_entry_head(stdout);
		json_array_foreach (policies, i, entry)
			stsgate_print_entry_row(stdout, entry);
	}
	json_decref(policies);
	return EX_OK;
}

int
stsgate_cache_show(const struct stsgate_client *client, const char *domain)
{
	return stsgate_client_ask_about(client, "GET", "/v1/cache/", domain, "",
	    stsgate_print_entry, NULL);
}

int
stsgate_cache_refresh(const struct stsgate_client *client, const char *domain)
{
	return stsgate_client_ask_about(client, "POST", "/v1/cache/", domain, "/refresh",
	    stsgate_print_sts, NULL);
}

int
stsgate_cache_forget(const struct stsgate_client *client, const char *domain)
{
	return stsgate_client_ask_about(client, "DELETE", "/v1/cache/", domain, "",
	    stsgate_print_entry, NULL);
}
