/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "base/endpoint.h"
#include "integration/milter/milter_route.h"

static bool
starts_with(const char *text, const char *start)
{
	return strncasecmp(text, start, strlen(start)) == 0;
}

/* A chrooted Postfix names a path from its queue directory on, so that only the end is equal. */
static bool
names_path(const char *path, const char *text)
{
	size_t whole = strlen(path), part = strlen(text);

	if (part == 0 || part > whole || strcmp(path + whole - part, text) != 0)
		return false;
	return part == whole || text[0] == '/' || path[whole - part - 1] == '/';
}

/* "[127.0.0.1]:2424" and "127.0.0.1:2424" are one. */
static bool
same_without_brackets(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, "[]");
		b += strspn(b, "[]");
		if (*a != *b)
			return false;
		if (*a == '\0')
			return true;
		a++;
		b++;
	}
}

/* host: "inet:127.0.0.1:2424", "[127.0.0.1]:2424" or "unix:stsgate/lmtp.sock". */
static bool
names_listener(const struct endpoint *endpoint, const char *host)
{
	const char *path = endpoint_path(endpoint);

	if (path != NULL)
		return starts_with(host, "unix:") && names_path(path, host + 5);
	return same_without_brackets(strchr(endpoint->text, ':') + 1,
	    starts_with(host, "inet:") ? host + 5 : host);
}

static bool
hands_over_to_us(const struct milter_rcpt *rcpt, const struct conf_listener *lmtp)
{
	if (rcpt->mailer == NULL || starts_with(rcpt->mailer, "stsgate"))
		return true;
	for (size_t i = 0; i < lmtp->count; i++)
		if (rcpt->host != NULL && names_listener(&lmtp->listen[i], rcpt->host))
			return true;
	return false;
}

static bool
delivers_by_smtp(const char *mailer)
{
	return strcasestr(mailer, "smtp") != NULL || strcasecmp(mailer, "relay") == 0;
}

/* What follows the last '@', up to '>' where the address stands in <>. */
static bool
domain_of_address(const char *address, struct domain *domain)
{
	const char *at = strrchr(address, '@');

	return at != NULL && domain_parse(at + 1, strcspn(at + 1, ">"), domain) == 0;
}

/* "example.com", "example.com." or "example.com:587". A host in brackets has no MX and no policy
 * of the recipient's. */
static bool
domain_of_host(const char *host, struct domain *domain)
{
	return host[0] != '[' && domain_parse(host, strcspn(host, ":"), domain) == 0;
}

bool
milter_route(const struct milter_rcpt *rcpt, const struct conf_listener *lmtp,
    struct domain *domain)
{
	bool by_address = hands_over_to_us(rcpt, lmtp);

	if (!by_address && !delivers_by_smtp(rcpt->mailer))
		return false;
	if (!by_address && rcpt->host != NULL && rcpt->host[0] != '\0')
		return domain_of_host(rcpt->host, domain);
	if (rcpt->address != NULL && strchr(rcpt->address, '@') != NULL)
		return domain_of_address(rcpt->address, domain);
	return domain_of_address(rcpt->argument, domain);
}
