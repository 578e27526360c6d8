/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A model of a processor's caches, as docs/models.md defines it: two first levels, L2,
 * LLC, true LRU. It knows which lines are in which cache. It has neither data nor time.
 * Arithmetic only: no QEMU here.
 */
#ifndef VPMU_QEMU_CACHE_H
#define VPMU_QEMU_CACHE_H

#include <stdbool.h>
#include <stdint.h>

enum cache_level { CACHE_L1I, CACHE_L1D, CACHE_L2, CACHE_LLC, CACHE_COUNT };

/* Where an access found its line: in none of the caches. */
#define CACHE_MEMORY CACHE_COUNT

struct cache_geometry {
	uint32_t size; /* bytes: a power of two of sets, times ways, times line */
	uint32_t ways;
	uint32_t line; /* bytes, a power of two; the same at all levels */
};

struct cache_config {
	struct cache_geometry level[CACHE_COUNT];
};

extern const struct cache_config cache_config_default;

/*
 * Change a configuration by a text like "l1d=32k:8:64+l2=1m:16:64" (size, ways,
 * line). NULL, or what is wrong with it; the configuration is then unchanged.
 */
const char *cache_config_parse(struct cache_config *config, const char *text);

struct cache {
	uint64_t *lines; /* tags of each set, most recently used first; 0: empty */
	uint64_t sets;
	uint32_t ways;
};

struct caches {
	struct cache level[CACHE_COUNT];
	unsigned int line_shift;
};

/* False if there is no memory. Then there is nothing to free. */
bool caches_init(struct caches *c, const struct cache_config *config);
void caches_free(struct caches *c);
/* All empty: the state in which a model starts. */
void caches_reset(struct caches *c);

/*
 * One access to the line that address lies in, by way of CACHE_L1I or
 * CACHE_L1D. Returns where the line was found: first, CACHE_L2, CACHE_LLC or
 * CACHE_MEMORY. After it the line is in first, and in each level that missed.
 */
enum cache_level caches_access(struct caches *c, enum cache_level first, uint64_t address);

static inline uint64_t caches_line(const struct caches *c, uint64_t address)
{
	return address >> c->line_shift;
}

static inline uint64_t *cache_set(const struct cache *cache, uint64_t line)
{
	return &cache->lines[(line & (cache->sets - 1)) * cache->ways];
}

/* Not 0, which is an empty way. */
static inline uint64_t cache_tag(uint64_t line)
{
	return line + 1;
}

/* Is it the most recently used line of its set? Another access to it changes nothing then. */
static inline bool caches_is_most_recent(const struct caches *c, enum cache_level first,
					 uint64_t address)
{
	uint64_t line = caches_line(c, address);

	return *cache_set(&c->level[first], line) == cache_tag(line);
}

#endif
