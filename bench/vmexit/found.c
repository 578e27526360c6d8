/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See found.h. /sys/module has a module that is loaded, or built into the kernel.
 */
#include "found.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const modules[] = { "kvm", "kvm_amd", "kvm_intel" };
/* Of a module: taint says that it is not the kernel's own. */
static const char *const versions[] = { "version", "srcversion", "taint" };
static const char *const parameters[] = { "enable_pmu", "enable_mediated_pmu", "nested", "npt",
					  "ept" };

#define BUILD_ID_SIZE 20

static void add(struct report_table *table, const char *what, const char *value)
{
	struct report_value *row = report_row(table);

	report_text(&row[0], "%s", what);
	report_text(&row[1], "%s", value);
}

/* A module does not have all of them: others are left out. */
static void add_file(struct report_table *table, const char *module, const char *folder,
		     const char *name)
{
	char path[128], what[64], line[128] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/%s%s", module, folder, name);
	snprintf(what, sizeof(what), "%s, %s", module, name);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file))
		line[strcspn(line, "\n")] = '\0';
	if (*line)
		add(table, what, line);
	fclose(file);
}

/* What tells two builds of a module apart for certain: an ELF note, whose name is GNU. */
static void add_build_id(struct report_table *table, const char *module)
{
	struct {
		uint32_t name_size, size, type;
		char name[4];
		uint8_t id[BUILD_ID_SIZE];
	} note;
	char path[128], what[64], text[2 * BUILD_ID_SIZE + 1];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/module/%s/notes/.note.gnu.build-id", module);
	snprintf(what, sizeof(what), "%s, build ID", module);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fread(&note, sizeof(note), 1, file) == 1 && note.size == BUILD_ID_SIZE) {
		for (int i = 0; i < BUILD_ID_SIZE; i++)
			snprintf(text + 2 * i, 3, "%02x", note.id[i]);
		add(table, what, text);
	}
	fclose(file);
}

static void add_module(struct report_table *table, const char *module)
{
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++)
		add_file(table, module, "", versions[i]);
	add_build_id(table, module);
	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		add_file(table, module, "parameters/", parameters[i]);
}

static const char *extension(void)
{
	if (!access("/sys/module/kvm_amd", F_OK))
		return "SVM (kvm_amd)";
	return access("/sys/module/kvm_intel", F_OK) ? "not known" : "VMX (kvm_intel)";
}

void found_table(const struct pmu *pmu, struct report *report)
{
	static const struct report_column columns[] = { { "what", "", 0 }, { "value", "", 0 } };
	struct report_table *table =
		report_table(report, "vmexit_kvm", "The KVM that was found", columns, 2);

	add(table, "virtualisation", extension());
	add(table, "its guests' PMU", pmu->none ? pmu->none : pmu->name);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		add_module(table, modules[i]);
}
