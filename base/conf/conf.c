/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * From a file to a conf: conf_text checks the syntax, the table knows its keys, libconfuse reads
 * its values, and each lands in its field in the order of the file, so that the first mistake is
 * the one reported.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <confuse.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/host_name.h"
#include "base/conf/conf.h"
#include "base/conf/conf_kind.h"
#include "base/conf/conf_table.h"
#include "base/conf/conf_text.h"
#include "base/conf/conf_value.h"

struct conf_box {
	struct conf conf;	/* first: conf_free() goes back from it */
	struct arena *arena;	/* of the box too */
};

/* What a section of the file, or its top, stands for. */
struct place {
	const struct conf_section *section;
	cfg_t *tree;
	void *base;	/* where the keys' offsets count from */
};

struct load {
	const char *path;	/* of the file, for people */
	struct arena *scratch;
	struct arena *arena;	/* the conf's own */
	struct conf *conf;
	struct conf_text text;
	struct place top;
	struct place *places;	/* one an entry, used for sections */
	cfg_t *tree;
	struct conf_fault fault;
};

/* 0, or an errno. */
static int
read_file(const char *path, struct buf *octets)
{
	char chunk[16384];
	size_t got;
	int error = 0;
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return errno;
	while (error == 0 && (got = fread(chunk, 1, sizeof(chunk), file)) > 0) {
		buf_add(octets, chunk, got);
		if (octets->length > CONF_TEXT_MAX)
			error = EFBIG;
	}
	if (error == 0 && ferror(file))
		error = errno;
	(void)fclose(file);
	return error;
}

static const struct place *
place_around(const struct load *load, const struct conf_entry *entry)
{
	return entry->parent < 0 ? &load->top : &load->places[entry->parent];
}

/* The section called name directly within around, or NULL. */
static const struct conf_section *
section_within(struct load *load, const struct conf_section *around, const char *name)
{
	const char *path = around->path[0] == '\0'
	    ? name
	    : arena_printf(load->scratch, "%s.%s", around->path, name);

	return conf_section_find(path);
}

static int
refuse_unknown(struct load *load, const struct conf_entry *entry, const struct conf_section *around)
{
	const char *in = around->path[0] == '\0' ? "" : " in section ", *where;
	size_t i;

	if (entry->shape == CONF_SECTION)
		return conf_fault_set(&load->fault, entry->line, "unknown section \"%.100s\"%s%s",
		    entry->name, in, around->path);
	for (i = 0; i < conf_key_count; i++) {
		if (strcmp(conf_keys[i].name, entry->name) != 0)
			continue;
		where = conf_keys[i].section[0] == '\0' ? "outside of all sections" : "in section ";
		return conf_fault_set(&load->fault, entry->line,
		    "unknown key \"%s\"%s%s: it belongs %s%s", entry->name, in, around->path, where,
		    conf_keys[i].section);
	}
	return conf_fault_set(&load->fault, entry->line, "unknown key \"%.100s\"%s%s", entry->name,
	    in, around->path);
}

static int
check_section_entry(struct load *load, const struct conf_entry *entry,
    const struct conf_section *section)
{
	if (entry->shape != CONF_SECTION)
		return conf_fault_set(&load->fault, entry->line,
		    "%s is a section: \"{\" must follow it", section->path);
	if (section->titled && entry->title == NULL)
		return conf_fault_set(&load->fault, entry->line,
		    "section %s must have a title: %s \"example.com\" {", section->path,
		    entry->name);
	if (!section->titled && entry->title != NULL)
		return conf_fault_set(&load->fault, entry->line, "section %s takes no title",
		    section->path);
	return 0;
}

static int
check_key_entry(struct load *load, const struct conf_entry *entry, const struct conf_key *key)
{
	if (entry->shape == CONF_SECTION)
		return conf_fault_set(&load->fault, entry->line,
		    "%s is a key: \"=\" must follow it", entry->name);
	if (entry->shape == CONF_LIST && !key->kind->list)
		return conf_fault_set(&load->fault, entry->line, "%s takes one value, not a list",
		    entry->name);
	return 0;
}

