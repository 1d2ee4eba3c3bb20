/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>

#include "base/arena.h"
#include "base/conf/conf_value.h"
#include "shim/control/control_answer.h"

void
control_refuse(struct control_answer *answer, unsigned status, const char *error)
{
	json_t *object = json_pack("{s:s}", "error", error);
	char *text = json_dumps(object, JSON_COMPACT);

	json_decref(object);
	answer->status = status;
	answer->text = text == NULL ? xstrdup("{}") : text;
}

int
control_domain(const char *text, struct domain *domain, struct control_answer *answer)
{
	if (conf_host(text, domain) == 0)
		return 0;
	control_refuse(answer, 400, "not a domain name");
	return -1;
}
