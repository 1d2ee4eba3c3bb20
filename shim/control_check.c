/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>

#include "shim/check.h"
#include "shim/control_check.h"

#define CHECK_TIME_MS	(60 * 1000)

struct asking {
	json_t *steps;
	bool (*gone)(void *context);
	void *context;
};

static void
add_step(void *context, const struct check_step *step)
{
	const struct asking *asking = context;
	json_t *object = json_object();

	json_object_set_new(object, "step", json_string(step->step));
	if (step->host != NULL && step->host[0] != '\0')
		json_object_set_new(object, "host", json_string(step->host));
	if (step->address != NULL)
		json_object_set_new(object, "address", json_string(step->address));
	json_object_set_new(object, "ok", json_boolean(step->ok));
	json_object_set_new(object, "detail", json_string(step->detail));
	json_object_set_new(object, "ms", json_integer(step->ms));
	json_array_append_new(asking->steps, object);
}

static bool
is_gone(void *context)
{
	const struct asking *asking = context;

	return asking->gone(asking->context);
}

void
control_check(const struct deliver_context *deliver, const char *text,
    bool (*gone)(void *context), void *context, struct control_answer *answer)
{
	struct asking asking = { NULL, gone, context };
	struct check_caller caller = { add_step, is_gone, &asking };
	struct domain domain;
	json_t *object;
	bool verified;

	if (control_domain(text, &domain, answer) != 0)
		return;
	asking.steps = json_array();
	verified = check_run(deliver, domain.name, deadline_in(CHECK_TIME_MS), &caller);
	object = json_pack("{s:s, s:b, s:o}", "domain", domain.name, "verified", (int)verified,
	    "steps", asking.steps);
	answer->status = 200;
	answer->text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (answer->text == NULL)	/* no memory: see base/arena.h */
		abort();
}
