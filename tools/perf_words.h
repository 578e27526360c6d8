/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading the words that perf is given, as far as vpmu perf has to know what perf will do.
 */
#ifndef VPMU_TOOLS_PERF_WORDS_H
#define VPMU_TOOLS_PERF_WORDS_H

#include "process/args.h"

#include <stdbool.h>

/*
 * words: the perf command and all behind it. What is behind "--" is not perf's; without "--"
 * nobody but perf knows where its own options end, and all words are read as if they were its.
 */

/*
 * Add the values of an option to *values: of -letter, if there is a letter for it, and of --name,
 * which may be shortened.
 */
void perf_words_values(char *const *words, char letter, const char *name, struct args *values);

bool perf_words_have(char *const *words, const char *word);

/* Are there events, and all of them those of user space (-e cycles:u, --all-user)? */
bool perf_words_user_only(char *const *words);

#endif
