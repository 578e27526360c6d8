/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
 *
 * <string.h> of a kernel.
 */
#include <linux/string.h>