/* Every name of the file is known and used as what it is. */
static int
check_entries(struct load *load)
{
	size_t i;

	load->places = arena_array(load->scratch, load->text.count + 1, sizeof(*load->places));
	for (i = 0; i < load->text.count; i++) {
		const struct conf_entry *entry = &load->text.entries[i];
		const struct conf_section *around = place_around(load, entry)->section;
		const struct conf_section *section = section_within(load, around, entry->name);
		const struct conf_key *key = conf_key_find(around->path, entry->name);

		load->places[i].section = section;
		if (section == NULL && key == NULL)
			return refuse_unknown(load, entry, around);
		if (section != NULL ? check_section_entry(load, entry, section) != 0
				    : check_key_entry(load, entry, key) != 0)
			return -1;
	}
	return 0;
}

/* A word as libconfuse keeps it for us. */
struct kept_word {
	int line;
	char text[];
};

static int
keep_word(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	size_t length = strlen(value);
	struct kept_word *word = xmalloc(sizeof(*word) + length + 1);

	(void)opt;
	word->line = cfg->line;
	memcpy(word->text, value, length + 1);
	*(void **)result = word;
	return 0;
}

static void
stay_silent(cfg_t *cfg, const char *format, va_list args)
{
	(void)cfg;
	(void)format;
	(void)args;
}

/* libconfuse's own table of one section, made from ours. */
static cfg_opt_t *
make_options(struct load *load, const struct conf_section *around)
{
	cfg_opt_t *options = arena_array(load->scratch, conf_key_count + conf_section_count + 1,
	    sizeof(*options));
	cfg_opt_t *option = options;
	size_t i;

	for (i = 0; i < conf_key_count; i++) {
		if (strcmp(conf_keys[i].section, around->path) != 0)
			continue;
		option->name = conf_keys[i].name;
		option->type = CFGT_PTR;
		option->flags = CFGF_NODEFAULT | (conf_keys[i].kind->list ? CFGF_LIST : CFGF_NONE);
		option->parsecb = keep_word;
		option->freecb = free;
		option++;
	}
	for (i = 1; i < conf_section_count; i++) {
		const struct conf_section *section = &conf_sections[i];
		const char *dot = strrchr(section->path, '.');
		const char *name = dot == NULL ? section->path : dot + 1;

		if (section_within(load, around, name) != section)
			continue;
		option->name = name;
		option->type = CFGT_SEC;
		option->flags = section->titled ? CFGF_MULTI : CFGF_NONE;
		option->subopts = make_options(load, section);
		option++;
	}
	return options;
}

static int
parse_values(struct load *load)
{
	load->tree = cfg_init(make_options(load, load->top.section), CFGF_NONE);
	if (load->tree == NULL)
		abort();
	load->top.tree = load->tree;
	(void)cfg_set_error_function(load->tree, stay_silent);
	if (cfg_parse_buf(load->tree, load->text.clean) == CFG_SUCCESS)
		return 0;
	return conf_fault_set(&load->fault, load->tree->line, "libconfuse cannot read this");
}

static int
set_key(const struct conf_given *given, void *base)
{
	const struct conf_key *key = given->key;

	return key->kind->set(given, (char *)base + key->at, (char *)base + key->also);
}

/* The default's words; those of a list are separated by blanks. */
static void
take_default(struct load *load, struct conf_given *given)
{
	const char *at = given->key->fallback, *end;
	struct conf_word *words = arena_array(load->scratch, strlen(at) + 1, sizeof(*words));

	given->words = words;
	given->count = 0;
	if (!given->key->kind->list) {
		words[given->count++].text = at;
		return;
	}
	for (; *at != '\0'; at = end + strspn(end, " ")) {
		end = strchrnul(at, ' ');
		words[given->count++].text = arena_strndup(load->scratch, at, (size_t)(end - at));
	}
}

static int
set_defaults(struct load *load, const struct conf_section *section, void *base)
{
	struct conf_given given = { .arena = load->arena, .fault = &load->fault };
	size_t i;

	for (i = 0; i < conf_key_count; i++) {
		if (strcmp(conf_keys[i].section, section->path) != 0)
			continue;
		given.key = &conf_keys[i];
		take_default(load, &given);
		if (set_key(&given, base) != 0)
			return -1;
	}
	return 0;
}

static struct conf_given
given_at(struct load *load, const struct conf_entry *entry)
{
	const struct place *around = place_around(load, entry);
	cfg_opt_t *option = cfg_getopt(around->tree, entry->name);
	unsigned i, count = cfg_opt_size(option);
	struct conf_word *words = arena_array(load->scratch, count + 1, sizeof(*words));

	for (i = 0; i < count; i++) {
		const struct kept_word *kept = cfg_opt_getnptr(option, i);

		words[i].text = kept->text;
		words[i].line = kept->line;
	}
	return (struct conf_given){ .key = conf_key_find(around->section->path, entry->name),
		.words = words,
		.count = count,
		.line = entry->line,
		.arena = load->arena,
		.fault = &load->fault };
}

