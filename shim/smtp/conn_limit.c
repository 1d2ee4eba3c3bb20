/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/wait.h"
#include "shim/smtp/conn_limit.h"

#define BUCKETS	1024
#define IP_KEY_PREFIX	"ip:"	/* no domain has a colon at that place */

#define LIVED_MS	(60 * 1000)	/* a connection that ended speaks for the host so long */
#define GROW_MS	(60 * 1000)	/* after which a host is thought to take one more */
#define REST_MS	200	/* a host with a limit hears a little late of what ended */
#define LINGER_MS	(10 * 60 * 1000)	/* what was learnt outlives the last connection */

/* Connections of one address or destination. Exists while a caller holds or awaits one, and a while
 * longer for an address whose host greeted us. */
struct counter {
	struct counter *next;
	unsigned open, idle;
	unsigned references;
	unsigned welcome;	/* those open that the host greeted */
	bool lived;	/* it ever greeted one */
	int64_t lived_ms;	/* when one was there last */
	unsigned allowed;	/* learnt at learnt_ms; 0: no limit is known */
	int64_t learnt_ms;
	int64_t rest_until_ms;
	TAILQ_ENTRY(counter) lingering;	/* without references */
	int64_t left_ms;	/* since when */
	char key[];
};

TAILQ_HEAD(counters, counter);

struct waiter {
	struct waiter *next, *previous;
	struct counter *ip, *domain;	/* domain is NULL without a limit */
	unsigned domain_limit;
	bool granted;
	pthread_cond_t granted_now;
};

struct conn_limit {
	pthread_mutex_t lock;
	unsigned open, idle, max_open, max_per_host;
	struct counter *buckets[BUCKETS];
	struct counters lingering;	/* first: those that have no reference for the longest */
	size_t lingering_count;
	struct waiter *first, *last;	/* in the order of arrival */
};

struct conn_limit *
conn_limit_new(unsigned max_deliveries, unsigned max_per_host)
{
	struct conn_limit *limit = xcalloc(1, sizeof(*limit));

	if (pthread_mutex_init(&limit->lock, NULL) != 0)
		abort();
	limit->max_open = max_deliveries;
	limit->max_per_host = max_per_host;
	TAILQ_INIT(&limit->lingering);
	return limit;
}

static struct counter **
find(struct conn_limit *limit, const char *key)
{
	struct counter **at;

	for (at = &limit->buckets[hash_text(key) % BUCKETS]; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->key, key) == 0)
			break;
	return at;
}

static void
counter_free(struct conn_limit *limit, struct counter *counter)
{
	*find(limit, counter->key) = counter->next;
	free(counter);
}

static void
unlinger(struct conn_limit *limit, struct counter *counter)
{
	TAILQ_REMOVE(&limit->lingering, counter, lingering);
	limit->lingering_count--;
}

/* Those that have lingered long enough, or are too many. */
static void
let_go(struct conn_limit *limit, int64_t now_ms)
{
	struct counter *first;

	while ((first = TAILQ_FIRST(&limit->lingering)) != NULL &&
	    (limit->lingering_count > LIMIT_LINGERING_ADDRESSES ||
		now_ms - first->left_ms >= LINGER_MS)) {
		unlinger(limit, first);
		counter_free(limit, first);
	}
}

void
conn_limit_free(struct conn_limit *limit)
{
	if (limit == NULL)
		return;
	let_go(limit, INT64_MAX);
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

static struct counter *
counter_get(struct conn_limit *limit, const char *key)
{
	struct counter **at = find(limit, key);
	size_t size = strlen(key) + 1;

	if (*at == NULL) {
		*at = xcalloc(1, sizeof(**at) + size);
		memcpy((*at)->key, key, size);
	} else if ((*at)->references == 0) {
		unlinger(limit, *at);
	}
	(*at)->references++;
	return *at;
}

static void
counter_drop(struct conn_limit *limit, struct counter *counter)
{
	if (counter == NULL || --counter->references > 0)
		return;
	if (!counter->lived) {
		counter_free(limit, counter);
		return;
	}
	counter->left_ms = clock_monotonic_ms();
	TAILQ_INSERT_TAIL(&limit->lingering, counter, lingering);
	limit->lingering_count++;
	let_go(limit, counter->left_ms);
}

static void
ip_key(const struct ip *ip, char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX])
{
	char text[IP_TEXT_MAX];

	ip_format(ip, text);
	snprintf(key, sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX, "%s%s", IP_KEY_PREFIX, text);
}

