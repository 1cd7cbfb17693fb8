# The front door; Meson and Ninja do the work. `make help` lists what there is.
# Each target installs what it needs first (tools/bootstrap: Debian packages, and DuckDB into .cache).

PYTHON = /usr/bin/python3

.PHONY: help build run serve install uninstall deb test torture soak fuzz abuse bench interop lint reference clean
.DEFAULT_GOAL = help

help:      ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | awk '{ line = sprintf("  make %-11s", $$1); \
		for (i = 2; i <= NF; i++) { if (length(line " " $$i) > 80) { print line; line = sprintf("%18s", "") } \
		line = line (length(line) == 18 ? "" : " ") $$i } print line }'

build:     ## build/pinpipe, optimised
	@tools/bootstrap build
	@tools/build

run: build      ## the whole pipeline once: posts, objects, tables, answers
	build/pinpipe run

serve: build    ## the whole pipeline until Ctrl-C, which drains it (build/pinpipe up; --demo posts rows to it)
	@tools/serve

install: build  ## below PREFIX=/usr/local, models, manual pages, units of systemd and all; DESTDIR= for who makes packages
	@DESTDIR=$(DESTDIR) tools/install $(or $(PREFIX),/usr/local)

uninstall:     ## what `make install` put there; configuration and data stay
	@tools/install --remove

deb: build      ## build/pinpipe_….deb, for this machine's Debian
	@tools/bootstrap build deb
	@tools/deb

test:      ## every test, with sanitizers
	@tools/bootstrap build test
	@$(PYTHON) tests/run

interop: build  ## the Delta tables, read by DuckDB, delta-rs and Spark; Spark as the engine; lakes on other S3 servers; a real Kafka, Airflow and Prometheus; deploy/ in an API Gateway; the package in a bare Debian, an image, arm64; PARTS=ci: what .ci/run has time for
	@tools/bootstrap test deb
	@tools/interop/install
	@tools/interop/install-s3
	@tools/interop/install-kafka
	@tools/interop/install-openapi
	@tools/interop/install-prometheus
	@$(if $(filter-out ci,$(or $(PARTS),all)),tools/interop/install-airflow)
	@$(if $(filter recipe all,$(or $(PARTS),all)),tools/interop/install-recipe)
	@test -f build-san/build.ninja || $(PYTHON) tests/run --set-up
	@ninja -C build-san --quiet tests/test_store tests/msk_token \
		tests/test_broker tests/test_reader tests/test_broker_groups
	@$(PYTHON) tests/interop/interop.py $(PARTS)

torture:   ## kill, cut the power, flip bits, fail calls, plant bugs; KILLS= FAULTS= CYCLES= CUTS= TABLES= FLIPS= TAILS= CALLS=N|all SEED= PARTS="kills s3 kafka …"
	@tools/bootstrap build test
	@test -f build-fail/build.ninja || meson setup build-fail -Dfailpoints=true -Doptimization=2 -Ddebug=true
	@ninja -C build-fail --quiet pinpipe tests/test_log_flips tests/test_log_tails
	@test -f build-hostile/build.ninja || meson setup build-hostile -Dhostile=true -Dfailpoints=true -Dtests=false \
		-Doptimization=2 -Ddebug=true
	@ninja -C build-hostile --quiet pinpipe
	@$(PYTHON) tests/torture/torture.py --binary build-fail/pinpipe --hostile-binary build-hostile/pinpipe $(PARTS) $(if $(SEED),--seed $(SEED)) \
		$(if $(KILLS),--kills $(KILLS)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(CUTS),--cuts $(CUTS)) $(if $(TABLES),--tables $(TABLES)) \
		$(if $(CYCLES),--cycles $(CYCLES)) $(if $(FLIPS),--flips $(FLIPS)) $(if $(TAILS),--tails $(TAILS)) $(if $(CALLS),--calls $(CALLS))

soak: build     ## hours of `up` under a steady load with a kill -9 every minute: rows, files, memory; MINUTES=120 RATE=200 SEED=
	@tools/bootstrap build test
	@$(PYTHON) tests/torture/soak.py --binary build/pinpipe $(if $(MINUTES),--minutes $(MINUTES)) \
		$(if $(RATE),--rate $(RATE)) $(if $(SEED),--seed $(SEED))

abuse: build    ## requests that break the rules, to the gateway and to nginx: both verdicts
	@tools/bootstrap build test
	@$(PYTHON) tests/http/abuse.py

fuzz:      ## libFuzzer on every parser; SECONDS=60 each, or RUNS=1000000
	@tools/bootstrap build fuzz
	@test -f build-fuzz/build.ninja || CC=clang CXX=clang++ meson setup build-fuzz -Dfuzz=true -Dtests=false \
		-Dwerror=false -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=2 -Ddebug=true \
		-Dcpp_args=-fsanitize=fuzzer-no-link \
		"-Dc_args=-fsanitize=fuzzer-no-link -fsanitize-coverage-ignorelist=$(CURDIR)/tests/fuzz/unwatched.txt"
	@ninja -C build-fuzz --quiet $(patsubst %.c,%,$(wildcard tests/fuzz/fuzz_*.c))
	@$(PYTHON) tests/fuzz/fuzz.py $(if $(RUNS),--runs $(RUNS),--seconds $(or $(SECONDS),20))

bench:     ## every figure beside a limit or a peer, in the same run; OLD=path/to/pinpipe: beside an older one; PARTS="ingest …", ROUNDS=, LAPSE=1800
	@tools/bootstrap build bench
	@test -f build-bench/build.ninja || meson setup build-bench -Dbench=true -Dtests=false -Dwerror=false -Db_lto=true
	@ninja -C build-bench --quiet
	@$(PYTHON) bench/$(if $(OLD),compare.py --old $(OLD),run.py) $(PARTS) $(if $(ROUNDS),--rounds $(ROUNDS)) \
		$(if $(LAPSE),--lapse $(LAPSE))

lint:      ## clang with -Werror, gcc -fanalyzer, clang-tidy, shellcheck, and the house rules
	@tools/bootstrap build test lint
	@tools/lint

reference: build ## write docs/reference.md and pinpipe.yaml.example from the tables in the code
	build/reference docs >docs/reference.md
	build/reference example >pinpipe.yaml.example

clean:     ## what was built; .cache stays
	rm -rf build build-*
