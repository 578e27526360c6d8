/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The source of perf events, with the library on top, over real events of this
 * kernel. The guest is the test itself, and its event is guest_event.h's. Hardware
 * events are the matter of perf_event_guest.c.
 */
#include "fixture.h"

int main(void)
{
	int failed = 0;

	failed += run_sampling_tests();
	failed += run_alarm_tests();
	failed += run_binding_tests();
	failed += run_hardware_tests();
	failed += run_trouble_tests();
	failed += run_move_tests();
	failed += run_random_tests();
	failed += run_signal_tests();
	failed += run_entry_tests();
	return failed ? 1 : 0;
}