/* Connections to one address. */
static unsigned
limit_of(const struct conn_limit *limit, const struct counter *of_ip)
{
	int64_t grown;

	if (of_ip->allowed == 0)
		return limit->max_per_host;
	grown = of_ip->allowed + (clock_monotonic_ms() - of_ip->learnt_ms) / GROW_MS;
	return grown < limit->max_per_host ? (unsigned)grown : limit->max_per_host;
}

static bool
fits(const struct conn_limit *limit, const struct waiter *waiter)
{
	if (waiter->ip->rest_until_ms > 0 && waiter->ip->rest_until_ms > clock_monotonic_ms())
		return false;
	return limit->open < limit->max_open && waiter->ip->open < limit_of(limit, waiter->ip) &&
	    (waiter->domain_limit == 0 || waiter->domain->open < waiter->domain_limit);
}

static void
grant(struct conn_limit *limit, struct waiter *waiter)
{
	limit->open++;
	metrics_add(METRIC_CONNECTIONS_OPEN, NULL, 1);
	waiter->ip->open++;
	waiter->domain->open++;
	waiter->granted = true;
}

static void
enqueue(struct conn_limit *limit, struct waiter *waiter)
{
	waiter->previous = limit->last;
	*(limit->last != NULL ? &limit->last->next : &limit->first) = waiter;
	limit->last = waiter;
}

static void
dequeue(struct conn_limit *limit, struct waiter *waiter)
{
	*(waiter->previous != NULL ? &waiter->previous->next : &limit->first) = waiter->next;
	*(waiter->next != NULL ? &waiter->next->previous : &limit->last) = waiter->previous;
}

/* The longest waiting caller among those whose limits leave room gets the slot, so that no caller
 * waits without need. */
static void
grant_to_the_first_that_fits(struct conn_limit *limit)
{
	struct waiter *waiter, *next;

	for (waiter = limit->first; waiter != NULL; waiter = next) {
		next = waiter->next;
		if (limit->open >= limit->max_open)
			break;
		if (!fits(limit, waiter))
			continue;
		dequeue(limit, waiter);
		grant(limit, waiter);
		pthread_cond_signal(&waiter->granted_now);
	}
}

static bool
asked_and_gone(struct conn_limit *limit, bool (*gone)(void *context), void *context)
{
	bool answer;

	if (gone == NULL)
		return false;
	/* The callback may hold locks of its own. */
	pthread_mutex_unlock(&limit->lock);
	answer = gone(context);
	pthread_mutex_lock(&limit->lock);
	return answer;
}

static void
wait_in_line(struct conn_limit *limit, struct waiter *waiter, struct deadline deadline,
    bool (*gone)(void *context), void *context)
{
	struct timespec until;

	enqueue(limit, waiter);
	while (!waiter->granted && !deadline_passed(deadline) &&
	    !asked_and_gone(limit, gone, context) && !waiter->granted) {
		until = deadline_timespec(deadline_earlier(deadline, deadline_in(WAIT_LOOK_MS)));
		pthread_cond_timedwait(&waiter->granted_now, &limit->lock, &until);
		/* A limit that was learnt grows while nothing is given back. */
		if (!waiter->granted && waiter->ip->allowed > 0)
			grant_to_the_first_that_fits(limit);
	}
	if (!waiter->granted)
		dequeue(limit, waiter);
}

