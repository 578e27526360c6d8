/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See bring_out.h.
 */
#define _GNU_SOURCE
#include "bring_out.h"
#include "tools/init/wire.h"
#include "tools/util.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Folders in folders; each takes a file descriptor. */
#define DEPTH_MAX 512

/* Of what could not be written: a guest can have any number of reasons. */
#define COMPLAINTS_MAX 10

/* A folder that is being filled. */
struct folder {
	int fd;
	bool made; /* by us: it gets its mode when it is complete */
	mode_t mode;
	size_t path; /* the length of the path to it */
};

struct file {
	bool begun; /* and not ended */
	int folder;
	int fd; /* -1: what comes of it is not written */
	char name[NAME_MAX + 1];
	char temporary[32];
	mode_t mode;
	mode_t wanted; /* the guest's */
	bool replaces; /* a file of this owner and this group */
	uid_t uid;
	gid_t gid;
};

struct bring_out {
	const struct args *named;
	bool *came;
	size_t current; /* which of the named comes now; named->count: none yet */
	int base;       /* the folder that the named one is in */
	struct folder folders[DEPTH_MAX];
	size_t depth;
	size_t skipped; /* folders that are entered and not written, in the last of those */
	struct file file;
	GString *path; /* of the last of the folders, for people */
	mode_t umask;
	unsigned int complaints;
	unsigned int temporaries;
};

static size_t without_slashes(const char *name)
{
	size_t length = strlen(name);

	while (length > 1 && name[length - 1] == '/')
		length--;
	return length;
}

/* Where a name's last component begins. A name that ends with "." or ".." or is "/" has none. */
static size_t last_component(const char *name, size_t length)
{
	size_t at = length;

	while (at && name[at - 1] != '/')
		at--;
	if ((length - at == 1 && name[at] == '.') ||
	    (length - at == 2 && !strncmp(name + at, "..", 2)))
		at = length;
	return at;
}

static char *folder_of(const char *name, size_t *last, size_t *length)
{
	*length = without_slashes(name);
	*last = last_component(name, *length);
	return *last ? text("%.*s", (int)*last, name) : text(".");
}

char *bring_out_real_name(const char *name)
{
	size_t last, length;
	char *folder = folder_of(name, &last, &length);
	char *real = realpath(folder, NULL);
	char *result;

	/* A folder that is not there may be one that the command makes. */
	if (!real)
		real = g_canonicalize_filename(folder, NULL);
	result = text("%s/%.*s", real, (int)(length - last), name + last);
	free(folder);
	free(real);
	return result;
}

struct bring_out *bring_out_new(const struct args *named)
{
	struct bring_out *bring_out = g_new0(struct bring_out, 1);

	bring_out->named = named;
	bring_out->came = g_new0(bool, named->count + 1);
	bring_out->current = named->count;
	bring_out->base = -1;
	bring_out->file.fd = -1;
	bring_out->path = g_string_new(NULL);
	bring_out->umask = umask(0);
	umask(bring_out->umask);
	return bring_out;
}

bool bring_out_came(const struct bring_out *bring_out, size_t which)
{
	return bring_out->came[which];
}

static void add_component(GString *path, const char *name)
{
	if (!strcmp(name, "."))
		return;
	if (path->len && path->str[path->len - 1] != '/')
		g_string_append_c(path, '/');
	g_string_append(path, name);
}

/* One line, whatever the guest has put into the name; "." is the folder itself. */
static void complain_of(struct bring_out *bring_out, const char *name, const char *what,
			const char *why)
{
	GString *shown;

	if (bring_out->complaints++ >= COMPLAINTS_MAX)
		return;
	shown = g_string_new(bring_out->path->str);
	add_component(shown, name);
	for (size_t i = 0; i < shown->len; i++)
		if ((unsigned char)shown->str[i] < ' ' || shown->str[i] == 0x7f)
			shown->str[i] = '?';
	warn("%s %s: %s", shown->len ? shown->str : ".", what, why);
	g_string_free(shown, TRUE);
}

static void complain(struct bring_out *bring_out, const char *name, const char *why)
{
	complain_of(bring_out, name, "cannot be brought out", why);
}

/* --- folders ------------------------------------------------------------------------------- */

static int last_folder(const struct bring_out *bring_out)
{
	return bring_out->depth ? bring_out->folders[bring_out->depth - 1].fd : bring_out->base;
}

