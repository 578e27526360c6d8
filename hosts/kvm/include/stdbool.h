/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * <stdbool.h> of a kernel.
 */
#include <linux/types.h>
