/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The subcommands: one file each, or a folder. argv[0] is the subcommand's name; argv ends
 * with NULL. Each returns the exit status of vpmu.
 */
#ifndef VPMU_TOOLS_COMMANDS_H
#define VPMU_TOOLS_COMMANDS_H

int command_run(int argc, char **argv);
int command_perf(int argc, char **argv);
int command_exec(int argc, char **argv);
int command_gate(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_replay(int argc, char **argv);
int command_info(int argc, char **argv);

/* Their usage texts, as --help prints them. */
extern const char run_usage[];
extern const char perf_usage[];
extern const char exec_usage[];
extern const char gate_usage[];
extern const char bench_usage[];
extern const char replay_usage[];
extern const char info_usage[];

#endif
