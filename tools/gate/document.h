/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Reading vpmu gate's TOML files: each failure is one line that names the file, and what is right.
 * Writing the texts of them.
 */
#ifndef VPMU_TOOLS_GATE_DOCUMENT_H
#define VPMU_TOOLS_GATE_DOCUMENT_H

#include "process/args.h"

#include <jansson.h>
#include <stdint.h>

/* The file as an object. */
json_t *document_read(const char *path);

/* Fails if the object has a key that is not among these, which end with NULL. where: its name. */
void document_check_keys(const char *path, const char *where, json_t *object,
			 const char *const *keys);

/* Values of an object; NULL or 0 if there are none. They fail if they are of another type. */
json_t *document_table(const char *path, json_t *object, const char *key);
const char *document_text(const char *path, json_t *object, const char *key);
uint64_t document_number(const char *path, json_t *object, const char *key);
/* A list of texts; or one text, which a shell is to read. */
void document_command(const char *path, json_t *object, const char *key, struct args *words);

/* A text in quotes, for a key or a value. */
char *document_quote(const char *text);

#endif
