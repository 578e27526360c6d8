/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See requests.h. ENOSYS to some questions is what makes Linux never ask them again: opening and
 * closing, extended attributes, access.
 */
#define _GNU_SOURCE
#include "requests.h"
#include "nodes.h"
#include "seen.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FOR_EVER   (365u * 24 * 3600)
#define MAJOR      7
#define MINOR      31 /* of those that we speak */
#define MOST_PAGES 256
#define INPUT_MAX  4096
#define OUTPUT_MAX 65536
#define BLOCK      512u

/* One question, and the answer so far. */
struct request {
	struct fuse_in_header header;
	union {
		char bytes[INPUT_MAX + 1]; /* what is behind the header, ended by a NUL */
		struct fuse_init_in init;
		struct fuse_read_in read;
	} in;
	size_t in_size;
	union {
		char bytes[OUTPUT_MAX];
		struct fuse_init_out init;
		struct fuse_entry_out entry;
		struct fuse_attr_out attributes;
		struct fuse_statfs_out statfs;
	} out;
	size_t out_size;
	size_t room; /* for out, in the guest's memory */
};

/* From pieces of memory, all that there is or so many bytes. */
static size_t gather(const struct iovec *pieces, size_t count, void *to, size_t size)
{
	size_t have = 0;

	for (size_t i = 0; i < count && have < size; i++) {
		size_t part = pieces[i].iov_len < size - have ? pieces[i].iov_len : size - have;

		memcpy((char *)to + have, pieces[i].iov_base, part);
		have += part;
	}
	return have;
}

static void scatter(const struct iovec *pieces, size_t count, const void *from, size_t size)
{
	size_t done = 0;

	for (size_t i = 0; i < count && done < size; i++) {
		size_t part = pieces[i].iov_len < size - done ? pieces[i].iov_len : size - done;

		memcpy(pieces[i].iov_base, (const char *)from + done, part);
		done += part;
	}
}

static size_t size_of(const struct iovec *pieces, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += pieces[i].iov_len;
	return size;
}

static void put_attributes(struct fuse_attr *to, const struct stat *st)
{
	*to = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

/* node 0: there is nothing, which is worth knowing, too. */
static void put_entry(struct fuse_entry_out *to, uint64_t node, const struct stat *st)
{
	*to = (struct fuse_entry_out){ .nodeid = node,
				       .entry_valid = FOR_EVER,
				       .attr_valid = FOR_EVER };
	if (node)
		put_attributes(&to->attr, st);
}

static int begin(struct request *request)
{
	if (request->in.init.major != MAJOR)
		return EPROTO;
	request->out.init = (struct fuse_init_out){
		.major = MAJOR,
		.minor = MINOR,
		.max_readahead = request->in.init.max_readahead,
		.flags = request->in.init.flags &
			 (FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS |
			  FUSE_CACHE_SYMLINKS | FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT |
			  FUSE_MAX_PAGES),
		.max_background = 2048,
		.congestion_threshold = 2048,
		.max_write = MOST_PAGES * 4096,
		.time_gran = 1,
		.max_pages = MOST_PAGES,
	};
	request->out_size = sizeof(request->out.init);
	return 0;
}

static int look_up(struct request *request)
{
	uint64_t node = 0;
	struct stat st;
	int error = node_find(request->header.nodeid, request->in.bytes, &node, &st);

	if (error && error != ENOENT)
		return error;
	seen_name(request->header.nodeid, request->in.bytes, node);
	put_entry(&request->out.entry, node, &st);
	request->out_size = sizeof(request->out.entry);
	return 0;
}

static int tell_attributes(struct request *request)
{
	struct stat st;
	int error = node_stat(request->header.nodeid, &st);

	if (error)
		return error;
	request->out.attributes = (struct fuse_attr_out){ .attr_valid = FOR_EVER };
	put_attributes(&request->out.attributes.attr, &st);
	request->out_size = sizeof(request->out.attributes);
	return 0;
}

static int read_link(struct request *request)
{
	int error = node_read_link(request->header.nodeid, request->out.bytes, PATH_MAX,
				   &request->out_size);

	if (!error)
		seen_link(request->header.nodeid);
	return error;
}

/* Of where the root is. */
static int tell_space(struct request *request)
{
	struct statvfs st;

	if (statvfs("/", &st))
		return errno;
	request->out.statfs.st = (struct fuse_kstatfs){ .blocks = st.f_blocks,
							.bfree = st.f_bfree,
							.bavail = st.f_bavail,
							.files = st.f_files,
							.ffree = st.f_ffree,
							.bsize = (uint32_t)st.f_bsize,
							.namelen = (uint32_t)st.f_namemax,
							.frsize = (uint32_t)st.f_frsize };
	request->out_size = sizeof(request->out.statfs);
	return 0;
}

/* A name with all that a question for it would tell. . and .. are not asked for. */
static void put_named(struct request *request, const struct listing_entry *entry, uint64_t offset,
		      size_t size)
{
	struct fuse_direntplus *to =
		(struct fuse_direntplus *)(void *)(request->out.bytes + request->out_size);
	size_t length = strlen(entry->name);
	uint64_t node = 0;
	struct stat st;

	memset(to, 0, size);
	if (strcmp(entry->name, ".") != 0 && strcmp(entry->name, "..") != 0 &&
	    !node_find(request->header.nodeid, entry->name, &node, &st))
		put_entry(&to->entry_out, node, &st);
	to->dirent = (struct fuse_dirent){ .ino = node ? st.st_ino : entry->inode,
					   .off = offset,
					   .namelen = (uint32_t)length,
					   .type = node ? IFTODT(st.st_mode) : entry->type };
	memcpy(to->dirent.name, entry->name, length);
	request->out_size += size;
}

/* An offset is the number of entries before it. */
static int list(struct request *request)
{
	uint64_t offset = request->in.read.offset;
	size_t room = request->in.read.size < request->room ? request->in.read.size : request->room;
	const struct listing *listing;
	int error = node_list(request->header.nodeid, !offset, &listing);

	if (error)
		return error;
	seen_list(request->header.nodeid);
	if (room > sizeof(request->out.bytes))
		room = sizeof(request->out.bytes);
	for (; offset < listing->count; offset++) {
		const struct listing_entry *entry = &listing->entries[offset];
		size_t size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET_DIRENTPLUS + strlen(entry->name));

		if (size > room - request->out_size)
			break;
		put_named(request, entry, offset + 1, size);
	}
	return 0;
}

