/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf/conf_value.h"

/* Digits from text on: where they end, or NULL for none or too many. */
static const char *
take_digits(const char *text, uint64_t *number)
{
	const char *at;

	*number = 0;
	for (at = text; *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
			return NULL;
	}
	return at == text ? NULL : at;
}

int
conf_number(const char *text, uint64_t *number)
{
	uint64_t value;
	const char *end = take_digits(text, &value);

	if (end == NULL || *end != '\0')
		return -1;
	*number = value;
	return 0;
}

/* A number and one of the letters of units, each standing for its factor. */
static int
scaled(const char *text, const char *units, const uint64_t *factors, uint64_t *result)
{
	uint64_t value;
	const char *end = take_digits(text, &value), *unit;

	if (end == NULL || *end == '\0' || end[1] != '\0')
		return -1;
	unit = strchr(units, *end);
	if (unit == NULL || __builtin_mul_overflow(value, factors[unit - units], &value))
		return -1;
	*result = value;
	return 0;
}

int
conf_duration(const char *text, int64_t *ms)
{
	static const uint64_t factors[] = { 1000, 60 * 1000, 3600 * 1000, 86400 * 1000 };
	uint64_t value;

	if (scaled(text, "smhd", factors, &value) != 0 || value > INT64_MAX)
		return -1;
	*ms = (int64_t)value;
	return 0;
}

int
conf_size(const char *text, uint64_t *octets)
{
	static const uint64_t factors[] = { 1024, 1024 * 1024 };

	return conf_number(text, octets) == 0 ? 0 : scaled(text, "KM", factors, octets);
}

int
conf_flag(const char *text, bool *flag)
{
	static const char *const yes[] = { "true", "yes", "on" };
	static const char *const no[] = { "false", "no", "off" };
	size_t i;

	for (i = 0; i < 3; i++) {
		if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
			*flag = strcmp(text, yes[i]) == 0;
			return 0;
		}
	}
	return -1;
}

int
conf_mode(const char *text, mode_t *mode)
{
	const char *digits = text[0] == '0' ? text + 1 : text;

	if (strlen(digits) != 3 || strspn(digits, "01234567") != 3)
		return -1;
	*mode = (mode_t)((digits[0] - '0') << 6 | (digits[1] - '0') << 3 | (digits[2] - '0'));
	return 0;
}

/* text up to end into copy; false when there is no room. */
static bool
copy_until(const char *text, const char *end, char *copy, size_t room)
{
	size_t length = (size_t)(end - text);

	if (length >= room)
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return true;
}

static bool
host_bits_clear(const struct conf_block *block)
{
	int bit, all = block->ip.v6 ? 128 : 32;

	for (bit = block->bits; bit < all; bit++)
		if ((block->ip.octets[bit / 8] & (0x80 >> (bit % 8))) != 0)
			return false;
	return true;
}

int
conf_block(const char *text, struct conf_block *block, const char **why)
{
	char address[IP_TEXT_MAX];
	const char *slash = strchrnul(text, '/');
	uint64_t bits;

	*why = "must be an address or a block as 192.0.2.0/24 or 2001:db8::/32";
	if (!copy_until(text, slash, address, sizeof(address)) ||
	    ip_parse(address, &block->ip) != 0)
		return -1;
	bits = block->ip.v6 ? 128 : 32;
	block->bits = (int)bits;
	if (*slash == '\0')
		return 0;
	if (conf_number(slash + 1, &bits) != 0 || bits > (uint64_t)block->bits)
		return -1;
	block->bits = (int)bits;
	*why = "must have only zeros after the block's length";
	return host_bits_clear(block) ? 0 : -1;
}

static int
take_port(const char *text, uint16_t *port)
{
	uint64_t number;

	if (conf_number(text, &number) != 0 || number < 1 || number > 65535)
		return -1;
	*port = (uint16_t)number;
	return 0;
}

int
conf_server(const char *text, struct conf_server *server)
{
	char address[IP_TEXT_MAX];
	const char *at = strchrnul(text, '@');

	server->port = 53;
	if (*at == '@' && take_port(at + 1, &server->port) != 0)
		return -1;
	return copy_until(text, at, address, sizeof(address)) ? ip_parse(address, &server->ip) : -1;
}

/* "[ADDRESS]" at text: where it ends, or NULL. */
static const char *
take_literal(const char *text, struct conf_place *place)
{
	const char *end = strchr(text, ']');
	struct ip ip;

	if (end == NULL || !copy_until(text + 1, end, place->host, IP_TEXT_MAX) ||
	    ip_parse(place->host, &ip) != 0)
		return NULL;
	ip_format(&ip, place->host);
	place->literal = place->bracketed = true;
	return end + 1;
}

