# `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

# A tool of tools/go.mod, which is no part of the workspace.
TOOL := GOWORK=off go tool -modfile=tools/go.mod
FUZZTIME ?= 10m
BENCH ?= .
COUNT ?= 6
# What make bench measures, how, and the file of bench/results that it writes.
PACKAGES ?= work
BENCHFLAGS ?=
RESULTS ?= last

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: ## everything that CI runs
	.ci/run

.PHONY: test
test: ## the tests, with the race detector
	go test -race work

.PHONY: lint
lint: ## the linters
	.ci/lint

.PHONY: fmt
fmt: ## format the code
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10m)
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## the benchmarks matching BENCH in PACKAGES, COUNT times, into bench/results/RESULTS.txt, summed up by benchstat
	bench/record $(RESULTS) 1 go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) $(BENCHFLAGS) $(PACKAGES)
	$(TOOL) benchstat bench/results/$(RESULTS).txt

.PHONY: bench-compare
bench-compare: ## riffle bench, compared with bench/results/full.json; fails on what is worse than the noise
	go run -buildvcs=true ./cmd/riffle bench --compare bench/results/full.json

.PHONY: sizes
sizes: ## what each exporter of all adds to a binary
	bench/sizes

.PHONY: rivals
rivals: BENCHTIME ?= 200000x
rivals: ## riffle against the stock SDK and Datadog's tracer, COUNT times in turn, into bench/results/rivals.txt, summed up by benchstat
	GOWORK=off bench/record rivals $(COUNT) go -C bench/rivals test -run '^$$' -bench Trace -benchtime $(BENCHTIME) -timeout 30m .
	$(TOOL) benchstat -col /tracer -row /rate bench/results/rivals.txt

.PHONY: tiers
tiers: BENCHTIME ?= 20000x
tiers: ## a service with riffle against one with a Collector, COUNT times in turn, into bench/results/tiers.txt; builds the Collector first, for some minutes
	GOWORK=off RIFFLE_INTEROP=1 bench/record tiers $(COUNT) go -C bench/rivals test -run '^$$' -bench Tail -benchtime $(BENCHTIME) -timeout 60m .
	$(TOOL) benchstat -col /tier bench/results/tiers.txt

.PHONY: interop
interop: ## the tests against Jaeger and the Collector; the first run builds both, for some minutes
	cd bench/interop && GOWORK=off RIFFLE_INTEROP=1 go test -count 1 -timeout 45m ./...

.PHONY: routers
routers: ## rules for routes against real routers, each with its instrumentation
	cd bench/routers && GOWORK=off go test -count 1 ./...

.PHONY: browser
browser: ## the page of riffle view in Debian's Chromium, with its pictures in bench/browser/pictures; make page first
	cd bench/browser && GOWORK=off go test -count 1 ./... -pictures pictures

.PHONY: soak
soak: ## the demo with many requests under the race detector, the recorder over many histories, the disk queue killed and without power, and plugins and their hosts killed
	go run -race ./cmd/riffle demo --requests 100000
	go test -count 1 -timeout 30m -run '^TestOutage$$' ./cmd/riffle/internal/demo -outage-requests 45000
	go test -count 1 -timeout 90m -run '^TestLaw$$' ./core/record -seeds 300000
	go test -count 1 -timeout 60m -run '^TestDifferential$$' ./core/record -histories 1000000
	go test -count 1 -timeout 30m -run '^TestUnbiased$$' ./core -seeds 1000
	go test -count 1 -timeout 30m -run '^TestReloadUnderLoad$$' . -reloads 10000
	go test -count 1 -timeout 60m ./core/delivery/disk -histories 10000 -rounds 200 -files 100000
	go test -count 1 -timeout 60m -run '^TestKill$$' ./core/delivery -rounds 200
	go test -count 1 -timeout 60m -run '^TestChaos$$' ./core/delivery -days 30
	go test -count 1 -timeout 60m -run '^TestChaosWithRestarts$$' ./exporters/otlp -restarts 300
	go test -count 1 -timeout 60m -run '^(TestPoison|TestHalfOfTheBackendIsDead|TestMemory)' ./exporters/otlp -default-settings
	go test -count 1 -timeout 30m -run '^TestKill' ./plugins/host -kills 100 -hosts 50

.PHONY: mutants
mutants: ## the recorder broken on purpose, which its tests must notice
	RIFFLE_MUTANTS=0/1 go test -count 1 -timeout 60m -v -run '^TestLawMutants$$' ./core/record

.PHONY: proto
proto: ## the code and the descriptors of the plugins' wire
	cd tools && GOWORK=off go run ./protogen ../plugins/proto riffle/plugin/v1/plugin.proto
	go test ./plugins/python -run '^TestDescriptors$$' -update

.PHONY: page
page: ## the page of riffle view, from cmd/riffle/internal/viewer/ui; takes what it is made with from npm's registry
	cmd/riffle/internal/viewer/ui/build

.PHONY: release
release: ## a commit whose modules require each other as VERSION, and a tag for each; publishes nothing
	cd tools && GOWORK=off go run ./release $(VERSION)

.PHONY: vulnerabilities
vulnerabilities: ## known vulnerabilities in what riffle calls; asks the Go project's database
	.ci/vulnerabilities

.PHONY: licences
licences: ## licences of what riffle is built from
	.ci/licences
