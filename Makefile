# `make` prints this list. Logic lives in Go; a target is a line or two.
.DEFAULT_GOAL := help
SHELL := /bin/sh
GO ?= go
# As the product is built, so that all that does not run under the race detector shares what is compiled.
export CGO_ENABLED := 0
SEED ?=
N ?= 10000
FUZZTIME ?= 20s
# Built on the first run. make lint LINT=golangci-lint takes an installed one.
LINT ?= $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.12.0
# The packages that run under the race detector; simulation and end-to-end tests run without it, afterwards.
PACKAGES = $$($(GO) list ./... | grep -v -e /sim$$ -e /sim/simshell$$ -e /internal/mutants$$ -e /e2e$$)

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

build: ## bin/shardmill, static and stripped
	$(GO) build -trimpath -ldflags='-s -w' -o bin/shardmill ./cmd/shardmill

test: preflight sumtypes race sim200 mutants e2e ## everything: the gate

preflight: ## say which tool is missing, and what installs it
	@sh internal/preflight/preflight.sh

race: ## all packages under the race detector
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	CGO_ENABLED=1 $(GO) test -race -timeout 10m $(PACKAGES)

sumtypes: ## closed sets are handled completely, everywhere
	$(GO) tool go-check-sumtype -include-shared-interfaces ./...
	$(GO) tool exhaustive -d ./...

spec: ## the scripts of the cores
	$(GO) test -count=1 ./esm ./function/fleet -run TestScripts

golden: venv e2e/java/kcl3/out/.compiled ## rewrite expected output of scripts and of recorded calls; read the diff like code
	$(GO) test -count=1 ./esm ./function/fleet -run TestScripts -rewrite
	$(GO) test -count=1 ./e2e -run TestRecordGoldens -args -golden.record

sim200: ## both simulators, a few hundred seeds each
	$(GO) test -count=1 -timeout 10m ./sim
	$(GO) test -count=1 -timeout 10m ./sim/simshell -args -simshell.seeds=200

mutants: ## would a test notice? one quiet bug after another, each with the test that catches it; make mutants ONLY=lane
	$(GO) test -count=1 -timeout 15m ./internal/mutants $(if $(ONLY),-v -run TestMutantsAreCaught -args -mutants.only='$(ONLY)')

spec-mutants: ## what do the core's scripts prove? flip one decision of esm after another: make spec-mutants N=120
	$(GO) run ./internal/mutants/spec $(if $(N),-n $(N))

sim: ## the simulator at length: make sim N=10000, or one seed: make sim SEED=42 N=1
	$(GO) test -count=1 -timeout 60m -v ./sim -run 'TestSim$$|Agree' -args -sim.seeds=$(N) -sim.pairs=$(N) $(if $(SEED),-sim.seed=$(SEED))

owners: ## two engines over one store hand shards over: make owners N=150, or other ones: make owners SEED=42 N=150
	$(GO) test -count=1 -timeout 60m -v ./engine -run TestTwoOwners$$ -args -owners.rounds=$(N) $(if $(SEED),-owners.seed=$(SEED))

simshell: ## the simulator of the shell: make simshell N=3000, or one seed's faults: make simshell SEED=42 N=1
	$(GO) test -count=1 -timeout 60m -v ./sim/simshell -run TestShell$$ -args -simshell.seeds=$(N) $(if $(SEED),-simshell.seed=$(SEED))

e2e: venv e2e/javascript/node_modules e2e/java/kcl3/out/.compiled ## real clients, kill rounds, the command line
	$(GO) test -count=1 -p 1 -timeout 15m ./e2e

tutorial: venv ## docs/tutorial.md alone; another AWS CLI: make tutorial AWS=PROGRAM
	$(GO) test -count=1 -v -timeout 10m ./e2e -run 'TestTutorial$$' $(if $(AWS),-args -tutorial.aws=$(AWS))

terraform: venv ## a pipeline by Terraform, whose AWS provider lies in a folder: make terraform MIRROR=DIR
	$(GO) test -count=1 -v -timeout 15m ./e2e -run 'TestTerraform' -args -terraform.mirror=$(MIRROR)

CLIENTS = $(patsubst %,e2e/java/%/out/.compiled,kcl1 kcl2 kcl3 kpl camel)
clients: venv e2e/javascript/node_modules e2e/javascript/lifion/node_modules $(CLIENTS) ## the clients that fetch too much or take too long for the gate
	$(GO) test -count=1 -p 1 -timeout 20m ./e2e -run 'KinesisClientLibrary|ProducerLibrary|Camel|SDK|Lifion|CLISends' -args -clients

venv: .venv/.installed
.venv/.installed: e2e/requirements.txt e2e/wheels.txt e2e/packaged.txt
	python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r e2e/requirements.txt
	.venv/bin/pip download --quiet --disable-pip-version-check --only-binary :all: -d .venv/wheels -r e2e/wheels.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv/packaged -r e2e/packaged.txt
	touch $@

kinesalite: e2e/kinesalite/node_modules ## 16,000 answers beside those of kinesalite, whose checks and texts were recorded from AWS
	$(GO) test -count=1 -v ./e2e -run TestAnswersAreThoseOfKinesalite -args -kinesalite

e2e/kinesalite/node_modules: e2e/kinesalite/package-lock.json
	cd e2e/kinesalite && npm ci --silent --ignore-scripts --omit=optional --no-audit --no-fund && touch node_modules

.SECONDEXPANSION:
e2e/javascript/node_modules e2e/javascript/lifion/node_modules: $$(@D)/package-lock.json
	cd $(@D) && npm ci --silent --no-audit --no-fund && touch node_modules

# Maven fetches what the programs of a folder run on; what folders have in common is in shared.
e2e/java/%/out/.compiled: e2e/java/%/pom.xml $$(wildcard e2e/java/%/*.java e2e/java/shared/*.java)
	rm -rf $(@D) && mkdir $(@D) && cd e2e/java/$* && mvn --batch-mode --quiet dependency:build-classpath
	cd e2e/java/$* && javac -encoding UTF-8 -d out -sourcepath .:../shared -cp "$$(cat out/classpath)" *.java
	touch $@

# Their versions are those whose answers testdata/ric holds. Both may have to be built (cmake, a C++ compiler, autoconf, automake, libtool).
ric-oracle: ## record again what AWS's own runtime clients answer, in minutes; read the diff like code
	python3 -m venv .ric/python && .ric/python/bin/pip install --quiet --disable-pip-version-check awslambdaric==4.2.2
	npm install --silent --no-audit --no-fund --prefix .ric/nodejs aws-lambda-ric@3.3.0
	$(GO) test -count=1 ./function -run TestRuntimesAnswerAsThoseOfAWS -args -ric.record=$(CURDIR)/.ric

fuzz: ## every fuzz target for FUZZTIME
	$(GO) run ./internal/fuzzall -time $(FUZZTIME)

image: ## bin/shardmill-image.tar, for docker load and podman load; make image PLATFORMS=linux/amd64,linux/arm64
	$(GO) run ./internal/image/write $(if $(PLATFORMS),-platforms $(PLATFORMS))

bench: build ## every figure beside its raw reference
	$(GO) run ./internal/bench

lint: ## golangci-lint with the rules of .golangci.yml
	$(LINT) run --timeout 10m

check: test lint ## the gate and the linter

.PHONY: help build test preflight race sumtypes spec golden sim200 sim owners simshell mutants spec-mutants e2e tutorial kinesalite terraform clients venv ric-oracle fuzz image bench lint check
