# What people and CI run. Everything that is installed or made goes to Debian's packages or under target/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run demo assets deb rpm setup-deb setup-rpm build test test-packages lint bench bench-instructions bench-sockets bench-capture fuzz coverage sanitize soak sampling sbom reproducible picture setup-build setup-fuzz setup-test clean

CARGO ?= cargo
# Sockets to hold for `make bench-sockets`, a table for each.
SIZES ?= 1000 50000
SUSTAINED ?=
LATENCY ?=
# Flags for `make run`, e.g. make run ARGS='--mysql.sample-bits 2'
ARGS ?=
binary := target/release/dbwire_exporter
# What tests could not run here, one line each: shown again when they have ended.
test: export DBWIRE_SKIPPED := $(CURDIR)/target/tests-skipped
export PATH := $(PATH):/usr/sbin:/sbin

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t14

run: build ## Install what is missing, build, and serve on :9098
	@echo "Look at http://localhost:9098/ (status) and http://localhost:9098/metrics; Ctrl-C stops."
	@exec $(binary) $(ARGS)

demo: build ## MariaDB, a load, the exporter and Prometheus on this machine, until Ctrl-C
	@tests/setup/packages.sh demo
	@exec deploy/demo/demo.sh $(binary)

build: setup-build ## Build the release binary
	$(CARGO) build --release --locked

# Tests are built with little optimisation, and what is shipped with much: a compiler may be wrong in one of them alone, as
# LLVM 22.1 was. What decodes is tested in both.
decoder_tests := cut_replies decoder_properties losses mysql_conversations mysql_pipelining mysql_sessions replay_corpus

test: setup-test ## Install what the tests need, run them all, name what was skipped
	@mkdir -p target && rm -f $(DBWIRE_SKIPPED)
	$(CARGO) test --locked --no-fail-fast
	$(CARGO) test --release --locked --no-fail-fast --lib $(addprefix --test ,$(decoder_tests))
	@if [ -s $(DBWIRE_SKIPPED) ]; then echo; echo "Not run here:"; sort -u $(DBWIRE_SKIPPED); fi

lint: setup-build ## Check the format and the lints, with and without the capture half
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --all-targets --no-default-features -- -D warnings

bench: setup-build ## Run the benchmarks
	$(CARGO) bench --locked --benches

bench-instructions: setup-test ## Fail if decoding takes over 5 % more instructions than recorded (RECORD=1: record)
	$(CARGO) bench --locked --bench instructions $(if $(RECORD),-- --record)

bench-sockets: setup-build ## As root: what counting sockets costs, here and elsewhere (SIZES=…, SUSTAINED=…, LATENCY=…)
	$(CARGO) bench --locked --bench sockets -- $(if $(SUSTAINED),--sustained $(SUSTAINED),$(if $(LATENCY),--latency $(LATENCY),$(SIZES)))

# See benches/capture/main.rs: ONLY=files|live FILE=… PORT=… ROUNDS=… SECONDS=…
bench-capture: setup-test ## As root: what capturing costs, beside a database and over files
	$(CARGO) bench --locked --bench capture -- $(foreach name,ONLY FILE PORT ROUNDS SECONDS LOAD PLOTS,$(if $($(name)),$(name)='$($(name))'))

