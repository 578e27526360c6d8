/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See pump.h. One thread, one poll: neither direction may wait for the other.
 */
#define _GNU_SOURCE
#include "pump.h"
#include "phases.h"
#include "terminal.h"
#include "tools/init/wire.h"
#include "tools/util.h"

#include <errno.h>
#include <glib.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * timeout(1) sends its signal to its child and then to the group that both are in; a terminal's
 * user who means it twice takes longer.
 */
#define SAME_SIGNAL (G_USEC_PER_SEC / 2)

/* Typed so often within a second, the terminal's interrupt character ends it all. */
#define INTERRUPTS 3

enum progress {
	BOOTING,     /* the guest is silent */
	PREPARING,   /* it has, or gets, its job */
	RUNNING,     /* the job runs */
	BRINGING_OUT /* the job has ended */
};

enum written { WRITTEN, CLOSED /* nobody reads it any more */, STOPPED /* by a signal */ };

struct pump {
	int guest;
	const struct pump_host *host;
	enum progress progress;
	enum pump_end end;
	int status;
	char in[sizeof(struct wire_header) + WIRE_MAX];
	size_t have;
	GString *out;   /* frames for the guest */
	bool closed[2]; /* stderr, stdout: nobody reads it any more */
	bool input;     /* stdin has not ended */
	bool wanted;    /* the job has taken what it was sent, and may have more */
	int signals;    /* so many have been seen, ... */
	gint64 first;   /* ... the first of them then; 0: none */
	gint64 interrupts[INTERRUPTS];
};

static void queue(struct pump *pump, enum wire_type type, const void *data, size_t size)
{
	const struct wire_header header = { .type = (uint8_t)type, .size = (uint16_t)size };

	g_string_append_len(pump->out, (const char *)&header, sizeof(header));
	g_string_append_len(pump->out, data, (gssize)size);
}

/* --- signals ------------------------------------------------------------------------------- */

/* The first is the job's, if that runs. False: all is to end. */
static bool take_signals(struct pump *pump)
{
	const struct pump_signals *signals = pump->host->signals;
	int32_t number = signals->number;
	gint64 now = g_get_monotonic_time();

	if (signals->count == pump->signals)
		return true;
	pump->signals = signals->count;
	if (pump->first && now - pump->first < SAME_SIGNAL)
		return true;
	if (pump->first || pump->progress != RUNNING || (number != SIGINT && number != SIGTERM))
		return false;
	pump->first = now;
	if (number == SIGTERM && pump->host->instead_of_term)
		number = pump->host->instead_of_term;
	queue(pump, WIRE_SIGNAL, &number, sizeof(number));
	return true;
}

/* Who reads may have stopped for good; after a signal we wait for him no more than a second. */
static bool wait_for_room(struct pump *pump, int fd)
{
	static const struct timespec second = { .tv_sec = 1 };
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	for (;;) {
		int ready = ppoll(&room, 1, pump->first ? &second : NULL, pump->host->mask);

		if (ready > 0)
			return true;
		if (!take_signals(pump) || (!ready && pump->first))
			return false;
	}
}

/* --- from the guest ------------------------------------------------------------------------ */

