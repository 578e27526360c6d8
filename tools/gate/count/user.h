/* SPDX-License-Identifier: BSD-2-Clause
 *
 * From root to the user whose command it is.
 */
#ifndef VPMU_TOOLS_GATE_USER_H
#define VPMU_TOOLS_GATE_USER_H

/* words: UID GID GROUP,... COMMAND... Becomes the command; or ends as a shell would. */
__attribute__((noreturn)) void start_as_user(char **words);

#endif
