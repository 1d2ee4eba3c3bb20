/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>

#include "base/arena.h"
#include "shim/control/check.h"
#include "shim/control/check_inbound.h"
#include "shim/control/control_check.h"
#include "shim/control/control_stream.h"

#define CHECK_TIME_MS	(60 * 1000)

struct asking {
	json_t *steps;
	struct watch watch;	/* has the client left? */
	struct control_stream *stream;	/* NULL: sent only at the end */
	bool doing;	/* the stream is also to tell what is being waited for */
};

static char *
text_of(const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);

	if (text == NULL)	/* no memory: see base/arena.h */
		abort();
	return text;
}

/* Hurried results, after the client has left, are not sent. */
static void
add_line(struct asking *asking, const json_t *object)
{
	char *text;

	if (wait_is_over(&asking->watch))
		return;
	text = text_of(object);
	control_stream_add(asking->stream, text);
	free(text);
}

static void
add_doing(void *context, const char *what, const char *host, const char *address)
{
	struct asking *asking = context;
	json_t *object;

	if (!asking->doing)
		return;
	object = json_pack("{s:s, s:s*, s:s*}", "doing", what, "host",
	    host != NULL && host[0] != '\0' ? host : NULL, "address", address);
	add_line(asking, object);
	json_decref(object);
}

static void
add_step(void *context, const struct check_step *step)
{
	struct asking *asking = context;
	json_t *object = json_object();

	json_object_set_new(object, "step", json_string(step->step));
	if (step->host != NULL && step->host[0] != '\0')
		json_object_set_new(object, "host", json_string(step->host));
	if (step->address != NULL)
		json_object_set_new(object, "address", json_string(step->address));
	json_object_set_new(object, "ok", json_boolean(step->ok));
	json_object_set_new(object, "detail", json_string(step->detail));
	json_object_set_new(object, "ms", json_integer(step->ms));
	if (asking->stream != NULL)
		add_line(asking, object);
	json_array_append_new(asking->steps, object);
}

static json_t *
run(const struct deliver_context *deliver, const char *domain, struct asking *asking)
{
	struct check_caller caller = {
		.told = add_step, .doing = add_doing, .watch = asking->watch, .context = asking
	};
	bool verified;

	asking->steps = json_array();
	verified = check_run(deliver, domain, deadline_in(CHECK_TIME_MS), &caller);
	return json_pack("{s:s, s:b, s:o}", "domain", domain, "verified", (int)verified, "steps",
	    asking->steps);
}

void
control_check(const struct deliver_context *deliver, const char *text, const struct watch *watch,
    struct control_answer *answer)
{
	struct asking asking = { .watch = *watch };
	struct domain domain;
	json_t *object;

	if (control_domain(text, &domain, answer) != 0)
		return;
	object = run(deliver, domain.name, &asking);
	answer->status = 200;
	answer->text = text_of(object);
	json_decref(object);
}

static void
add_inbound(void *context, const char *step, const char *host, enum check_state state,
    const char *detail)
{
	struct asking *asking = context;

	json_array_append_new(asking->steps,
	    json_pack("{s:s, s:s*, s:s, s:s}", "step", step, "host", host, "state",
		check_state_name(state), "detail", detail));
}

void
control_check_inbound(const struct deliver_context *deliver, const char *text,
    const struct watch *watch, struct control_answer *answer)
{
	struct asking asking = { .watch = *watch };
	const struct inbound_caller caller = { add_inbound, *watch, &asking };
	struct domain domain;
	json_t *object;

	if (control_domain(text, &domain, answer) != 0)
		return;
	asking.steps = json_array();
	check_inbound_run(deliver, domain.name, deadline_in(CHECK_TIME_MS), &caller);
	object = json_pack("{s:s, s:o}", "domain", domain.name, "steps", asking.steps);
	answer->status = 200;
	answer->text = text_of(object);
	json_decref(object);
}

/* The parts of the request that a stream needs, since the request ends first. */
struct streaming {
	struct deliver_context deliver;
	struct domain domain;
	bool doing;
	const atomic_bool *stopping;
	struct control_stream *stream;
};

static bool
stream_is_gone(void *context)
{
	const struct streaming *streaming = context;

	return *streaming->stopping || control_stream_is_gone(streaming->stream);
}

static void
run_stream(void *context, struct control_stream *stream)
{
	struct streaming *streaming = context;
	struct asking asking = {
		.watch = { stream_is_gone, streaming }, .stream = stream, .doing = streaming->doing
	};
	json_t *object;

	streaming->stream = stream;
	object = run(&streaming->deliver, streaming->domain.name, &asking);
	add_line(&asking, object);
	json_decref(object);
}

static void
free_streaming(void *context)
{
	struct streaming *streaming = context;

	gatherer_give(&streaming->deliver.gatherer);
	free(streaming);
}

void
control_check_stream(const struct deliver_context *deliver, const char *text, bool doing,
    const atomic_bool *stopping, struct control_answer *answer)
{
	struct streaming *streaming = xcalloc(1, sizeof(*streaming));

	streaming->doing = doing;
	streaming->stopping = stopping;
	if (control_domain(text, &streaming->domain, answer) != 0) {
		free(streaming);
		return;
	}
	streaming->deliver = *deliver;
	streaming->deliver.gatherer = gatherer_take(&deliver->gatherer);
	streaming->deliver.conf = streaming->deliver.gatherer.conf;
	answer->status = 200;
	answer->type = "application/x-ndjson";
	answer->stream = control_stream_new(run_stream, free_streaming, streaming);
	if (answer->stream != NULL)
		return;
	free_streaming(streaming);
	answer->type = NULL;
	control_refuse(answer, 500, "cannot create a thread");
}
