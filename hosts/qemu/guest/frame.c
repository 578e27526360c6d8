/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See frame.h.
 */
#include "frame.h"
#include "registers.h"
#include "x86.h"

#define PF_FETCH 0x10 /* page fault error code, I/D: the fetch faulted */

static bool read_real_frame(struct frame *frame)
{
	uint64_t sp = reg_read(GUEST_SP);
	uint16_t words[3];

	if (!guest_read((reg_read(GUEST_SS) << 4) + (sp & UINT16_MAX), words, sizeof(words)))
		return false;
	*frame = (struct frame){ GUINT16_FROM_LE(words[0]),
				 GUINT16_FROM_LE(words[1]),
				 GUINT16_FROM_LE(words[2]) |
					 (reg_read(GUEST_FLAGS) & ~(uint64_t)UINT16_MAX),
				 (sp & ~(uint64_t)UINT16_MAX) | ((sp + 6) & UINT16_MAX),
				 0,
				 false };
	return true;
}

static bool read_long_frame(struct frame *frame)
{
	uint64_t words[5];

	if (!guest_read(reg_read(GUEST_SP), words, sizeof(words)))
		return false;
	*frame = (struct frame){ GUINT64_FROM_LE(words[0]), GUINT64_FROM_LE(words[1]),
				 GUINT64_FROM_LE(words[2]), GUINT64_FROM_LE(words[3]),
				 GUINT64_FROM_LE(words[4]), true };
	return true;
}

static bool read_protected_frame(struct frame *frame)
{
	uint64_t sp = reg_read(GUEST_SP);
	uint32_t words[5];

	if (!guest_read(sp, words, 12))
		return false;
	*frame = (struct frame){ GUINT32_FROM_LE(words[0]),
				 GUINT32_FROM_LE(words[1]),
				 GUINT32_FROM_LE(words[2]),
				 sp + 12,
				 0,
				 false };
	if ((frame->cs & 3) == (reg_read(GUEST_CS) & 3))
		return true;
	if (!guest_read(sp, words, sizeof(words)))
		return false;
	frame->sp = GUINT32_FROM_LE(words[3]);
	frame->ss = GUINT32_FROM_LE(words[4]);
	frame->switched = true;
	return true;
}

bool frame_read(struct frame *frame)
{
	if (reg_read(GUEST_EFER) & EFER_LMA)
		return read_long_frame(frame);
	if (!(reg_read(GUEST_CR0) & CR0_PE))
		return read_real_frame(frame);
	return read_protected_frame(frame);
}

void frame_clear_step(void)
{
	uint64_t sp = reg_read(GUEST_SP);
	uint64_t value = 0;
	size_t size = 4;

	if (reg_read(GUEST_EFER) & EFER_LMA) {
		sp += 16;
	} else if (reg_read(GUEST_CR0) & CR0_PE) {
		sp += 8;
	} else {
		sp = (reg_read(GUEST_SS) << 4) + (sp & UINT16_MAX) + 4;
		size = 2;
	}
	if (!guest_read(sp, &value, size))
		return;
	value &= ~GUINT64_TO_LE(FLAGS_TF);
	guest_write(sp, &value, size);
}

enum level frame_level(const struct frame *frame)
{
	if (frame->flags & FLAGS_VM)
		return LEVEL_USER;
	return reg_read(GUEST_CR0) & CR0_PE && frame->cs & 3 ? LEVEL_USER : LEVEL_KERNEL;
}

bool frame_is_fetch_fault(uint64_t ip)
{
	uint64_t words[2];

	return reg_read(GUEST_EFER) & EFER_LMA &&
	       guest_read(reg_read(GUEST_SP), words, sizeof(words)) &&
	       GUINT64_FROM_LE(words[1]) == ip && (GUINT64_FROM_LE(words[0]) & PF_FETCH);
}