/* Where poll finds room, a pipe has so much of it that PIPE_BUF bytes do not block. */
static enum written write_all(struct pump *pump, int fd, const char *data, size_t size)
{
	while (size) {
		ssize_t n;

		if (!wait_for_room(pump, fd))
			return STOPPED;
		n = write(fd, data, size < PIPE_BUF ? size : PIPE_BUF);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return CLOSED;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return WRITTEN;
}

/* Each returns false if nothing more is taken, with the reason in end. */
static bool take_output(struct pump *pump, const struct wire_header *header, const char *data)
{
	bool is_stdout = header->type == WIRE_STDOUT;
	int fd = is_stdout ? STDOUT_FILENO : STDERR_FILENO;

	if (pump->host->printed)
		pump->host->printed(fd, data, header->size);
	if (pump->closed[is_stdout])
		return true;
	switch (write_all(pump, fd, data, header->size)) {
	case WRITTEN:
		return true;
	case CLOSED:
		pump->closed[is_stdout] = true;
		queue(pump, WIRE_CLOSED, &header->type, sizeof(header->type));
		return true;
	case STOPPED:
		break;
	}
	pump->end = PUMP_INTERRUPTED;
	return false;
}

static bool take_status(struct pump *pump, const struct wire_header *header, const char *data)
{
	int32_t value;

	pump->end = header->size == sizeof(value) ? PUMP_STATUS : PUMP_NONSENSE;
	if (pump->end == PUMP_STATUS) {
		memcpy(&value, data, sizeof(value));
		pump->status = value;
	}
	return false;
}

/* In frames of which the last one is empty. */
static void queue_all(struct pump *pump, enum wire_type type, const char *data, size_t size)
{
	for (size_t at = 0, part; at < size; at += part) {
		part = size - at < WIRE_MAX ? size - at : WIRE_MAX;
		queue(pump, type, data + at, part);
	}
	queue(pump, type, "", 0);
}

/* What the guest's clock is set by comes when it can set it. */
static void queue_now(struct pump *pump)
{
	struct timespec now;
	char *words;

	clock_gettime(CLOCK_REALTIME, &now);
	words = text("now=%lld.%09ld", (long long)now.tv_sec, now.tv_nsec);
	queue(pump, WIRE_JOB, words, strlen(words) + 1);
	g_free(words);
}

static void queue_seed(struct pump *pump)
{
	unsigned char bytes[WIRE_SEED];
	GString *words = g_string_new("seed=");

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		fail("no random numbers: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(bytes); i++)
		g_string_append_printf(words, "%02x", bytes[i]);
	queue(pump, WIRE_JOB, words->str, words->len + 1);
	g_string_free(words, TRUE);
}

static void queue_job(struct pump *pump)
{
	const struct pump_host *host = pump->host;

	queue_now(pump);
	queue_seed(pump);
	queue_all(pump, WIRE_JOB, host->job, host->job_size);
	queue_all(pump, WIRE_AHEAD, host->ahead, host->ahead_size);
	if (!host->input)
		queue(pump, WIRE_STDIN, "", 0);
}

/* The guest's first two words, each at its time. */
static bool take_progress(struct pump *pump, enum progress from, enum progress to)
{
	pump->end = PUMP_NONSENSE;
	if (pump->progress != from)
		return false;
	pump->progress = to;
	if (to == PREPARING) {
		phases_end("QEMU and the guest start");
		if (pump->host->waits)
			pump->host->waits();
		queue_job(pump);
	}
	return true;
}

/* A phase of the guest's own, for --verbose. */
static bool take_phase(struct pump *pump, const struct wire_header *header, const char *data)
{
	struct wire_phase phase;

	pump->end = PUMP_NONSENSE;
	if (header->size != sizeof(phase) || pump->progress > PREPARING)
		return false;
	memcpy(&phase, data, sizeof(phase));
	phase.name[sizeof(phase.name) - 1] = '\0';
	phases_guest(phase.name, phase.nanoseconds);
	return true;
}

static bool take_frame(struct pump *pump, const struct wire_header *header, const char *data)
{
	switch (header->type) {
	case WIRE_HELLO:
		return take_progress(pump, BOOTING, PREPARING);
	case WIRE_PHASE:
		return take_phase(pump, header, data);
	case WIRE_STARTED:
		phases_end("the guest prepares");
		return take_progress(pump, PREPARING, RUNNING);
	case WIRE_ENDED:
		phases_end("the command runs");
		terminal_leave();
		return take_progress(pump, RUNNING, BRINGING_OUT);
	case WIRE_MORE:
		pump->wanted = true;
		return true;
	case WIRE_STDOUT:
	case WIRE_STDERR:
		return take_output(pump, header, data);
	case WIRE_STATUS:
		return take_status(pump, header, data);
	case WIRE_ERROR:
		terminal_leave();
		warn("%.*s", (int)header->size, data);
		pump->end = PUMP_ERROR;
		return false;
	default:
		pump->end = PUMP_NONSENSE;
		return pump->progress == BRINGING_OUT &&
		       bring_out_take(pump->host->bring_out, header->type, data, header->size);
	}
}

/* Take the whole frames there are. */
static bool take_frames(struct pump *pump)
{
	struct wire_header header;
	size_t at = 0;

	while (pump->have - at >= sizeof(header)) {
		memcpy(&header, pump->in + at, sizeof(header));
		if (header.size > WIRE_MAX) {
			pump->end = PUMP_NONSENSE;
			return false;
		}
		if (pump->have - at < sizeof(header) + header.size)
			break;
		if (!take_frame(pump, &header, pump->in + at + sizeof(header)))
			return false;
		at += sizeof(header) + header.size;
	}
	memmove(pump->in, pump->in + at, pump->have - at);
	pump->have -= at;
	return true;
}

/* As far as is known. */
static bool is_restoring(const struct pump *pump)
{
	return pump->host->restored && pump->progress == PREPARING;
}

static bool receive(struct pump *pump)
{
	ssize_t n = recv(pump->guest, pump->in + pump->have, sizeof(pump->in) - pump->have,
			 MSG_DONTWAIT);

	if (n > 0)
		pump->have += (size_t)n;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		pump->end = is_restoring(pump) ? PUMP_NOT_RESTORED : PUMP_GONE;
		return false;
	}
	return take_frames(pump);
}

/* --- to the guest -------------------------------------------------------------------------- */

static void send_out(struct pump *pump)
{
	ssize_t n = send(pump->guest, pump->out->str, pump->out->len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		g_string_erase(pump->out, 0, n);
}

/* The guest may hang: what is typed has to be able to end it. */
static bool asks_to_end(struct pump *pump, const char *data, size_t size)
{
	gint64 *times = pump->interrupts, now = g_get_monotonic_time();

	for (size_t i = 0; i < size; i++) {
		if (!terminal_is_interrupt(data[i]))
			continue;
		memmove(times, times + 1, (INTERRUPTS - 1) * sizeof(*times));
		times[INTERRUPTS - 1] = now;
		if (times[0] && now - times[0] <= G_USEC_PER_SEC)
			return true;
	}
	return false;
}

/* One more frame of input; its end is a frame too. */
static bool read_input(struct pump *pump)
{
	char data[WIRE_MAX];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	pump->wanted = false;
	pump->input = n > 0;
	queue(pump, WIRE_STDIN, data, n > 0 ? (size_t)n : 0);
	if (n <= 0 || !asks_to_end(pump, data, (size_t)n))
		return true;
	pump->host->signals->number = SIGINT;
	pump->end = PUMP_INTERRUPTED;
	return false;
}

static void take_size(struct pump *pump)
{
	struct wire_window window;

	if (!pump->host->signals->resized || pump->progress != RUNNING)
		return;
	pump->host->signals->resized = 0;
	if (pump->host->terminal && terminal_size(&window))
		queue(pump, WIRE_WINDOW, &window, sizeof(window));
}

/* --- the pump ------------------------------------------------------------------------------ */

/* One wait, and what has come of it. False: it is over. */
static bool step(struct pump *pump)
{
	static const struct timespec second = { .tv_sec = 1 };
	bool reads = pump->input && pump->wanted && terminal_may_read();
	struct pollfd fds[] = {
		{ .fd = pump->guest, .events = (short)(POLLIN | (pump->out->len ? POLLOUT : 0)) },
		{ .fd = reads ? STDIN_FILENO : -1, .events = POLLIN },
	};
	bool silent = pump->progress == BOOTING || is_restoring(pump);
	bool ticks = silent || (pump->input && pump->wanted && !reads);
	int ready;

	/* When we are in the terminal's foreground, which may come late. */
	if (reads && pump->host->terminal)
		terminal_enter();
	ready = ppoll(fds, 2, ticks ? &second : NULL, pump->host->mask);

	if (!take_signals(pump)) {
		pump->end = PUMP_INTERRUPTED;
		return false;
	}
	take_size(pump);
	if (ready <= 0 && silent && pump->host->is_dead()) {
		pump->end = is_restoring(pump) ? PUMP_NOT_RESTORED : PUMP_SILENT;
		return false;
	}
	if (ready <= 0)
		return true;
	if (fds[1].revents && !read_input(pump))
		return false;
	if (pump->out->len && (fds[0].revents & POLLOUT))
		send_out(pump);
	return !(fds[0].revents & (POLLIN | POLLHUP | POLLERR)) || receive(pump);
}

enum pump_end pump(int guest, const struct pump_host *host, int *status)
{
	static struct pump pump;

	pump = (struct pump){ .guest = guest, .host = host, .input = host->input };
	pump.out = g_string_new(NULL);
	if (host->restored) {
		pump.progress = PREPARING;
		queue_job(&pump);
	}
	while (step(&pump))
		;
	terminal_leave();
	g_string_free(pump.out, TRUE);
	*status = pump.status;
	return pump.end;
}
