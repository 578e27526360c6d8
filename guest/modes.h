/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What modes.c and modes.S share: selectors, and the places below 1 MiB that
 * code of all modes reaches. No declarations: assembly includes it too.
 */
#ifndef MODES_H
#define MODES_H

/* Behind those of layout.h and the processors' task states. */
#define SEL_CODE16      0x70
#define SEL_DATA16      0x78
#define SEL_USER_CODE32 (0x80 | 3)
#define SEL_USER_CODE16 (0x88 | 3)
#define SEL_USER_DATA16 (0x90 | 3)
#define SEL_TSS32       0x98
#define SELECTORS_END   0xa0

/* One segment of 64 KiB for all 16-bit code, with its data. */
#define LOW         0x10000
#define LOW_SEGMENT 0x1000
#define LOW_VECTORS 0x1000 /* offsets in it */
#define LOW_STACK   0xe000
#define LOW_REQUEST 0xf000

/* struct request */
#define REQUEST_EAX    0
#define REQUEST_EBX    4
#define REQUEST_ECX    8
#define REQUEST_EDX    12
#define REQUEST_FLAGS  16
#define REQUEST_TURNS  20
#define REQUEST_ENTRY  24
#define REQUEST_VECTOR 28
#define REQUEST_ERROR  32
#define REQUEST_IP     36
#define REQUEST_CS     40
#define REQUEST_BOUNDS 44

#define VECTOR_LEAVE 0x80

#endif
