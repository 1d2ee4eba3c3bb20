/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/conf/conf_now.h"
#include "tests/unit/conf_file.h"

/* As the file would give it; hostname tells one from the other. */
static struct conf *
conf_named(const char *hostname)
{
	char text[100], path[] = "/tmp/stsgate-test-now-XXXXXX";
	int fd = mkstemp(path), length;
	struct conf *conf;

	assert_true(fd >= 0);
	length = snprintf(text, sizeof(text),
	    "hostname = \"%s\"\ntls { ca-file = \"/dev/null\" }\n", hostname);
	assert_int_equal(write(fd, text, (size_t)length), length);
	close(fd);
	conf = conf_load(path, stderr);
	unlink(path);
	assert_non_null(conf);
	return conf;
}

/* A sanitizer finds what is read after its end, and what never ends. */
static void
test_each_keeps_his_own(void **state)
{
	struct conf *first = conf_named("first.example");
	struct conf_now *now = conf_now_new(first);
	const struct conf *a = conf_now_take(now), *b, *c, *d;

	(void)state;
	assert_ptr_equal(a, first);
	conf_now_set(now, conf_named("second.example"));
	b = conf_now_take(now);
	c = conf_now_take(now);
	assert_string_equal(b->hostname, "second.example");
	conf_now_set(now, conf_named("third.example"));
	d = conf_now_take(now);
	conf_now_give(now, b);
	assert_string_equal(c->hostname, "second.example");
	assert_string_equal(d->hostname, "third.example");
	conf_now_give(now, c);
	conf_now_give(now, a);
	conf_now_set(now, conf_named("fourth.example"));
	assert_string_equal(d->hostname, "third.example");
	conf_now_give(now, d);
	assert_string_equal(first->hostname, "first.example");
	conf_now_free(now);
	conf_free(first);
}

struct reader {
	struct conf_now *now;
	_Atomic bool stop;
};

static void *
read_on(void *context)
{
	struct reader *reader = context;
	const struct conf *conf;
	size_t read = 0;

	while (!reader->stop) {
		conf = conf_now_take(reader->now);
		if (conf->hostname[0] != 'n')
			abort();
		read++;
		conf_now_give(reader->now, conf);
	}
	return (void *)read;
}

static void
test_replaced_while_it_is_read(void **state)
{
	struct conf *first = conf_named("n0.example");
	struct reader reader = { .now = conf_now_new(first) };
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &reader), 0);
	for (size_t i = 0; i < 50; i++)
		conf_now_set(reader.now, conf_named("n1.example"));
	reader.stop = true;
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	conf_now_free(reader.now);
	conf_free(first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_keeps_his_own),
		cmocka_unit_test(test_replaced_while_it_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
