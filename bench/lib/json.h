/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What jansson leaves to those who use it for texts and measured numbers.
 */
#ifndef VPMU_BENCH_LIB_JSON_H
#define VPMU_BENCH_LIB_JSON_H

#include <jansson.h>
#include <stdio.h>

/* NULL becomes null. JSON is UTF-8 only: bytes that are not become U+FFFD. */
json_t *json_from_text(const char *text);
/* A whole number without a decimal point; one that is not finite becomes null. */
json_t *json_from_number(double number);
/* Indented, with a new line at its end. Frees the value. */
void json_print(FILE *file, json_t *value);

#endif