static int
refuse_title(struct load *load, const struct conf_entry *entry)
{
	return conf_fault_set(&load->fault, entry->line, "%s \"%.100s\": must be a domain name%s",
	    entry->name, entry->title,
	    strcmp(entry->name, "destination") != 0 ? " or \".\""
						    : ", *. and a domain name, or \".\"");
}

static int
enter_zone(struct load *load, const struct conf_entry *entry, struct place *place)
{
	struct conf_zone *zone = &load->conf->dns.zones[load->conf->dns.zone_count];
	struct domain name = { "" };

	place->tree = cfg_getnsec(place_around(load, entry)->tree, entry->name,
	    (unsigned)load->conf->dns.zone_count++);
	place->base = zone;
	if (strcmp(entry->title, ".") != 0 && conf_host(entry->title, &name) != 0)
		return refuse_title(load, entry);
	zone->name = arena_strdup(load->arena, name.name);
	return set_defaults(load, place->section, zone);
}

static int
enter_destination(struct load *load, const struct conf_entry *entry, struct place *place)
{
	struct conf_destination *destination =
	    &load->conf->destinations[load->conf->destination_count];
	char pattern[CONF_PATTERN_MAX];

	destination->where = arena_printf(load->arena, "%s:%d", load->path, entry->line);
	place->tree = cfg_getnsec(place_around(load, entry)->tree, entry->name,
	    (unsigned)load->conf->destination_count++);
	place->base = destination;
	if (conf_pattern(entry->title, true, pattern) != 0)
		return refuse_title(load, entry);
	destination->name = arena_strdup(load->arena, pattern);
	return set_defaults(load, place->section, destination);
}

static int
enter_section(struct load *load, const struct conf_entry *entry, struct place *place)
{
	if (!place->section->titled) {
		place->tree = cfg_getsec(place_around(load, entry)->tree, entry->name);
		place->base = load->conf;
		return 0;
	}
	return strcmp(place->section->path, "destination") == 0
	    ? enter_destination(load, entry, place)
	    : enter_zone(load, entry, place);
}

static size_t
count_sections(const struct load *load, const char *path)
{
	size_t count = 0, i;

	for (i = 0; i < load->text.count; i++)
		if (load->places[i].section != NULL &&
		    strcmp(load->places[i].section->path, path) == 0)
			count++;
	return count;
}

static int
set_values(struct load *load)
{
	struct conf *conf = load->conf;
	size_t i;

	conf->dns.zones = arena_array(load->arena, count_sections(load, "dns.zone") + 1,
	    sizeof(*conf->dns.zones));
	conf->destinations = arena_array(load->arena, count_sections(load, "destination") + 1,
	    sizeof(*conf->destinations));
	for (i = 0; i < load->text.count; i++) {
		const struct conf_entry *entry = &load->text.entries[i];
		struct conf_given given;

		if (load->places[i].section != NULL) {
			if (enter_section(load, entry, &load->places[i]) != 0)
				return -1;
			continue;
		}
		given = given_at(load, entry);
		if (set_key(&given, place_around(load, entry)->base) != 0)
			return -1;
	}
	return 0;
}

/* Checks of a value that need the others. */
static int
check_values(struct load *load)
{
	size_t i, word;

	for (i = 0; i < load->text.count; i++) {
		const struct conf_entry *entry = &load->text.entries[i];
		struct conf_given given;
		const char *why;

		if (load->places[i].section != NULL)
			continue;
		given = given_at(load, entry);
		for (word = 0; given.key->check != NULL && word < given.count; word++)
			if ((why = given.key->check(load->conf, word)) != NULL)
				return conf_given_refuse(&given, word, "%s", why);
	}
	return 0;
}

static int
check_zones(struct load *load)
{
	size_t i;

	for (i = 0; i < load->text.count; i++) {
		const struct place *place = &load->places[i];

		if (place->section != NULL && strcmp(place->section->path, "dns.zone") == 0 &&
		    ((const struct conf_zone *)place->base)->server_count == 0)
			return conf_fault_set(&load->fault, load->text.entries[i].line,
			    "zone \"%s\": must have name servers in servers",
			    load->text.entries[i].title);
	}
	return 0;
}

struct title {
	const char *name;	/* as the conf has it */
	const struct conf_entry *entry;
};