static void
waiter_init(struct conn_limit *limit, struct waiter *waiter, const struct ip *ip,
    const char *domain, unsigned domain_limit)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];

	memset(waiter, 0, sizeof(*waiter));
	thread_condition(&waiter->granted_now);
	ip_key(ip, key);
	waiter->ip = counter_get(limit, key);
	waiter->domain = counter_get(limit, domain);
	waiter->domain_limit = domain_limit;
}

bool
conn_limit_take(struct conn_limit *limit, const struct ip *ip, const char *domain,
    unsigned domain_limit, struct deadline deadline, bool (*gone)(void *context), void *context)
{
	struct waiter waiter;

	pthread_mutex_lock(&limit->lock);
	waiter_init(limit, &waiter, ip, domain, domain_limit);
	if (fits(limit, &waiter)) {
		grant(limit, &waiter);
	} else {
		metrics_add(METRIC_CONNECTIONS_WAITING, NULL, 1);
		wait_in_line(limit, &waiter, deadline, gone, context);
		metrics_add(METRIC_CONNECTIONS_WAITING, NULL, -1);
	}
	if (!waiter.granted) {
		counter_drop(limit, waiter.ip);
		counter_drop(limit, waiter.domain);
	}
	pthread_mutex_unlock(&limit->lock);
	pthread_cond_destroy(&waiter.granted_now);
	return waiter.granted;
}

/* Of a target with a slot or an idle connection. */
static struct counter *
counter_held(struct conn_limit *limit, const char *key)
{
	struct counter *counter = *find(limit, key);

	if (counter == NULL)
		abort();
	return counter;
}

static void
shift(struct conn_limit *limit, struct counter *counter, int open, int idle)
{
	counter->open += (unsigned)open;
	counter->idle += (unsigned)idle;
	if (open + idle < 0)
		counter_drop(limit, counter);
}

/* The caller holds the lock. */
static void
change(struct conn_limit *limit, const struct ip *ip, const char *domain, int open, int idle)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];
	struct counter *of_ip, *of_domain;

	ip_key(ip, key);
	of_ip = counter_held(limit, key);
	of_domain = counter_held(limit, domain);
	if ((open < 0 && (of_ip->open == 0 || of_domain->open == 0)) ||
	    (idle < 0 && (of_ip->idle == 0 || of_domain->idle == 0)))
		abort();
	shift(limit, of_ip, open, idle);
	shift(limit, of_domain, open, idle);
	limit->open += (unsigned)open;
	limit->idle += (unsigned)idle;
	metrics_add(METRIC_CONNECTIONS_OPEN, NULL, open + idle);
}

void
conn_limit_set_limits(struct conn_limit *limit, unsigned max_deliveries, unsigned max_per_host)
{
	pthread_mutex_lock(&limit->lock);
	limit->max_open = max_deliveries;
	limit->max_per_host = max_per_host;
	grant_to_the_first_that_fits(limit);
	pthread_mutex_unlock(&limit->lock);
}

void
conn_limit_welcome(struct conn_limit *limit, const struct ip *ip)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];
	struct counter *of_ip;

	ip_key(ip, key);
	pthread_mutex_lock(&limit->lock);
	of_ip = counter_held(limit, key);
	of_ip->welcome++;
	of_ip->lived = true;
	of_ip->lived_ms = clock_monotonic_ms();
	pthread_mutex_unlock(&limit->lock);
}

static void
ended(struct counter *of_ip)
{
	of_ip->lived_ms = clock_monotonic_ms();
	if (of_ip->allowed > 0)
		of_ip->rest_until_ms = of_ip->lived_ms + REST_MS;
}

static void
leave(struct counter *of_ip)
{
	if (of_ip->welcome == 0)
		abort();
	of_ip->welcome--;
	ended(of_ip);
}

