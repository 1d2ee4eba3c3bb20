/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/facts/sts_clock.h"
#include "tests/unit/sanitized.h"
#include "tests/unit/sts_world.h"

struct world world = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
answer_txt(struct arena *arena, struct dns_answer *answer, const char *txt)
{
	size_t length;
	uint8_t *data;

	*answer = (struct dns_answer){ .state = world.txt_state, .exists = world.exists };
	snprintf(answer->why, sizeof(answer->why), "%s", "made-up");
	if (txt == NULL || world.txt_state == DNS_BOGUS || world.txt_state == DNS_FAILED)
		return;
	length = strlen(txt);
	data = arena_alloc(arena, length + 1);
	data[0] = (uint8_t)length;
	memcpy(data + 1, txt, length);
	answer->records = arena_array(arena, 1, sizeof(answer->records[0]));
	answer->records[0] = (struct dns_record){ data, length + 1 };
	answer->count = 1;
}

static void
answer_address(struct dns_question *question)
{
	static const uint8_t address[4] = { 192, 0, 2, 1 };
	static struct dns_record record = { address, sizeof(address) };

	question->answer = (struct dns_answer){
		.state = world.host_state, .exists = true, .not_asked = world.host_not_asked
	};
	if (question->type != DNS_A || world.host_state == DNS_BOGUS ||
	    world.host_state == DNS_FAILED)
		return;
	question->answer.records = &record;
	question->answer.count = 1;
}

void
resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	(void)resolver;
	(void)deadline;
	pthread_mutex_lock(&world.lock);
	for (size_t i = 0; i < count; i++) {
		if (questions[i].type == DNS_TXT) {
			world.questions++;
			answer_txt(arena, &questions[i].answer, world.txt);
		} else {
			answer_address(&questions[i]);
		}
	}
	pthread_mutex_unlock(&world.lock);
}

void
resolver_ask_afresh(struct resolver *resolver, struct arena *arena, struct dns_question *question,
    int64_t interval_ms, struct deadline deadline)
{
	(void)resolver;
	(void)interval_ms;
	(void)deadline;
	pthread_mutex_lock(&world.lock);
	world.afresh++;
	answer_txt(arena, &question->answer,
	    world.txt_afresh != NULL ? world.txt_afresh : world.txt);
	pthread_mutex_unlock(&world.lock);
}

void
http_perform(struct http *http, const struct http_request *request, struct http_answer *answer)
{
	unsigned ms;

	(void)http;
	pthread_mutex_lock(&world.lock);
	world.fetches++;
	ms = world.fetch_ms;
	snprintf(world.url, sizeof(world.url), "%s", request->url);
	pthread_mutex_unlock(&world.lock);
	for (unsigned waited = 0; waited < ms && !world.stopped; waited += 10)
		usleep(10 * 1000);
	pthread_mutex_lock(&world.lock);
	*answer = (struct http_answer){ .outcome = world.outcome, .x509_error = world.x509_error };
	if (world.stopped) {
		answer->outcome = HTTP_LOCAL;
	} else if (world.outcome == HTTP_ANSWERED) {
		answer->status = world.status;
		snprintf(answer->content_type, sizeof(answer->content_type), "%s",
		    world.content_type);
		buf_add_text(&answer->body, world.body);
	}
	pthread_mutex_unlock(&world.lock);
}

/* A fetch under way is cut short. */
void
http_cancel(struct http *http)
{
	(void)http;
	pthread_mutex_lock(&world.lock);
	world.stopped = true;
	pthread_mutex_unlock(&world.lock);
}

void
resolver_forget(struct resolver *resolver)
{
	(void)resolver;
	world.forgets++;
}

void
sts_clock_read(struct sts_reading *reading)
{
	pthread_mutex_lock(&world.lock);
	*reading = (struct sts_reading){ world.wall * 1000, world.count * 1000 };
	pthread_mutex_unlock(&world.lock);
}

void
sts_clock_boot(char boot[BOOT_ID_CLOCK_MAX])
{
	snprintf(boot, BOOT_ID_CLOCK_MAX, "boot-%d", world.boot);
}

