/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Verdicts as TAP over the first serial line, and the guest's end. Not for
 * application processors: there is no lock.
 */
#include "guest.h"
#include <stdarg.h>

#define SERIAL             0x3f8
#define SERIAL_LINE_STATUS (SERIAL + 5)
#define SERIAL_EMPTY       0x20
#define DEBUG_EXIT         0xf4

unsigned int verdicts;
static unsigned int failed;

static void put(char c)
{
	while (!(inb(SERIAL_LINE_STATUS) & SERIAL_EMPTY))
		;
	outb(SERIAL, (uint8_t)c);
}

static void put_string(const char *s)
{
	while (*s)
		put(*s++);
}

static void put_number(uint64_t value, unsigned int base, unsigned int width, char fill)
{
	char digits[24];
	unsigned int n = 0;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	while (n < width && n < sizeof(digits))
		digits[n++] = fill;
	while (n)
		put(digits[--n]);
}

static void put_signed(int64_t value, unsigned int width, char fill)
{
	if (value < 0)
		put('-');
	put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 10, width, fill);
}

static void vprint(const char *f, va_list *args)
{
	for (; *f; f++) {
		unsigned int width = 0;
		bool is_long = false;
		char fill = ' ';

		if (*f != '%') {
			put(*f);
			continue;
		}
		if (*++f == '0')
			fill = *f++;
		for (; *f >= '0' && *f <= '9'; f++)
			width = width * 10 + (unsigned int)(*f - '0');
		if (*f == 'l') {
			is_long = true;
			f++;
		}
		switch (*f) {
		case 's':
			put_string(va_arg(*args, const char *));
			break;
		case 'c':
			put((char)va_arg(*args, int));
			break;
		case 'd':
			put_signed(is_long ? va_arg(*args, long) : va_arg(*args, int), width, fill);
			break;
		case 'u':
		case 'x':
			put_number(is_long ? va_arg(*args, unsigned long)
					   : va_arg(*args, unsigned int),
				   *f == 'x' ? 16 : 10, width, fill);
			break;
		case 'p':
			put_number((uintptr_t)va_arg(*args, void *), 16, width, fill);
			break;
		default:
			put(*f);
		}
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprint(format, &args);
	va_end(args);
}

static void verdict(bool holds, const char *sentence, va_list *args)
{
	print("%sok %u - ", holds ? "" : "not ", ++verdicts);
	vprint(sentence, args);
	put('\n');
	if (!holds)
		failed++;
}

bool ok(bool holds, const char *sentence, ...)
{
	va_list args;

	va_start(args, sentence);
	verdict(holds, sentence, &args);
	va_end(args);
	return holds;
}

bool is(uint64_t got, uint64_t wanted, const char *sentence, ...)
{
	va_list args;

	va_start(args, sentence);
	verdict(got == wanted, sentence, &args);
	va_end(args);
	if (got != wanted)
		print("# got %lu (%lx), wanted %lu (%lx)\n", got, got, wanted, wanted);
	return got == wanted;
}

void skip(const char *reason, const char *sentence)
{
	print("ok %u - %s # SKIP %s\n", ++verdicts, sentence, reason);
}

static _Noreturn void leave(uint8_t status)
{
	for (;;)
		outb(DEBUG_EXIT, status);
}

_Noreturn void finish(void)
{
	print("1..%u\n", verdicts);
	leave(failed ? 1 : 0);
}

_Noreturn void bail_out(const char *why)
{
	print("Bail out! %s\n", why);
	leave(2);
}
