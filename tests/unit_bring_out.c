/* SPDX-License-Identifier: BSD-2-Clause
 *
 * What vpmu perf writes of the files that its guest sends (tools/guest/bring_out.c), when
 * the guest is as bad as it can be. Each test has a folder of its own: work, where the
 * user is and which is asked for, beside outside, where nothing may change.
 * VPMU_SEED and VPMU_STEPS in the environment choose other random guests.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../tools/guest/bring_out.h"
#include "../tools/init/wire.h"
#include "random.h"

static struct args named; /* "file", "folder", "." */

enum { FILE_NAMED, FOLDER_NAMED, ALL_NAMED };

static struct bring_out *bring_out;

static void write_file(const char *path, const char *text, mode_t mode)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void assert_holds(const char *path, const char *text)
{
	char got[256] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	got[fread(got, 1, sizeof(got) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(got, text);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static bool is_there(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

/* A guest can close folders to the user that they belong to. */
static int open_up(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)where;
	return type == FTW_D || type == FTW_DNR ? chmod(path, 0700) : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static char top[] = "/tmp/vpmu-unit-XXXXXX";

static int prepare(void **state)
{
	(void)state;
	strcpy(top + sizeof(top) - 7, "XXXXXX");
	if (!mkdtemp(top) || chdir(top))
		return -1;
	umask(022);
	if (mkdir("outside", 0755) || mkdir("work", 0755))
		return -1;
	write_file("outside/kept", "kept\n", 0644);
	if (chdir("work") || symlink("../outside", "link") || symlink("../outside/kept", "flink") ||
	    symlink("../outside/new", "dangling") || link("../outside/kept", "hard") ||
	    mkfifo("pipe", 0600) || mkdir("sub", 0750) || symlink("../../outside", "sub/link"))
		return -1;
	write_file("existing", "before\n", 0640);
	bring_out = bring_out_new(&named);
	return 0;
}

static int forget(void **state)
{
	(void)state;
	if (bring_out)
		bring_out_end(bring_out);
	bring_out = NULL;
	if (chdir("/"))
		return -1;
	/* What is in a folder is seen only once it is opened up. */
	for (unsigned int i = 0; i < 1000 && is_there(top); i++)
		if (nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS))
			nftw(top, open_up, 16, FTW_PHYS);
	return is_there(top) ? -1 : 0;
}

/* All has come. */
static bool finish(void)
{
	bool all = bring_out_end(bring_out);

	bring_out = NULL;
	return all;
}

static bool send(uint8_t type, const void *first, size_t first_size, const void *rest, size_t size)
{
	char frame[WIRE_MAX];

	memcpy(frame, first, first_size);
	if (size)
		memcpy(frame + first_size, rest, size);
	return bring_out_take(bring_out, type, frame, first_size + size);
}

static struct wire_time written = { .seconds = 1000000000, .nanoseconds = 123456789 };

static bool send_named(uint32_t which)
{
	return send(WIRE_NAMED, &which, sizeof(which), NULL, 0);
}

static bool send_entry(uint8_t type, uint32_t mode, const char *name)
{
	return send(type, &mode, sizeof(mode), name, strlen(name));
}

static bool send_data(uint64_t offset, const char *text)
{
	return send(WIRE_DATA, &offset, sizeof(offset), text, strlen(text));
}

static bool send_end(uint64_t size)
{
	const struct wire_end end = { .size = size, .time = written };

	return send(WIRE_END, &end, sizeof(end), NULL, 0);
}

static bool send_leave(void)
{
	return send(WIRE_LEAVE, &written, sizeof(written), NULL, 0);
}

static void send_file(const char *name, uint32_t mode, const char *text)
{
	assert_true(send_entry(WIRE_FILE, mode, name));
	assert_true(send_data(0, text));
	assert_true(send_end(strlen(text)));
}

/* From here on what is sent is in the user's working directory. */
static void send_all(void)
{
	assert_true(send_named(ALL_NAMED));
	assert_true(send_entry(WIRE_FOLDER, 0700, ""));
}

static void assert_outside_is_unchanged(void)
{
	struct stat st;
	DIR *dir = opendir("../outside");
	unsigned int entries = 0;

	assert_non_null(dir);
	while (readdir(dir))
		entries++;
	closedir(dir);
	assert_int_equal(entries, 3);
	assert_holds("../outside/kept", "kept\n");
	assert_int_equal(lstat("../outside/kept", &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(mode_of("../outside"), S_IFDIR | 0755);
}

static void named_files_come_to_their_places(void **state)
{
	(void)state;
	assert_true(send_named(FILE_NAMED));
	send_file("", 0644, "text\n");
	assert_true(send_named(FOLDER_NAMED));
	assert_true(send_entry(WIRE_FOLDER, 0755, ""));
	assert_true(send_entry(WIRE_FOLDER, 0755, "below"));
	send_file("name", 0755, "deep\n");
	assert_true(send_leave() && send_leave());
	assert_true(bring_out_came(bring_out, FILE_NAMED));
	assert_true(bring_out_came(bring_out, FOLDER_NAMED));
	assert_false(bring_out_came(bring_out, ALL_NAMED));
	assert_true(finish());
	assert_holds("file", "text\n");
	assert_holds("folder/below/name", "deep\n");
}

static void permissions_are_the_guests_within_the_umask(void **state)
{
	(void)state;
	umask(027);
	bring_out_end(bring_out);
	bring_out = bring_out_new(&named);
	send_all();
	send_file("new", 07777, "");
	assert_true(send_entry(WIRE_FOLDER, 07555, "closed"));
	send_file("inside", 0600, "x");
	assert_true(send_leave());
	assert_true(finish());
	assert_int_equal(mode_of("new"), S_IFREG | 0750);
	assert_int_equal(mode_of("closed"), S_IFDIR | 0550);
	assert_holds("closed/inside", "x");
}

static void what_exists_keeps_its_permissions(void **state)
{
	struct stat before, after;

	(void)state;
	assert_int_equal(chmod("existing", 06640), 0);
	if (geteuid() == 0)
		assert_int_equal(chown("existing", 1234, 2345), 0);
	assert_int_equal(chmod("existing", 06640), 0);
	assert_int_equal(stat("existing", &before), 0);
	send_all();
	send_file("existing", 0640, "after\n");
	assert_true(send_entry(WIRE_FOLDER, 0777, "sub"));
	assert_true(send_leave() && send_leave());
	assert_true(finish());
	bring_out = bring_out_new(&named);
	send_all();
	send_file("existing", 04777, "later\n");
	assert_true(send_leave());
	assert_false(finish());
	assert_holds("existing", "later\n");
	assert_int_equal(stat("existing", &after), 0);
	assert_int_equal(after.st_mode, S_IFREG | 0640);
	assert_int_equal(after.st_uid, before.st_uid);
	assert_int_equal(after.st_gid, before.st_gid);
	assert_int_equal(mode_of("sub"), S_IFDIR | 0750);
}

static void assert_written(const char *path, const struct wire_time *time)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, time->seconds);
	assert_int_equal(st.st_mtim.tv_nsec, time->nanoseconds);
}

static void times_are_the_guests_unless_they_are_to_come(void **state)
{
	const struct wire_time before = written;
	struct stat st;
	time_t now = time(NULL);

	(void)state;
	send_all();
	send_file("new", 0644, "text\n");
	assert_true(send_entry(WIRE_FOLDER, 0755, "folder"));
	send_file("inside", 0644, "text\n");
	assert_true(send_leave());
	written.seconds = INT64_MAX;
	send_file("later", 0644, "text\n");
	written.nanoseconds = 1000000000;
	assert_true(send_entry(WIRE_FILE, 0644, "never"));
	assert_false(send_end(0));
	written = before;
	assert_true(send_end(0));
	assert_true(finish());
	assert_written("new", &written);
	assert_written("folder", &written);
	assert_written("folder/inside", &written);
	assert_int_equal(stat("later", &st), 0);
	assert_true(st.st_mtim.tv_sec >= now && st.st_mtim.tv_sec <= time(NULL));
}

static void what_does_not_come_is_told(void **state)
{
	static const uint32_t kinds[] = { 0, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, 12345 };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		send_all();
		assert_true(send_entry(WIRE_LEFT, kinds[i], "existing"));
		assert_false(send_entry(WIRE_LEFT, kinds[i], "../outside/kept"));
		assert_true(send_leave());
		assert_false(finish());
		assert_holds("existing", "before\n");
		bring_out = bring_out_new(&named);
	}
}

static void no_symbolic_link_is_followed(void **state)
{
	(void)state;
	send_all();
	send_file("flink", 0666, "evil\n");
	send_file("dangling", 0666, "evil\n");
	send_file("link", 0666, "evil\n");
	assert_true(send_entry(WIRE_FOLDER, 0777, "link"));
	send_file("kept", 0666, "evil\n");
	assert_true(send_entry(WIRE_FOLDER, 0777, "deeper"));
	send_file("kept", 0666, "evil\n");
	assert_true(send_leave() && send_leave());
	assert_true(send_entry(WIRE_FOLDER, 0777, "sub"));
	assert_true(send_entry(WIRE_FOLDER, 0777, "link"));
	send_file("kept", 0666, "evil\n");
	assert_true(send_leave() && send_leave());
	send_file("after", 0644, "good\n");
	assert_false(finish());
	assert_true(S_ISLNK(mode_of("link")) && S_ISLNK(mode_of("flink")) &&
		    S_ISLNK(mode_of("dangling")) && S_ISLNK(mode_of("sub/link")));
	assert_outside_is_unchanged();
	assert_holds("after", "good\n");
}

static void a_named_link_is_not_followed_either(void **state)
{
	(void)state;
	assert_int_equal(symlink("../outside", "folder"), 0);
	assert_int_equal(symlink("../outside/kept", "file"), 0);
	assert_true(send_named(FILE_NAMED));
	send_file("", 0666, "evil\n");
	assert_true(send_named(FOLDER_NAMED));
	assert_true(send_entry(WIRE_FOLDER, 0777, ""));
	send_file("kept", 0666, "evil\n");
	assert_true(send_leave());
	assert_false(finish());
	assert_outside_is_unchanged();
}

static void other_hard_links_stay_as_they_are(void **state)
{
	(void)state;
	send_all();
	send_file("hard", 0644, "mine\n");
	assert_true(finish());
	assert_holds("hard", "mine\n");
	assert_outside_is_unchanged();
}

static void what_is_no_file_is_left_alone(void **state)
{
	(void)state;
	send_all();
	send_file("pipe", 0644, "evil\n");
	send_file("sub", 0644, "evil\n");
	assert_true(send_entry(WIRE_FOLDER, 0777, "existing"));
	send_file("x", 0644, "evil\n");
	assert_true(send_leave());
	assert_false(finish());
	assert_true(S_ISFIFO(mode_of("pipe")) && S_ISDIR(mode_of("sub")));
	assert_holds("existing", "before\n");
}

static void a_name_is_one_component(void **state)
{
	static const char *const bad[] = { "",   ".",       "..",    "/", "../outside/kept",
					   "/x", "sub/new", "sub/.." };
	char too_long[300];

	(void)state;
	memset(too_long, 'x', sizeof(too_long));
	too_long[256] = '\0';
	send_all();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_false(send_entry(WIRE_FILE, 0644, bad[i]));
		assert_false(send_entry(WIRE_FOLDER, 0755, bad[i]));
	}
	assert_false(send_entry(WIRE_FILE, 0644, too_long));
	assert_false(send(WIRE_FILE, "\0\0\0\0", 4, "a\0b", 3));
	too_long[255] = '\0';
	send_file(too_long, 0644, "");
	send_file(" \n\t", 0644, "");
	assert_true(finish());
	assert_true(is_there(too_long) && is_there(" \n\t"));
	assert_outside_is_unchanged();
}

static void what_the_user_has_named_is_not_named_by_the_guest(void **state)
{
	(void)state;
	assert_true(send_named(FILE_NAMED));
	assert_false(send_entry(WIRE_FILE, 0644, "existing"));
	assert_false(send_entry(WIRE_FOLDER, 0755, "sub"));
	assert_true(send_named(ALL_NAMED));
	assert_false(send_entry(WIRE_FILE, 0644, ""));
	assert_false(send_named(ALL_NAMED + 1));
	assert_true(finish());
	assert_holds("existing", "before\n");
}

static void a_frame_out_of_its_place_is_refused(void **state)
{
	(void)state;
	assert_false(send_entry(WIRE_FILE, 0644, ""));
	assert_false(send_data(0, "x"));
	assert_false(send_end(0));
	assert_false(send_leave());
	send_all();
	assert_false(send_named(FILE_NAMED));
	assert_false(send(WIRE_FILE, "\0\0", 2, NULL, 0));
	assert_true(send_entry(WIRE_FILE, 0644, "new"));
	assert_false(send_entry(WIRE_FILE, 0644, "other"));
	assert_false(send_entry(WIRE_FOLDER, 0755, "other"));
	assert_false(send_named(FILE_NAMED));
	assert_false(send_leave());
	assert_false(send(WIRE_DATA, "\0\0\0", 3, NULL, 0));
	assert_false(send_data(UINT64_MAX, "x"));
	assert_false(send_data(INT64_MAX, "x"));
	assert_false(send(WIRE_END, "\0\0\0", 3, NULL, 0));
	assert_false(send_end(UINT64_MAX));
	assert_true(send_end(0));
	assert_true(send_leave());
	assert_false(send_leave());
	assert_false(send(WIRE_STDIN, "", 0, NULL, 0));
	assert_false(send(200, "", 0, NULL, 0));
	assert_true(finish());
}

static void what_is_cut_off_is_not_there(void **state)
{
	DIR *dir;
	struct dirent *entry;

	(void)state;
	send_all();
	assert_true(send_entry(WIRE_FOLDER, 0755, "half"));
	assert_true(send_entry(WIRE_FILE, 0644, "new"));
	assert_true(send_data(0, "some"));
	assert_true(finish());
	dir = opendir("half");
	assert_non_null(dir);
	while ((entry = readdir(dir)))
		assert_true(entry->d_name[0] == '.' && strlen(entry->d_name) < 3);
	closedir(dir);
}

static void holes_stay_holes(void **state)
{
	struct stat st;

	(void)state;
	send_all();
	assert_true(send_entry(WIRE_FILE, 0644, "sparse"));
	assert_true(send_data(1 << 30, "end"));
	assert_true(send_end(UINT64_C(1) << 32));
	assert_true(finish());
	assert_int_equal(stat("sparse", &st), 0);
	assert_int_equal(st.st_size, UINT64_C(1) << 32);
	assert_true(st.st_blocks < 1024);
}

static void a_disk_that_is_full_is_told(void **state)
{
	struct rlimit before, limit;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	send_all();
	send_file("existing", 0644, "more than ten bytes\n");
	assert_true(send_entry(WIRE_FILE, 0644, "huge"));
	assert_true(send_end(INT64_MAX));
	send_file("small", 0644, "few\n");
	assert_false(finish());
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_holds("existing", "before\n");
	assert_false(is_there("huge"));
	assert_holds("small", "few\n");
}

/* What the guest's names and numbers make of stderr. */
static void complaints_are_a_line_each_and_few(void **state)
{
	int saved = dup(STDERR_FILENO);
	char line[512];
	unsigned int lines = 0;
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	assert_int_equal(symlink("x", "new\nline\033[2J"), 0);
	send_all();
	for (unsigned int i = 0; i < 1000; i++)
		send_file("new\nline\033[2J", 0644, "");
	assert_false(finish());
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	while (fgets(line, sizeof(line), file)) {
		lines++;
		assert_memory_equal(line, "vpmu: ", 6);
		assert_null(strchr(line, '\033'));
		if (lines == 1)
			assert_string_equal(line, "vpmu: new?line?[2J cannot be brought out: it is "
						  "a symbolic link here\n");
	}
	fclose(file);
	assert_int_equal(lines, 11);
	assert_non_null(strstr(line, "990 more"));
}

static void folders_are_followed_only_so_deep(void **state)
{
	(void)state;
	send_all();
	for (unsigned int i = 0; i < 100000; i++)
		assert_true(send_entry(WIRE_FOLDER, 0755, "d"));
	send_file("deepest", 0644, "");
	for (unsigned int i = 0; i < 100000; i++)
		assert_true(send_leave());
	send_file("new", 0644, "text\n");
	assert_false(finish());
	assert_holds("new", "text\n");
}

static void the_guest_is_asked_for_real_names(void **state)
{
	static const char *const names[][2] = {
		{ "x", "work/x" },
		{ "./x", "work/x" },
		{ "sub/x", "work/sub/x" },
		{ "link/x", "outside/x" },
		{ "sub/../x", "work/x" },
		{ "x/", "work/x" },
		{ "..", "" },
		{ ".", "work/" },
		{ "link/..", "" },
		{ "none/x", "work/none/x" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *got = bring_out_real_name(names[i][0]);
		char *want = g_strdup_printf("%s/%s", top, names[i][1]);
		char *real = g_canonicalize_filename(got, "/");
		char *wanted = g_canonicalize_filename(want, "/");

		assert_string_equal(real, wanted);
		g_free(got);
		g_free(want);
		g_free(real);
		g_free(wanted);
	}
}

/* --- a random guest ------------------------------------------------------------------------ */

static struct random source;
static uint64_t steps;

static unsigned int below(unsigned int n)
{
	return random_below(&source, n);
}

static const char *random_name(void)
{
	static const char *const names[] = {
		"",     ".",   "..",      "link",     "flink", "dangling", "hard", "pipe",
		"sub",  "new", "other",   "existing", "kept",  "x\ny",     "a/b",  "/etc/passwd",
		"link", "sub", "../kept", "outside",  "d",     "d",        "d",    "d",
	};
	static char temporary[32];

	if (below(20))
		return names[below(sizeof(names) / sizeof(names[0]))];
	snprintf(temporary, sizeof(temporary), ".vpmu-%d-%u", (int)getpid(), below(100));
	return temporary;
}

static void random_frame(void)
{
	uint32_t mode = (uint32_t)random_bits(&source);
	char bytes[64];

	switch (below(12)) {
	case 0:
		send_named(below(4));
		break;
	case 1:
	case 2:
		send_entry(WIRE_FOLDER, mode, random_name());
		break;
	case 3:
		send_leave();
		break;
	case 4:
	case 5:
	case 6:
		send_entry(WIRE_FILE, mode, random_name());
		break;
	case 7:
		send_data(below(1000), "evil\n");
		break;
	case 8:
	case 9:
		send_end(below(2000));
		break;
	case 10:
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = (char)random_bits(&source);
		bring_out_take(bring_out, (uint8_t)below(WIRE_LEFT + 2), bytes,
			       below(sizeof(bytes)));
		break;
	default:
		send_named(ALL_NAMED);
		send_entry(WIRE_FOLDER, mode, "");
	}
}

/* Nothing that is there gives more than the umask lets it, and all links are the user's own. */
static int check_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	if (type == FTW_NS)
		return 0;
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		assert_int_equal(st->st_mode & 07022, 0);
		break;
	case S_IFLNK:
		assert_true(!strcmp(path, "./sub/link") || where->level == 1);
		break;
	default:
		assert_string_equal(path, "./pipe");
	}
	return 0;
}

