/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pump.h. One thread, one poll: neither direction may wait for the other.
 */
#define _GNU_SOURCE
#include "pump.h"
#include "tools/init/wire.h"
#include "tools/util.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct buffer {
	char data[sizeof(struct wire_header) + WIRE_MAX];
	size_t have;
};

/* What ends a wait, whatever is waited for. */
struct stopper {
	const volatile sig_atomic_t *stop;
	const sigset_t *mask;
};

/* What the guest's frames come to. */
struct taker {
	struct stopper stopper;
	struct bring_out *bring_out;
	enum pump_end end;
	int status;
};

/* Where poll finds room, a pipe has so much of it that PIPE_BUF bytes do not block. */
static bool write_all(int fd, const char *data, size_t size, const struct stopper *stopper)
{
	while (size) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (*stopper->stop)
			return false;
		if (ppoll(&room, 1, NULL, stopper->mask) <= 0)
			continue;
		n = write(fd, data, size < PIPE_BUF ? size : PIPE_BUF);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return true;
}

/* Each returns false if nothing more is taken, with the reason in end. */
static bool take_output(const struct wire_header *header, const char *data, struct taker *taker)
{
	int fd = header->type == WIRE_STDOUT ? STDOUT_FILENO : STDERR_FILENO;

	if (write_all(fd, data, header->size, &taker->stopper))
		return true;
	taker->end = *taker->stopper.stop ? PUMP_INTERRUPTED : PUMP_CLOSED;
	return false;
}

static bool take_status(const struct wire_header *header, const char *data, struct taker *taker)
{
	int32_t value;

	taker->end = header->size == sizeof(value) ? PUMP_STATUS : PUMP_NONSENSE;
	if (taker->end == PUMP_STATUS) {
		memcpy(&value, data, sizeof(value));
		taker->status = value;
	}
	return false;
}

static bool take_frame(const struct wire_header *header, const char *data, struct taker *taker)
{
	switch (header->type) {
	case WIRE_STDOUT:
	case WIRE_STDERR:
		return take_output(header, data, taker);
	case WIRE_STATUS:
		return take_status(header, data, taker);
	case WIRE_ERROR:
		warn("%.*s", (int)header->size, data);
		taker->end = PUMP_ERROR;
		return false;
	default:
		taker->end = PUMP_NONSENSE;
		return bring_out_take(taker->bring_out, header->type, data, header->size);
	}
}

/* Take the whole frames there are. */
static bool take_frames(struct buffer *in, struct taker *taker)
{
	struct wire_header header;
	size_t at = 0;

	while (in->have - at >= sizeof(header)) {
		memcpy(&header, in->data + at, sizeof(header));
		if (header.size > WIRE_MAX) {
			taker->end = PUMP_NONSENSE;
			return false;
		}
		if (in->have - at < sizeof(header) + header.size)
			break;
		if (!take_frame(&header, in->data + at + sizeof(header), taker))
			return false;
		at += sizeof(header) + header.size;
	}
	memmove(in->data, in->data + at, in->have - at);
	in->have -= at;
	return true;
}

/* One more frame of input. Returns false at its end, which is a frame too. */
static bool read_input(struct buffer *out)
{
	struct wire_header header = { .type = WIRE_STDIN };
	ssize_t n = read(STDIN_FILENO, out->data + sizeof(header), WIRE_MAX);

	if (n < 0 && errno == EINTR)
		return true;
	header.size = (uint16_t)(n < 0 ? 0 : n);
	memcpy(out->data, &header, sizeof(header));
	out->have = sizeof(header) + header.size;
	return n > 0;
}

static void send_input(int guest, struct buffer *out)
{
	ssize_t n = send(guest, out->data, out->have, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n <= 0)
		return;
	memmove(out->data, out->data + n, out->have - (size_t)n);
	out->have -= (size_t)n;
}

/* Returns false at the end of the guest's stream. */
static bool receive(int guest, struct buffer *in)
{
	ssize_t n = recv(guest, in->data + in->have, sizeof(in->data) - in->have, MSG_DONTWAIT);

	if (n > 0)
		in->have += (size_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

enum pump_end pump(int guest, bool input, struct bring_out *bring_out,
		   const volatile sig_atomic_t *stop, const sigset_t *mask, int *status)
{
	static struct buffer in, out;
	struct taker taker = { .stopper = { .stop = stop, .mask = mask }, .bring_out = bring_out };

	if (!input) {
		const struct wire_header nothing = { .type = WIRE_STDIN };

		memcpy(out.data, &nothing, sizeof(nothing));
		out.have = sizeof(nothing);
	}
	while (!*stop) {
		struct pollfd fds[] = {
			{ .fd = guest, .events = (short)(POLLIN | (out.have ? POLLOUT : 0)) },
			{ .fd = input && !out.have ? STDIN_FILENO : -1, .events = POLLIN },
		};

		if (ppoll(fds, 2, NULL, mask) < 0)
			continue;
		if (fds[1].revents)
			input = read_input(&out);
		if (out.have && (fds[0].revents & POLLOUT))
			send_input(guest, &out);
		if (!(fds[0].revents & (POLLIN | POLLHUP | POLLERR)))
			continue;
		if (!receive(guest, &in))
			return PUMP_GONE;
		if (!take_frames(&in, &taker)) {
			*status = taker.status;
			return taker.end;
		}
	}
	return PUMP_INTERRUPTED;
}
