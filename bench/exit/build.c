/* SPDX-License-Identifier: BSD-2-Clause
 *
 * One compilation's candidates of vpmu bench exit. EXIT_BUILD is the name that
 * the table gets; in the compilation with thunks it is the only one that is left
 * visible, so that both fit into one program.
 */
#include "host.h"

extern const struct exit_build EXIT_BUILD;

const struct exit_build EXIT_BUILD = {
	.candidates = { &exit_floor, &exit_walk, &exit_guard, &exit_mask, &exit_ours,
			&exit_ours_service },
};