static void a_random_guest_changes_nothing_outside(void **state)
{
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);

	(void)state;
	dup2(null, STDERR_FILENO);
	for (uint64_t step = 0; step < steps; step++) {
		random_frame();
		if (below(500))
			continue;
		/* Another guest, in what this one has left. */
		bring_out_end(bring_out);
		bring_out = bring_out_new(&named);
		assert_outside_is_unchanged();
	}
	finish();
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	assert_outside_is_unchanged();
	assert_int_equal(nftw(".", check_one, 16, FTW_PHYS), 0);
}

#define TEST(function, sentence)                                                                   \
	{                                                                                          \
		.name = sentence, .test_func = function, .setup_func = prepare,                    \
		.teardown_func = forget                                                            \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(named_files_come_to_their_places,
		     "named files and folders come to their places"),
		TEST(permissions_are_the_guests_within_the_umask,
		     "what is new has the guest's permissions within the umask, and no other bits"),
		TEST(what_exists_keeps_its_permissions,
		     "what exists keeps owner and permissions, without set-user-ID"),
		TEST(times_are_the_guests_unless_they_are_to_come,
		     "times are the guest's, unless they are to come"),
		TEST(what_does_not_come_is_told, "what does not come is told, and stays"),
		TEST(no_symbolic_link_is_followed, "no symbolic link is followed or replaced"),
		TEST(a_named_link_is_not_followed_either, "nor is one that the user has named"),
		TEST(other_hard_links_stay_as_they_are,
		     "other hard links of a file stay as they are"),
		TEST(what_is_no_file_is_left_alone, "pipes, and files for folders, are left alone"),
		TEST(a_name_is_one_component, "a name is one component of a path"),
		TEST(what_the_user_has_named_is_not_named_by_the_guest,
		     "what the user has named is not named by the guest"),
		TEST(a_frame_out_of_its_place_is_refused, "a frame out of its place is refused"),
		TEST(what_is_cut_off_is_not_there, "a file that is cut off is not there at all"),
		TEST(holes_stay_holes, "holes in files stay holes"),
		TEST(a_disk_that_is_full_is_told, "what there is no room for leaves the old file"),
		TEST(complaints_are_a_line_each_and_few, "complaints are one line each, and few"),
		TEST(folders_are_followed_only_so_deep,
		     "folders that are too deep end nothing else"),
		TEST(the_guest_is_asked_for_real_names, "the guest is asked for real names"),
		TEST(a_random_guest_changes_nothing_outside,
		     "whatever a guest sends, nothing changes outside, and no bits or links come"),
	};

	source = random_from(random_seed());
	steps = number_from("VPMU_STEPS", 20000);
	printf("# VPMU_STEPS=%" PRIu64 "\n", steps);
	fflush(stdout);
	args_add(&named, "file");
	args_add(&named, "./folder/");
	args_add(&named, ".");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
