/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Argument lists of programs. Memory is GLib's: a program that has none left ends.
 */
#ifndef VPMU_PROCESS_ARGS_H
#define VPMU_PROCESS_ARGS_H

#include <stddef.h>

/* A list of words that grows, with NULL behind the last one. Starts as all zero. */
struct args {
	char **v;
	size_t count;
};

/* Append a copy of a word. */
void args_add(struct args *args, const char *word);
void args_add_format(struct args *args, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Append copies of all words of a list that ends with NULL. */
void args_add_all(struct args *args, char *const *words);
void args_free(struct args *args);

/* A text as part of an option's value: QEMU splits those at single commas. Allocated. */
char *args_double_commas(const char *text);

#endif
