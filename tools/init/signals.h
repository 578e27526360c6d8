/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A signal for the job, as the terminal of this machine would have sent it.
 */
#ifndef VPMU_TOOLS_SIGNALS_H
#define VPMU_TOOLS_SIGNALS_H

/* To the foreground of the job's terminal, or to the job and what it has started. */
void signal_job(int number);

#endif