/* O_NOFOLLOW: not through a symbolic link. */
static int open_folder(int in, const char *name, int flags)
{
	return openat(in, name, O_DIRECTORY | O_CLOEXEC | flags);
}

static const char *why_no_folder(int in, const char *name)
{
	struct stat st;
	int error = errno;

	if ((error == ENOTDIR || error == ELOOP) && !fstatat(in, name, &st, AT_SYMLINK_NOFOLLOW))
		return S_ISLNK(st.st_mode) ? "it is a symbolic link here" : "it is a file here";
	return strerror(error);
}

/* The folder there is, or a new one. */
static int make_folder(int in, const char *name, bool *made)
{
	*made = !mkdirat(in, name, 0700);
	if (!*made && errno != EEXIST)
		return -1;
	return open_folder(in, name, O_NOFOLLOW | (*made ? O_RDONLY : O_PATH));
}

static void skip_folder(struct bring_out *bring_out, const char *name, const char *why)
{
	complain(bring_out, name, why);
	bring_out->skipped = 1;
}

static void enter(struct bring_out *bring_out, const char *name, mode_t mode)
{
	struct folder folder = { .mode = mode, .path = bring_out->path->len };

	if (bring_out->skipped || bring_out->base < 0) {
		bring_out->skipped++;
		return;
	}
	if (bring_out->depth == DEPTH_MAX) {
		skip_folder(bring_out, name, "it is too many folders deep");
		return;
	}
	folder.fd = make_folder(last_folder(bring_out), name, &folder.made);
	if (folder.fd < 0) {
		skip_folder(bring_out, name, why_no_folder(last_folder(bring_out), name));
		return;
	}
	bring_out->folders[bring_out->depth++] = folder;
	add_component(bring_out->path, name);
}

/* The guest's, but for one that is still to come: whoever goes by times would be misled. */
static int set_time(int fd, const struct wire_time *time)
{
	struct timespec now, times[2] = { { .tv_nsec = UTIME_OMIT } };

	clock_gettime(CLOCK_REALTIME, &now);
	times[1].tv_sec = time->seconds;
	times[1].tv_nsec = time->nanoseconds;
	if (time->seconds > now.tv_sec ||
	    (time->seconds == now.tv_sec && time->nanoseconds > now.tv_nsec))
		times[1] = now;
	return futimens(fd, times);
}

static void leave(struct bring_out *bring_out, const struct wire_time *time)
{
	struct folder *folder;

	if (bring_out->skipped) {
		bring_out->skipped--;
		return;
	}
	folder = &bring_out->folders[--bring_out->depth];
	if (folder->made && (fchmod(folder->fd, folder->mode & 0777 & ~bring_out->umask) ||
			     set_time(folder->fd, time)))
		complain(bring_out, ".", strerror(errno));
	close(folder->fd);
	g_string_truncate(bring_out->path, folder->path);
}

/* --- files --------------------------------------------------------------------------------- */

static void drop_file(struct bring_out *bring_out, const char *why)
{
	struct file *file = &bring_out->file;

	if (file->fd < 0)
		return;
	if (why)
		complain(bring_out, file->name, why);
	close(file->fd);
	unlinkat(file->folder, file->temporary, 0);
	file->fd = -1;
}