# Minutes for each fuzz target, and which: make fuzz FUZZ_MINUTES=1 FUZZ_TARGETS='session stream'
FUZZ_MINUTES ?= 10
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard tests/fuzz/fuzz_targets/*.rs)))
fuzz_work := $(CURDIR)/target/fuzz

# On the stable toolchain, hence no sanitizer: outside io/, which is not fuzzed, unsafe code is forbidden.
fuzz: setup-build setup-fuzz ## Fuzz what reads untrusted bytes, FUZZ_MINUTES=10 each
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p $(fuzz_work)/corpus/$$target; \
		PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) fuzz run --sanitizer none --fuzz-dir tests/fuzz \
			--target-dir $(fuzz_work) $$target $(fuzz_work)/corpus/$$target tests/fuzz/corpus/$$target -- \
			-max_total_time=$$(( 60 * $(FUZZ_MINUTES) )) -artifact_prefix=$(fuzz_work)/$$target- \
			-print_final_stats=1 -verbosity=0; \
	done

coverage: setup-build ## Tell which lines of each parser the fuzz targets run, over their corpora and what `make fuzz` found
	@rustup component add --toolchain "$$(rustup show active-toolchain | cut -d' ' -f1)" llvm-tools
	tests/fuzz/coverage.sh

# The library's own tests, and those of the binary that come through its unsafe code: captures live and from files, network
# namespaces, netlink, procfs, the check. What a thread takes is no measure here.
sanitize: setup-test ## Run tests under AddressSanitizer, which watches the unsafe code of src/io
	ASAN_OPTIONS=detect_stack_use_after_return=1 RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/sanitized.sh \
		$(CARGO) test --locked --lib --test check --test cli --test capture_files --test live_capture --test sockets \
		--test threads -- --skip half_the_work

picture: setup-test ## Take the picture of the page for the documentation (needs root, Chromium and two minutes)
	@tests/setup/packages.sh picture
	DBWIRE_PICTURE=$(CURDIR)/docs/page.png $(CARGO) test --locked --test page under_a_live_load
	pngquant --force --strip --output docs/page.png 256 docs/page.png

# Seconds of `make soak`.
SOAK_SECONDS ?= 3600
soak: setup-test ## As root: an hour of loads, faults and restarts (SOAK_SECONDS=…): nothing grows, nothing is lost
	DBWIRE_SOAK_SECONDS=$(SOAK_SECONDS) $(CARGO) test --release --locked --test faults -- --nocapture under_load

# Seconds of each load of `make sampling`.
SAMPLING_SECONDS ?= 60
sampling: setup-test ## As root: estimates beside what a server did, for as long as SAMPLING_SECONDS=…, and the simulation
	DBWIRE_SAMPLING_SECONDS=$(SAMPLING_SECONDS) $(CARGO) test --locked --test live_sampling -- --nocapture --test-threads=1
	DBWIRE_SAMPLING_SECONDS=10 $(CARGO) test --locked --test live_sampling -- --nocapture --test-threads=1 pool megabyte short
	$(CARGO) bench --locked --bench sampling

setup-build:
	@tests/setup/packages.sh build

setup-test:
	@tests/setup/packages.sh test
	@tests/setup/clients.sh

setup-fuzz:
	@test -x target/tools/bin/cargo-fuzz || $(CARGO) install --locked --root target/tools cargo-fuzz

assets: setup-build ## Write the manual page and the completions into target/assets
	$(CARGO) run --locked --example assets -- target/assets

deb: build assets setup-deb ## Build the Debian package
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) deb --locked --no-build --strip --output target/

setup-deb:
	@test -x target/tools/bin/cargo-deb || $(CARGO) install --locked --root target/tools cargo-deb

sbom: build ## Write what the program is made of, as CycloneDX, into target/dbwire_exporter.cdx.json
	@test -x target/tools/bin/cargo-cyclonedx || $(CARGO) install --locked --root target/tools cargo-cyclonedx
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) cyclonedx --format json --override-filename dbwire_exporter.cdx
	mv dbwire_exporter.cdx.json target/

reproducible: setup-build ## Build twice in two places, and compare
	deploy/reproducible.sh

rpm: build assets setup-rpm ## Build the RPM package
	strip -o target/assets/dbwire_exporter $(binary)
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) generate-rpm --output target/

setup-rpm:
	@test -x target/tools/bin/cargo-generate-rpm || $(CARGO) install --locked --root target/tools cargo-generate-rpm

test-packages: deb rpm ## As root: install, run and remove the packages in a clean Debian; lintian
	@tests/setup/packages.sh packages
	DBWIRE_PACKAGES=$(CURDIR)/target $(CARGO) test --locked --test packages -- --nocapture

clean: ## Remove everything that was built
	$(CARGO) clean
