/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sysexits.h>

#include "cmd/stsgate_cache.h"
#include "cmd/stsgate_print.h"

/* One page of the cache, or NULL with *status set. */
static json_t *
fetch_page(const struct stsgate_client *client, const char *path, int *status)
{
	struct http_answer answer;
	json_t *page = NULL;

	*status = stsgate_client_ask(client, "GET", path, NULL, &answer);
	if (*status == EX_OK && answer.status != 200)
		stsgate_client_complain(&answer);
	else if (*status == EX_OK)
		page = stsgate_client_parse(&answer);
	if (*status == EX_OK && page == NULL)
		*status = EXIT_NO;
	buf_free(&answer.body);
	return page;
}

int
stsgate_cache_each_page(const struct stsgate_client *client,
    void (*each)(void *context, json_t *policies), void *context)
{
	struct buf path = { 0 };
	const char *next;
	json_t *page;
	int status;

	buf_add_text(&path, "/v1/cache");
	while ((page = fetch_page(client, buf_text(&path), &status)) != NULL) {
		each(context, json_object_get(page, "policies"));
		next = json_string_value(json_object_get(page, "next"));
		buf_clear(&path);
		if (next != NULL)
			buf_printf(&path, "/v1/cache?after=%s", next);
		json_decref(page);
		if (path.length == 0)
			break;
	}
	buf_free(&path);
	return status;
}

static void
collect(void *context, json_t *policies)
{
	json_array_extend(context, policies);
}

int
stsgate_cache_list(const struct stsgate_client *client, const char *domain)
{
	json_t *policies = json_array(), *object;
	const json_t *entry;
	size_t i;
	int status;

	(void)domain;
	status = stsgate_cache_each_page(client, collect, policies);
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