void
pass(int64_t seconds)
{
	pthread_mutex_lock(&world.lock);
	world.wall += seconds;
	world.count += seconds;
	pthread_mutex_unlock(&world.lock);
}

void
step(int64_t seconds)
{
	pthread_mutex_lock(&world.lock);
	world.wall += seconds;
	pthread_mutex_unlock(&world.lock);
}

void
free_cache(struct sts_cache *cache)
{
	sts_cache_cancel(cache);
	http_cancel(NULL);
	sts_cache_free(cache);
}

void
reboot(struct fixture *fixture, int64_t off)
{
	free_cache(fixture->cache);
	store_close(fixture->store);
	world.boot++;
	world.count = 10;
	world.wall += off;
	open_cache(fixture);
}

void
open_cache(struct fixture *fixture)
{
	char why[512] = "";

	fixture->store = store_open("bdb", fixture->directory, why, sizeof(why));
	if (fixture->store == NULL)
		fail_msg("%s", why);
	world.stopped = false;
	fixture->cache = sts_cache_new(&fixture->conf, NULL, NULL, fixture->store);
}

void
restart(struct fixture *fixture)
{
	free_cache(fixture->cache);
	store_close(fixture->store);
	open_cache(fixture);
}

static int
threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	int count = -2;	/* "." and ".." */

	assert_non_null(tasks);
	while (readdir(tasks) != NULL)
		count++;
	closedir(tasks);
	return count;
}

void
wait_fetched(void)
{
	struct deadline deadline = deadline_in(30000);

	while (threads() > 1 + SANITIZED_THREAD && !deadline_passed(deadline))
		usleep(1000);
	assert_false(deadline_passed(deadline));
}

int
setup(void **state)
{
	static char no_proxy[] = "";
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	struct conf *conf = &fixture->conf;

	pthread_mutex_lock(&world.lock);
	world.txt_state = DNS_INSECURE;
	world.exists = true;
	world.txt = "v=STSv1; id=one;";
	world.txt_afresh = NULL;
	world.host_state = DNS_INSECURE;
	world.host_not_asked = false;
	world.outcome = HTTP_ANSWERED;
	world.status = 200;
	world.x509_error = 0;
	world.content_type = "text/plain";
	world.body = ENFORCE;
	world.fetch_ms = 0;
	world.wall = START;
	world.count = 1000;
	world.boot = 1;
	world.fetches = world.questions = world.afresh = 0;
	pthread_mutex_unlock(&world.lock);
	snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/test-sts-cache-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	conf->sts.fetch_timeout = 5000;
	conf->sts.refresh_interval = DAY * 1000;
	conf->sts.retry_interval = 300 * 1000;
	conf->sts.cold_failure_grace = 3600 * 1000;
	conf->sts.max_policy_size = 65536;
	conf->sts.http_proxy = no_proxy;
	conf->dns.timeout = 1000;
	conf->smtp.use_ipv4 = conf->smtp.use_ipv6 = true;
	fixture->arena = arena_new();
	open_cache(fixture);
	*state = fixture;
	return 0;
}

int
teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	free_cache(fixture->cache);
	store_close(fixture->store);
	arena_free(fixture->arena);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->directory);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

const struct sts_facts *
get(struct fixture *fixture)
{
	struct sts_facts *sts = arena_alloc(fixture->arena, sizeof(*sts));

	sts_cache_get(fixture->cache, fixture->arena, "example.com", deadline_in(10000), sts);
	return sts;
}

void
assert_policy(const struct sts_facts *sts, const char *id, enum sts_mode mode, bool from_cache)
{
	assert_int_equal(sts->state, STS_VALID);
	assert_string_equal(sts->policy->id, id);
	assert_int_equal(sts->policy->mode, mode);
	assert_int_equal(sts->from_cache, from_cache);
}

void
assert_finding(const struct sts_facts *sts, enum result_type type, const char *reason)
{
	assert_int_equal(sts->finding.type, type);
	assert_string_equal(sts->finding.reason, reason);
	assert_true(sts->fetch_tried);
	assert_true(sts->why[0] != '\0');
}
