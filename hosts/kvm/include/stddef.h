/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * <stddef.h> of a kernel.
 */
#include <linux/stddef.h>
#include <linux/types.h>
