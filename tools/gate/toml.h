/* SPDX-License-Identifier: BSD-2-Clause
 *
 * TOML files as JSON, which the rest of vpmu gate reads.
 */
#ifndef VPMU_TOOLS_GATE_TOML_H
#define VPMU_TOOLS_GATE_TOML_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The text of a TOML document as that of a JSON one; allocated by malloc(). NULL: it is no TOML,
 * and *error says what is wrong in which line (allocated, too).
 */
char *toml_to_json(const char *toml, char **error);

#ifdef __cplusplus
}
#endif

#endif