/* Whatever has an answer of its own, but content. An errno. */
static int answer(struct request *request)
{
	switch ((enum fuse_opcode)request->header.opcode) {
	case FUSE_INIT:
		return begin(request);
	case FUSE_LOOKUP:
		return look_up(request);
	case FUSE_GETATTR:
		return tell_attributes(request);
	case FUSE_READLINK:
		return read_link(request);
	case FUSE_STATFS:
		return tell_space(request);
	case FUSE_READDIRPLUS:
		return list(request);
	case FUSE_DESTROY:
		return 0;
	case FUSE_SETATTR:
	case FUSE_SYMLINK:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_WRITE:
	case FUSE_CREATE:
	case FUSE_SETXATTR:
	case FUSE_REMOVEXATTR:
		return EROFS;
	default:
		return ENOSYS;
	}
}

/* Puts the file's content where it is wanted, behind room for the header. -1: errno says why. */
static ssize_t read_content(const struct chain *chain, const struct request *request)
{
	static struct iovec pieces[QUEUE_MAX];
	size_t left = request->in.read.size, skip = sizeof(struct fuse_out_header), count = 0;
	int fd;

	errno = node_open(request->header.nodeid, &fd);
	if (errno)
		return -1;
	for (size_t i = 0; i < chain->outputs && left; i++) {
		struct iovec piece = chain->output[i];
		size_t skipped = skip < piece.iov_len ? skip : piece.iov_len;

		skip -= skipped;
		piece.iov_base = (char *)piece.iov_base + skipped;
		piece.iov_len -= skipped;
		if (piece.iov_len > left)
			piece.iov_len = left;
		left -= piece.iov_len;
		if (piece.iov_len)
			pieces[count++] = piece;
	}
	seen_content(request->header.nodeid, request->in.read.offset, request->in.read.size - left);
	return preadv(fd, pieces, (int)count, (off_t)request->in.read.offset);
}

static uint32_t finish(const struct chain *chain, const struct request *request, int error,
		       size_t size)
{
	struct fuse_out_header header = { .len = (uint32_t)(sizeof(header) + (error ? 0 : size)),
					  .error = -error,
					  .unique = request->header.unique };

	scatter(chain->output, chain->outputs, &header, sizeof(header));
	return header.len;
}

/* The answer with its header, as one. */
static void write_out(const struct chain *chain, const struct request *request)
{
	static char all[sizeof(struct fuse_out_header) + OUTPUT_MAX];

	memcpy(all + sizeof(struct fuse_out_header), request->out.bytes, request->out_size);
	scatter(chain->output, chain->outputs, all,
		sizeof(struct fuse_out_header) + request->out_size);
}

/* What has no answer, and no room for one. */
static bool is_notice(const struct request *request)
{
	return request->header.opcode == FUSE_FORGET ||
	       request->header.opcode == FUSE_BATCH_FORGET ||
	       request->header.opcode == FUSE_INTERRUPT;
}

/* False: it is none. */
static bool take(struct request *request, const struct chain *chain)
{
	static char all[sizeof(struct fuse_in_header) + INPUT_MAX];
	size_t size = gather(chain->input, chain->inputs, all, sizeof(all));
	size_t room = size_of(chain->output, chain->outputs);

	if (size < sizeof(request->header) || room < sizeof(struct fuse_out_header))
		return false;
	memcpy(&request->header, all, sizeof(request->header));
	request->in_size = size - sizeof(request->header);
	memcpy(request->in.bytes, all + sizeof(request->header), request->in_size);
	memset(request->in.bytes + request->in_size, 0, sizeof(request->in) - request->in_size);
	request->room = room - sizeof(struct fuse_out_header);
	request->out_size = 0;
	return !is_notice(request);
}

uint32_t request_answer(const struct chain *chain)
{
	static struct request request;
	int error;

	if (!take(&request, chain))
		return 0;
	if (request.header.opcode == FUSE_READ) {
		ssize_t size = read_content(chain, &request);

		return finish(chain, &request, size < 0 ? errno : 0, size < 0 ? 0 : (size_t)size);
	}
	error = answer(&request);
	if (!error && request.out_size > request.room)
		error = EIO;
	if (!error)
		write_out(chain, &request);
	return finish(chain, &request, error, request.out_size);
}
