# `make` lists the targets.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

TOOL := go tool -modfile=tools/go.mod
FUZZTIME ?= 10m
BENCH ?= .
COUNT ?= 6

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: check
check: ## everything that CI runs
	.ci/run

.PHONY: test
test: ## the tests, with the race detector
	go test -race ./...

.PHONY: lint
lint: ## the linters
	$(TOOL) golangci-lint run ./...

.PHONY: fmt
fmt: ## format the code
	$(TOOL) gofumpt -w $$(git ls-files '*.go')

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10m)
	.ci/fuzz $(FUZZTIME)

.PHONY: bench
bench: ## the benchmarks matching BENCH, COUNT times, summed up by benchstat
	go test -run '^$$' -bench '$(BENCH)' -benchmem -count $(COUNT) ./... | tee bench.out
	$(TOOL) benchstat bench.out

.PHONY: bench-compare
bench-compare: ## riffle bench, compared with bench/results/baseline.json; fails on what is worse than the noise
	go run ./cmd/riffle bench --compare bench/results/baseline.json

.PHONY: interop
interop: ## the tests against Jaeger and the Collector; the first run builds both, for some minutes
	cd bench/interop && RIFFLE_INTEROP=1 go test -count 1 -timeout 45m ./...

.PHONY: soak
soak: ## the demo with many requests under the race detector, the sampling engine over many seeds, and the disk queue killed and without power
	go run -race ./cmd/riffle demo --requests 100000
	go test -count 1 -timeout 30m -run '^TestOutage$$' ./cmd/riffle/internal/demo -outage-requests 45000
	go test -count 1 -timeout 30m -run '^TestOracle$$' ./core -seeds 50000
	go test -count 1 -timeout 30m -run '^TestUnbiased$$' ./core -seeds 1000
	go test -count 1 -timeout 60m ./core/delivery/disk -histories 10000 -rounds 200 -files 100000
	go test -count 1 -timeout 60m -run '^TestKill$$' ./core/delivery -rounds 200

.PHONY: mutants
mutants: ## the sampling engine broken on purpose, which its tests must notice
	RIFFLE_MUTANTS=1 go test -count 1 -timeout 30m -v -run '^TestMutants$$' ./core

.PHONY: vulnerabilities
vulnerabilities: ## known vulnerabilities in what riffle calls; asks the Go project's database
	$(TOOL) govulncheck ./...
