/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See cache.h; docs/models.md is what this file has to agree with.
 */
#include "cache.h"
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define KIB            1024u
#define MIB            (1024u * KIB)
#define SIZE_MAX_BYTES (256u * MIB)
#define WAYS_MAX       64u
#define LINE_MIN       16u
#define LINE_MAX       4096u

/* Skylake server (Xeon Gold 6130: 16 slices of 1.375 MiB as the last level). */
const struct cache_config cache_config_default = { .level = {
							   [CACHE_L1I] = { 32 * KIB, 8, 64 },
							   [CACHE_L1D] = { 32 * KIB, 8, 64 },
							   [CACHE_L2] = { 1 * MIB, 16, 64 },
							   [CACHE_LLC] = { 22 * MIB, 11, 64 },
						   } };

static const char *const names[CACHE_COUNT] = { "l1i", "l1d", "l2", "llc" };

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* A decimal number of at most nine digits. 0 if there is none: no parameter may be 0. */
static uint32_t parse_number(const char **text)
{
	uint32_t value = 0;
	unsigned int digits = 0;

	for (; **text >= '0' && **text <= '9' && digits < 9; ++*text, digits++)
		value = value * 10 + (uint32_t)(**text - '0');
	return value;
}

static uint32_t parse_size(const char **text)
{
	uint64_t value = parse_number(text);

	if (**text == 'k' || **text == 'm') {
		value *= **text == 'k' ? KIB : MIB;
		++*text;
	}
	return value <= SIZE_MAX_BYTES ? (uint32_t)value : 0;
}

static bool parse_char(const char **text, char wanted)
{
	if (**text != wanted)
		return false;
	++*text;
	return true;
}

static const char *check(const struct cache_geometry *g)
{
	if (!is_power_of_two(g->line) || g->line < LINE_MIN || g->line > LINE_MAX)
		return "a line is a power of two from 16 to 4096 bytes";
	if (g->ways == 0 || g->ways > WAYS_MAX)
		return "there are 1 to 64 ways";
	if (g->size == 0)
		return "a size is at most 256m";
	if (g->size % (g->ways * g->line) || !is_power_of_two(g->size / (g->ways * g->line)))
		return "size / ways / line is the number of sets, which is a power of two";
	return NULL;
}

/* One NAME=SIZE:WAYS:LINE. */
static const char *parse_level(struct cache_config *config, const char **text)
{
	struct cache_geometry geometry;

	for (unsigned int i = 0; i < CACHE_COUNT; i++) {
		size_t length = strlen(names[i]);

		if (strncmp(*text, names[i], length) != 0 || (*text)[length] != '=')
			continue;
		*text += length + 1;
		geometry.size = parse_size(text);
		if (!parse_char(text, ':'))
			return "a cache is given as NAME=SIZE:WAYS:LINE";
		geometry.ways = parse_number(text);
		if (!parse_char(text, ':'))
			return "a cache is given as NAME=SIZE:WAYS:LINE";
		geometry.line = parse_number(text);
		config->level[i] = geometry;
		return check(&geometry);
	}
	return "the caches are l1i, l1d, l2 and llc";
}

const char *cache_config_parse(struct cache_config *config, const char *text)
{
	struct cache_config changed = *config;
	const char *error;

	do {
		error = parse_level(&changed, &text);
		if (error)
			return error;
	} while (parse_char(&text, '+'));
	if (*text)
		return "caches are separated by +";
	for (unsigned int i = 1; i < CACHE_COUNT; i++)
		if (changed.level[i].line != changed.level[0].line)
			return "all caches have lines of the same size";
	*config = changed;
	return NULL;
}

static size_t lines_of(const struct cache *cache)
{
	return (size_t)cache->sets * cache->ways;
}

bool caches_init(struct caches *c, const struct cache_config *config)
{
	*c = (struct caches){ .line_shift = 0 };
	while (UINT32_C(1) << c->line_shift < config->level[0].line)
		c->line_shift++;
	for (unsigned int i = 0; i < CACHE_COUNT; i++) {
		const struct cache_geometry *g = &config->level[i];
		struct cache *cache = &c->level[i];

		cache->ways = g->ways;
		cache->sets = g->size / g->line / g->ways;
		cache->lines = calloc(lines_of(cache), sizeof(uint64_t));
		if (!cache->lines) {
			caches_free(c);
			return false;
		}
	}
	return true;
}

void caches_free(struct caches *c)
{
	for (unsigned int i = 0; i < CACHE_COUNT; i++)
		free(c->level[i].lines);
	*c = (struct caches){ .line_shift = 0 };
}

void caches_reset(struct caches *c)
{
	for (unsigned int i = 0; i < CACHE_COUNT; i++)
		memset(c->level[i].lines, 0, lines_of(&c->level[i]) * sizeof(uint64_t));
}

/*
 * Make the line the most recently used one of its set. The ways before its old place
 * move down by one; if it was not there, all do, and the last one is evicted. Returns
 * whether it was there.
 */
static bool touch(struct cache *cache, uint64_t line)
{
	uint64_t *set = cache_set(cache, line);
	uint64_t tag = cache_tag(line);
	uint64_t moved = set[0];

	set[0] = tag;
	for (uint32_t way = 1; way < cache->ways && moved != tag; way++) {
		uint64_t next = set[way];

		set[way] = moved;
		moved = next;
	}
	return moved == tag;
}

enum cache_level caches_access(struct caches *c, enum cache_level first, uint64_t address)
{
	uint64_t line = caches_line(c, address);

	if (touch(&c->level[first], line))
		return first;
	if (touch(&c->level[CACHE_L2], line))
		return CACHE_L2;
	if (touch(&c->level[CACHE_LLC], line))
		return CACHE_LLC;
	return CACHE_MEMORY;
}