static int
compare_titles(const void *one, const void *other)
{
	const struct title *a = one, *b = other;
	int by_name = strcmp(a->name, b->name);

	return by_name != 0 ? by_name : (a->entry > b->entry) - (a->entry < b->entry);
}

static const char *
name_of(const struct place *place)
{
	return strcmp(place->section->path, "destination") == 0
	    ? ((const struct conf_destination *)place->base)->name
	    : ((const struct conf_zone *)place->base)->name;
}

/* No two titles of the sections at path that mean the same domain. */
static int
check_titles(struct load *load, const char *path)
{
	size_t room = count_sections(load, path) + 1, count = 0, i;
	struct title *titles = arena_array(load->scratch, room, sizeof(*titles));
	const struct title *repeat = NULL;

	for (i = 0; i < load->text.count; i++) {
		const struct place *place = &load->places[i];

		if (place->section == NULL || strcmp(place->section->path, path) != 0)
			continue;
		titles[count].name = name_of(place);
		titles[count++].entry = &load->text.entries[i];
	}
	qsort(titles, count, sizeof(*titles), compare_titles);
	for (i = 1; i < count; i++)
		if (strcmp(titles[i].name, titles[i - 1].name) == 0 &&
		    (repeat == NULL || titles[i].entry < repeat->entry))
			repeat = &titles[i];
	if (repeat == NULL)
		return 0;
	return conf_fault_set(&load->fault, repeat->entry->line,
	    "%s \"%.100s\" is the same as \"%.100s\" in line %d", repeat->entry->name,
	    repeat->entry->title, repeat[-1].entry->title, repeat[-1].entry->line);
}

static int
compare_destinations(const void *one, const void *other)
{
	const struct conf_destination *a = one, *b = other;

	return strcmp(a->name, b->name);
}

static int
set_host_name(struct load *load)
{
	struct domain domain;

	if (load->conf->hostname != NULL)
		return 0;
	if (host_name(&domain) != 0)
		return conf_fault_set(&load->fault, 0,
		    "the system's name for this host is not a host name: set hostname");
	load->conf->hostname = arena_strdup(load->arena, domain.name);
	return 0;
}

static int
load_text(struct load *load, const struct buf *octets)
{
	size_t i;

	load->top.section = conf_section_find("");
	load->top.base = load->conf;
	if (conf_text_read(load->scratch, buf_text(octets), octets->length, &load->text,
		&load->fault) != 0 ||
	    check_entries(load) != 0 || parse_values(load) != 0)
		return -1;
	for (i = 0; i < conf_section_count; i++)
		if (!conf_sections[i].titled &&
		    set_defaults(load, &conf_sections[i], load->conf) != 0)
			return -1;
	if (set_values(load) != 0 || check_values(load) != 0 || check_zones(load) != 0 ||
	    check_titles(load, "dns.zone") != 0 || check_titles(load, "destination") != 0)
		return -1;
	qsort(load->conf->destinations, load->conf->destination_count,
	    sizeof(*load->conf->destinations), compare_destinations);
	return set_host_name(load);
}

static void
write_fault(const struct conf_fault *fault, const char *path, FILE *errors)
{
	if (fault->line > 0)
		(void)fprintf(errors, "%s:%d: %s\n", path, fault->line, fault->text);
	else
		(void)fprintf(errors, "%s: %s\n", path, fault->text);
}

struct conf *
conf_load(const char *path, FILE *errors)
{
	struct load load = { .path = path, .scratch = arena_new(), .arena = arena_new() };
	struct conf_box *box = arena_alloc(load.arena, sizeof(*box));
	struct buf octets = { 0 };
	char reason[128];
	int error = read_file(path, &octets);

	box->arena = load.arena;
	load.conf = &box->conf;
	if (error == EFBIG)
		(void)conf_fault_set(&load.fault, 0, "larger than %d octets", CONF_TEXT_MAX);
	else if (error != 0)
		(void)conf_fault_set(&load.fault, 0, "%s",
		    strerror_r(error, reason, sizeof(reason)));
	else
		error = load_text(&load, &octets);
	if (error != 0) {
		write_fault(&load.fault, path, errors);
		conf_free(load.conf);
		load.conf = NULL;
	}
	if (load.tree != NULL)
		(void)cfg_free(load.tree);
	buf_free(&octets);
	arena_free(load.scratch);
	return load.conf;
}

void
conf_free(struct conf *conf)
{
	if (conf != NULL)
		arena_free(((struct conf_box *)conf)->arena);
}