static int make_temporary(struct bring_out *bring_out, struct file *file)
{
	int fd;

	do {
		snprintf(file->temporary, sizeof(file->temporary), ".vpmu-%d-%u", (int)getpid(),
			 bring_out->temporaries++);
		fd = openat(file->folder, file->temporary,
			    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	} while (fd < 0 && errno == EEXIST);
	return fd;
}

/* What the file is to look like. Why it may not be there at all, or NULL. */
static const char *plan_file(struct bring_out *bring_out, struct file *file, mode_t mode)
{
	struct stat st;

	file->mode = mode & 0777 & ~bring_out->umask;
	file->wanted = mode & 0777;
	if (fstatat(file->folder, file->name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? NULL : strerror(errno);
	if (S_ISLNK(st.st_mode))
		return "it is a symbolic link here";
	if (!S_ISREG(st.st_mode))
		return "it is no regular file here";
	file->replaces = true;
	file->uid = st.st_uid;
	file->gid = st.st_gid;
	file->mode = st.st_mode & 0777;
	return NULL;
}

static void begin_file(struct bring_out *bring_out, const char *name, mode_t mode)
{
	struct file *file = &bring_out->file;
	const char *why;

	*file = (struct file){ .begun = true, .folder = last_folder(bring_out), .fd = -1 };
	snprintf(file->name, sizeof(file->name), "%s", name);
	if (bring_out->skipped || bring_out->base < 0)
		return;
	why = plan_file(bring_out, file, mode);
	if (!why) {
		file->fd = make_temporary(bring_out, file);
		why = file->fd < 0 ? strerror(errno) : NULL;
	}
	if (why)
		complain(bring_out, name, why);
}

static bool write_at(int fd, const char *data, size_t size, off_t offset)
{
	while (size) {
		ssize_t n = pwrite(fd, data, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		size -= (size_t)n;
		offset += n;
	}
	return true;
}

/* It belongs to whom the file belongs that it replaces. */
static bool set_owner(const struct file *file)
{
	struct stat st;

	if (!file->replaces)
		return true;
	if (fstat(file->fd, &st))
		return false;
	return (st.st_uid == file->uid && st.st_gid == file->gid) ||
	       !fchown(file->fd, file->uid, file->gid);
}

static void tell_mode(struct bring_out *bring_out)
{
	const struct file *file = &bring_out->file;
	char why[64];

	if (!file->replaces || file->mode == file->wanted)
		return;
	snprintf(why, sizeof(why), "they are %03o here, and %03o in the guest", file->mode,
		 file->wanted);
	complain_of(bring_out, file->name, "is brought out without its permissions", why);
}

static void end_file(struct bring_out *bring_out, off_t size, const struct wire_time *time)
{
	struct file *file = &bring_out->file;
	int fd = file->fd;

	if (fd < 0)
		return;
	if (ftruncate(fd, size) || !set_owner(file) || fchmod(fd, file->mode) ||
	    set_time(fd, time)) {
		drop_file(bring_out, strerror(errno));
		return;
	}
	file->fd = -1;
	if (!close(fd) && !renameat(file->folder, file->temporary, file->folder, file->name)) {
		tell_mode(bring_out);
		return;
	}
	complain(bring_out, file->name, strerror(errno));
	unlinkat(file->folder, file->temporary, 0);
}

/* --- frames -------------------------------------------------------------------------------- */

/* The folder that a named file is in. The user may have named it by way of a symbolic link. */
static void begin_named(struct bring_out *bring_out, size_t which)
{
	size_t last, length;
	char *folder = folder_of(bring_out->named->v[which], &last, &length);

	if (bring_out->base >= 0)
		close(bring_out->base);
	bring_out->current = which;
	bring_out->base = open_folder(AT_FDCWD, folder, O_PATH);
	g_string_assign(bring_out->path, "");
	if (bring_out->base < 0)
		complain(bring_out, bring_out->named->v[which], strerror(errno));
	g_string_assign(bring_out->path, strcmp(folder, ".") != 0 ? folder : "");
	free(folder);
}

/*
 * The name of an entry. Of what the user has named it is the last component; "." if that is a
 * folder named without one. What is below that the guest names. False: it is no name.
 */
static bool take_name(const struct bring_out *bring_out, const char *data, size_t size,
		      char name[NAME_MAX + 1])
{
	const char *named = bring_out->named->v[bring_out->current];
	bool is_named = !bring_out->depth && !bring_out->skipped;
	size_t last, length;

	if (is_named) {
		if (size)
			return false;
		length = without_slashes(named);
		last = last_component(named, length);
		data = last < length ? named + last : ".";
		size = last < length ? length - last : 1;
	}
	if (!size || size > NAME_MAX || memchr(data, '/', size) || memchr(data, '\0', size))
		return false;
	memcpy(name, data, size);
	name[size] = '\0';
	return strcmp(name, "..") != 0 && (is_named || strcmp(name, ".") != 0);
}

static bool is_folder(const struct bring_out *bring_out, const char *name)
{
	struct stat st;

	return !fstatat(last_folder(bring_out), name, &st, AT_SYMLINK_NOFOLLOW) &&
	       S_ISDIR(st.st_mode);
}

/* What does not come, for what it is. */
static void tell_left(struct bring_out *bring_out, const char *name, uint32_t mode)
{
	if (bring_out->skipped || bring_out->base < 0)
		return;
	switch (mode) {
	case 0:
		complain_of(bring_out, name, "was deleted in the guest", "it is still here");
		break;
	case S_IFDIR:
		if (is_folder(bring_out, name))
			complain_of(bring_out, name, "was made anew in the guest",
				    "what was in it is still here");
		break;
	case S_IFLNK:
		complain(bring_out, name, "it is a symbolic link in the guest");
		break;
	default:
		complain(bring_out, name, "it is no regular file in the guest");
	}
}

static bool take_entry(struct bring_out *bring_out, uint8_t type, const char *data, size_t size)
{
	char name[NAME_MAX + 1];
	uint32_t mode;

	if (bring_out->current == bring_out->named->count || bring_out->file.begun ||
	    size < sizeof(mode))
		return false;
	memcpy(&mode, data, sizeof(mode));
	if (!take_name(bring_out, data + sizeof(mode), size - sizeof(mode), name))
		return false;
	bring_out->came[bring_out->current] = true;
	if (type == WIRE_LEFT)
		tell_left(bring_out, name, mode);
	else if (type == WIRE_FOLDER)
		enter(bring_out, name, mode);
	else if (strcmp(name, ".") != 0)
		begin_file(bring_out, name, mode);
	else
		return false;
	return true;
}

static bool take_data(struct bring_out *bring_out, const char *data, size_t size)
{
	const struct file *file = &bring_out->file;
	uint64_t offset;

	if (!file->begun || size < sizeof(offset))
		return false;
	memcpy(&offset, data, sizeof(offset));
	if (offset > INT64_MAX - WIRE_MAX)
		return false;
	if (file->fd >= 0 &&
	    !write_at(file->fd, data + sizeof(offset), size - sizeof(offset), (off_t)offset))
		drop_file(bring_out, strerror(errno));
	return true;
}

static bool is_time(const struct wire_time *time)
{
	return time->nanoseconds >= 0 && time->nanoseconds < INT64_C(1000000000);
}

static bool take_end(struct bring_out *bring_out, const char *data, size_t size)
{
	struct wire_end end;

	if (!bring_out->file.begun || size != sizeof(end))
		return false;
	memcpy(&end, data, sizeof(end));
	if (end.size > INT64_MAX || !is_time(&end.time))
		return false;
	end_file(bring_out, (off_t)end.size, &end.time);
	bring_out->file.begun = false;
	return true;
}

static bool take_named(struct bring_out *bring_out, const char *data, size_t size)
{
	uint32_t which;

	if (bring_out->depth || bring_out->skipped || bring_out->file.begun ||
	    size != sizeof(which))
		return false;
	memcpy(&which, data, sizeof(which));
	if (which >= bring_out->named->count)
		return false;
	begin_named(bring_out, which);
	return true;
}

static bool take_leave(struct bring_out *bring_out, const char *data, size_t size)
{
	struct wire_time time;

	if ((!bring_out->depth && !bring_out->skipped) || bring_out->file.begun ||
	    size != sizeof(time))
		return false;
	memcpy(&time, data, sizeof(time));
	if (!is_time(&time))
		return false;
	leave(bring_out, &time);
	return true;
}

bool bring_out_take(struct bring_out *bring_out, uint8_t type, const char *data, size_t size)
{
	switch (type) {
	case WIRE_NAMED:
		return take_named(bring_out, data, size);
	case WIRE_FOLDER:
	case WIRE_FILE:
	case WIRE_LEFT:
		return take_entry(bring_out, type, data, size);
	case WIRE_LEAVE:
		return take_leave(bring_out, data, size);
	case WIRE_DATA:
		return take_data(bring_out, data, size);
	case WIRE_END:
		return take_end(bring_out, data, size);
	default:
		return false;
	}
}

bool bring_out_end(struct bring_out *bring_out)
{
	unsigned int complaints;

	drop_file(bring_out, NULL);
	bring_out->skipped = 0;
	while (bring_out->depth)
		leave(bring_out, &(struct wire_time){ .seconds = INT64_MAX });
	complaints = bring_out->complaints;
	if (complaints > COMPLAINTS_MAX)
		warn("... and %u more files or folders", complaints - COMPLAINTS_MAX);
	if (bring_out->base >= 0)
		close(bring_out->base);
	g_string_free(bring_out->path, TRUE);
	g_free(bring_out->came);
	g_free(bring_out);
	return !complaints;
}