static const char *
take_name(const char *text, struct conf_place *place)
{
	const char *end = strchrnul(text, ':');
	struct domain host;
	struct ip ip;

	if (copy_until(text, end, place->host, IP_TEXT_MAX) && ip_parse(place->host, &ip) == 0) {
		place->literal = true;
		return end;
	}
	if (domain_parse(text, (size_t)(end - text), &host) != 0)
		return NULL;
	memcpy(place->host, host.name, sizeof(place->host));
	return end;
}

int
conf_place(const char *text, struct conf_place *place, const char **why)
{
	struct conf_place taken = { .port = 0 };
	struct ip ip;
	const char *end;

	*why = "must have its IPv6 address in brackets";
	if (ip_parse(text, &ip) == 0 && ip.v6)
		return -1;
	*why = text[0] == '[' ? "must have an IPv4 or IPv6 address in the brackets"
			      : "must be a host name, or an address in brackets";
	end = text[0] == '[' ? take_literal(text, &taken) : take_name(text, &taken);
	if (end == NULL)
		return -1;
	*why = "must end there, or with a colon and a port from 1 to 65535";
	if (*end != '\0' && (*end != ':' || take_port(end + 1, &taken.port) != 0))
		return -1;
	*place = taken;
	return 0;
}

int
conf_host(const char *text, struct domain *host)
{
	struct ip ip;

	return ip_parse(text, &ip) == 0 ? -1 : domain_parse(text, strlen(text), host);
}

int
conf_pattern(const char *text, bool root_allowed, char pattern[CONF_PATTERN_MAX])
{
	bool wild = strncmp(text, "*.", 2) == 0;
	struct domain domain;

	if (root_allowed && strcmp(text, ".") == 0) {
		(void)strcpy(pattern, ".");
		return 0;
	}
	if (wild)
		text += 2;
	if (conf_host(text, &domain) != 0)
		return -1;
	(void)snprintf(pattern, CONF_PATTERN_MAX, "%s%s", wild ? "*." : "", domain.name);
	return 0;
}

/* IANA's SMTP Service Extensions, so that a typo is found. */
bool
conf_is_ehlo_keyword(const char *text)
{
	static const char *const registered[] = { "8BITMIME", "ATRN", "AUTH", "BINARYMIME", "BURL",
		"CHECKPOINT", "CHUNKING", "CONNEG", "CONPERM", "DELIVERBY", "DSN",
		"ENHANCEDSTATUSCODES", "ETRN", "EXPN", "FUTURERELEASE", "HELP", "LIMITS",
		"MT-PRIORITY", "MTRK", "NO-SOLICITING", "ONEX", "PIPELINING", "REQUIRETLS", "RRVS",
		"SAML", "SEND", "SIZE", "SMTPUTF8", "SOML", "STARTTLS", "SUBMITTER", "TURN",
		"UTF8SMTP", "VERB", "VRFY", "XCLIENT", "XFORWARD" };
	size_t i;

	for (i = 0; i < sizeof(registered) / sizeof(registered[0]); i++)
		if (strcmp(text, registered[i]) == 0)
			return true;
	return false;
}

bool
conf_is_mail_address(const char *text)
{
	const char *at = strrchr(text, '@');
	struct domain domain;

	/* One address, in a header as in a command: nothing that would end it or begin another. */
	if (at == NULL || at == text || strpbrk(text, " <>,;:\"()[]\\") != NULL)
		return false;
	return conf_host(at + 1, &domain) == 0;
}

int
conf_proxy(const char *text, char *url, size_t room)
{
	static const char scheme[] = "http://";
	bool v6, is_url = strncasecmp(text, scheme, strlen(scheme)) == 0;
	const char *rest = is_url ? text + strlen(scheme) : text;
	const char *login_end = is_url ? strrchr(rest, '@') : NULL;
	char host_port[DOMAIN_MAX + 16];
	struct conf_place place;
	const char *host = login_end == NULL ? rest : login_end + 1;
	const char *end = host + strlen(host), *why;
	int written;

	if (is_url && end > host && end[-1] == '/')
		end--;
	if (strpbrk(rest, " /?#") != NULL && strpbrk(rest, " /?#") < end)
		return -1;
	if (!copy_until(host, end, host_port, sizeof(host_port)) ||
	    conf_place(host_port, &place, &why) != 0 || (place.port == 0 && !is_url))
		return -1;
	/* libcurl would take port 1080 for a URL without one. */
	v6 = strchr(place.host, ':') != NULL;
	written = snprintf(url, room, "%s%.*s%s%s%s:%u", scheme, (int)(host - rest), rest,
	    v6 ? "[" : "", place.host, v6 ? "]" : "", place.port == 0 ? 80u : place.port);
	return written > 0 && (size_t)written < room ? 0 : -1;
}

int
conf_file_error(const char *path)
{
	struct stat status;
	int error = 0, fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return errno;
	if (fstat(fd, &status) != 0)
		error = errno;
	else if (S_ISDIR(status.st_mode))
		error = EISDIR;
	(void)close(fd);
	return error;
}