void
conn_limit_leave(struct conn_limit *limit, const struct ip *ip)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];

	ip_key(ip, key);
	pthread_mutex_lock(&limit->lock);
	leave(counter_held(limit, key));
	pthread_mutex_unlock(&limit->lock);
}

/* Several that are turned away together leave one after the other, and each lowers it by one. */
static void
lower(const struct conn_limit *limit, struct counter *of_ip, unsigned others)
{
	unsigned most = others > 0 ? others : 1;

	if (most < limit_of(limit, of_ip) || of_ip->allowed == 0)
		of_ip->allowed = most;
	else
		of_ip->allowed = limit_of(limit, of_ip);
	of_ip->learnt_ms = clock_monotonic_ms();
	of_ip->rest_until_ms = of_ip->learnt_ms + REST_MS;
}

enum conn_limit_refusal
conn_limit_refused(struct conn_limit *limit, const struct ip *ip)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];
	enum conn_limit_refusal refusal = CONN_LIMIT_REFUSAL_OF_ALL;
	struct counter *of_ip;
	unsigned others;

	ip_key(ip, key);
	pthread_mutex_lock(&limit->lock);
	of_ip = counter_held(limit, key);
	/* Those that wait for their greeting may have it already. */
	others = of_ip->open - 1 + of_ip->idle;
	if (others > 0)
		refusal = CONN_LIMIT_REFUSAL_OF_MORE;
	else if (of_ip->lived && clock_monotonic_ms() - of_ip->lived_ms < LIVED_MS)
		refusal = CONN_LIMIT_REFUSAL_FOR_NOW;
	if (refusal != CONN_LIMIT_REFUSAL_OF_ALL)
		lower(limit, of_ip, others);
	pthread_mutex_unlock(&limit->lock);
	return refusal;
}

void
conn_limit_give(struct conn_limit *limit, const struct ip *ip, const char *domain)
{
	pthread_mutex_lock(&limit->lock);
	change(limit, ip, domain, -1, 0);
	grant_to_the_first_that_fits(limit);
	pthread_mutex_unlock(&limit->lock);
}

void
conn_limit_park(struct conn_limit *limit, const struct ip *ip, const char *domain)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];
	struct counter *of_ip;

	ip_key(ip, key);
	pthread_mutex_lock(&limit->lock);
	of_ip = counter_held(limit, key);
	if (of_ip->welcome > 0)
		of_ip->welcome--;
	change(limit, ip, domain, -1, 1);
	grant_to_the_first_that_fits(limit);
	pthread_mutex_unlock(&limit->lock);
}

void
conn_limit_unpark(struct conn_limit *limit, const struct ip *ip, const char *domain)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];

	ip_key(ip, key);
	pthread_mutex_lock(&limit->lock);
	counter_held(limit, key)->lived_ms = clock_monotonic_ms();
	change(limit, ip, domain, 0, -1);
	pthread_mutex_unlock(&limit->lock);
}

enum conn_limit_excess
conn_limit_excess(struct conn_limit *limit, const struct ip *ip, const char *domain,
    unsigned domain_limit)
{
	char key[sizeof(IP_KEY_PREFIX) + IP_TEXT_MAX];
	enum conn_limit_excess excess = CONN_LIMIT_EXCESS_NONE;
	const struct counter *of_ip, *of_domain;

	ip_key(ip, key);
	pthread_mutex_lock(&limit->lock);
	of_ip = counter_held(limit, key);
	of_domain = counter_held(limit, domain);
	if (of_ip->open + of_ip->idle > limit_of(limit, of_ip))
		excess = CONN_LIMIT_EXCESS_IP;
	else if (domain_limit > 0 && of_domain->open + of_domain->idle > domain_limit)
		excess = CONN_LIMIT_EXCESS_DOMAIN;
	else if (limit->open + limit->idle > limit->max_open)
		excess = CONN_LIMIT_EXCESS_PROCESS;
	pthread_mutex_unlock(&limit->lock);
	return excess;
}
