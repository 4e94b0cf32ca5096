# `make` prints this help. CI runs `make ci`; a person needs `make demo` and `make test`.

GOLANGCI_LINT_VERSION := v2.15.0
BENCHSTAT_VERSION     := v0.0.0-20260908200009-22c9c6c9d4da

BIN  := $(CURDIR)/bin
PKGS := ./...
export CGO_ENABLED := 1

.DEFAULT_GOAL := help
.PHONY: help build run demo test test-postgres race lint fmt fuzz explore golden bench truth soak siege leases ci clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

build: ## the one binary, ./callwheel
	go build -o callwheel ./cmd/callwheel

run: build ## the server on an embedded SQLite file in this folder
	./callwheel serve

demo: build ## the product in one command: 60 days of history through the real doors, then live calls
	./callwheel demo

test: ## every test that needs nothing but this machine; PostgreSQL too when TEST_POSTGRES_URL is set
	@scripts/test.sh $(PKGS)

test-postgres: ## as test, on a PostgreSQL that is running here
	@TEST_POSTGRES_URL=$${TEST_POSTGRES_URL:-postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable} scripts/test.sh $(PKGS)

race: ## the tests under the race detector
	@scripts/test.sh -race $(PKGS)

lint: $(BIN)/golangci-lint ## formatting, vet, linters
	$(BIN)/golangci-lint run $(PKGS)

fmt: $(BIN)/golangci-lint ## format the code
	$(BIN)/golangci-lint fmt

fuzz: ## every fuzz target for 30 s each
	@scripts/fuzz.sh 30s

explore: ## the property tests on ten times as many cases, drawn anew; an hour with PostgreSQL
	@scripts/explore.sh 1000

golden: ## write the golden files anew; read the difference before you commit it
	@scripts/golden.sh

bench: ## the benchmarks of the hot paths, five rounds each
	go test -run '^$$' -bench . -benchmem -count 5 $(PKGS)

truth: ## is it as sure as it says? 20,000 calls of which the truth is known, on every database here; half an hour
	CALLWHEEL_TRUTH=$${CALLS:-20000} go test ./cmd/callwheel -count=1 -v -timeout 4h -run '^TestTruth'

soak: build ## kill -9 under load, 50 rounds; minutes
	@scripts/kill9.sh 50

siege: ## twenty hostile addresses at 200/s for 60 s of a moved clock, on every database here
	SIEGE_SECONDS=60 go test ./attribution -count=1 -run TestTwentyHostileAddressesTakeNobodysNumber -v -timeout 20m

leases: build ## two servers on one PostgreSQL, 60 s: no number is lent twice
	@TEST_POSTGRES_URL=$${TEST_POSTGRES_URL:-postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable} scripts/leases.sh 60

ci: ## what CI runs: lint, tests under the race detector on every database here, kill -9, generated files
	@scripts/ci.sh

clean: ## what the other targets made
	rm -rf callwheel bin demo-data

$(BIN)/golangci-lint:
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)

$(BIN)/benchstat:
	GOBIN=$(BIN) go install golang.org/x/perf/cmd/benchstat@$(BENCHSTAT_VERSION)
