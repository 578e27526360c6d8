# SPDX-License-Identifier: BSD-2-Clause
#
# The front door: meson and ninja do the work, in build/. What tools/setup has
# fetched lives in build/ too and survives all of this but distclean.

.PHONY: all modules dkms bundle setup demo check bench clean distclean

all: build/build.ninja
	@ninja -C build

build/build.ninja:
	@command -v meson >/dev/null || \
		{ echo "meson is missing: run make setup, or see docs/dependencies.md" >&2; exit 1; }
	meson setup build

# KVM with libvpmu, where setup has found what it is made of.
modules:
	@if [ -e build/kvm/source ]; then hosts/kvm/build; \
		else echo "no KVM is built: its sources are not here" >&2; fi

# The same as a package for Debian.
dkms:
	@hosts/kvm/dkms/package

# All for any Linux in one archive, which comes twice: a bare system may have no xz. And one that is
# hardly compressed, for its test.
VERSION = $(shell sed -n "s/^ *version: '\(.*\)',/\1/p" meson.build)
BUNDLE = build/vpmu-$(VERSION)-x86_64.tar
BUNDLED = tools/bundle LICENSE $(wildcard build/vpmu build/tools/vpmu-launcher \
	build/tools/init/vpmu-init build/tools/gate/count/vpmu-count \
	build/tools/gate/count/vpmu-sample build/hosts/qemu/libvpmu-qemu.so build/docs/vpmu.3 docs/vpmu.1 \
	build/qemu/contents build/kernel/*/release /usr/bin/perf)

bundle: all
	@$(MAKE) --no-print-directory $(BUNDLE).xz

$(BUNDLE).xz: $(BUNDLED)
	@tools/bundle $(BUNDLE).gz $@

build/bundle-fast.tar.gz: $(BUNDLED)
	@tools/bundle --fast $@

setup:
	@tools/setup

# setup comes first: on a bare system the build's own tools come from there.
demo:
	@tools/setup packages qemu kernels
	@$(MAKE) --no-print-directory all
	@sh tools/demo

# SEED=random (or a number): what is random runs once more with that seed.
check: setup
	@$(MAKE) --no-print-directory all modules
	@tests/run $(if $(SEED),--seed $(SEED))

# Writes docs/benchmarks.md's figures; the machine should have nothing else to do.
bench: all
	@bench/figures/record

# The build's own files; not the fetched QEMU and kernels.
clean:
	@test ! -e build/build.ninja || ninja -C build -t clean
	rm -rf build/kvm/tree build/kvm/ours build/kvm/selftests build/kvm/*.deb

distclean:
	rm -rf build
