/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What a guest's Linux asks of a file system (FUSE: linux/fuse.h), and our answers.
 */
#ifndef VPMU_TOOLS_FILES_REQUESTS_H
#define VPMU_TOOLS_FILES_REQUESTS_H

#include "queue.h"

/* Answers it; returns how many bytes are written. */
uint32_t request_answer(const struct chain *chain);

#endif
