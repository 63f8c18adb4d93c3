package main

import "strings"

// figures returns all figures, in the order in which they run. Targets are the project's, for two processors shared
// with the load generator.
func figures() []figure {
	rate := func(at float64, of map[string]float64) []metric { return []metric{{unit: "rec/s", at: at, of: of}} }
	return append([]figure{
		{
			name: "append-1", what: "append 1 KB in process, 1 producer",
			metrics: rate(0, map[string]float64{"pre": .55, "app": .90}), build: appends(1, 1),
		},
		{
			name: "append-64", what: "append 1 KB in process, 64 producers",
			metrics: rate(0, map[string]float64{"pre": .40, "app": .90}), build: appends(64, 1),
		},
		{
			name: "append-8x100", what: "append 100 × 1 KB in process, 8 producers",
			metrics: rate(0, map[string]float64{"app": 1}), build: appends(8, 100),
		},
		{
			name: "puts-1k-durable", what: "PutRecords × 500, 1 KB, durable",
			metrics: rate(150_000, map[string]float64{"app": .25}),
			build:   puts{conns: 4, records: 500, size: 1024, durable: true}.build,
		},
		{
			name: "puts-100-durable", what: "PutRecords × 500, 100 B, durable", metrics: rate(350_000, nil),
			build: puts{conns: 4, records: 500, size: 100, durable: true}.build,
		},
		{
			name: "puts-100-memory", what: "PutRecords × 500, 100 B, memory", metrics: rate(600_000, nil),
			build: puts{conns: 4, records: 500, size: 100}.build,
		},
		{
			name: "puts-100-cbor", what: "PutRecords × 500 in CBOR, 100 B, memory",
			metrics: rate(0, map[string]float64{"json": 1}), build: encodings{conns: 4, size: 100}.build,
		},
		{
			name: "puts-1k-cbor", what: "PutRecords × 500 in CBOR, 1 KB, memory",
			metrics: rate(0, map[string]float64{"json": 1.1}), build: encodings{conns: 4, size: 1024}.build,
		},
		{
			name: "put-64-durable", what: "PutRecord, 100 B, durable, 64 connections",
			metrics: rate(12_000, map[string]float64{"bare": .6}),
			build:   puts{conns: 64, records: 1, size: 100, durable: true}.build,
		},
		{
			name: "put-1-memory", what: "PutRecord, 100 B, memory, 1 connection",
			metrics: putMetrics(0), build: puts{conns: 1, records: 1, size: 100}.build,
		},
		{
			name: "put-16-memory", what: "PutRecord, 100 B, memory, 16 connections",
			metrics: putMetrics(1.6), build: puts{conns: 16, records: 1, size: 100}.build,
		},
		{
			name: "put-16-tls", what: "PutRecord, 100 B, memory, 16 connections over TLS",
			metrics: []metric{{unit: "rec/s", of: map[string]float64{"plain": .5}}},
			build:   secure{conns: 16, size: 100}.build,
		},
		{
			name: "put-16-http2", what: "PutRecord, 100 B, memory, 16 at a time over HTTP/2 and TLS",
			metrics: []metric{{unit: "rec/s"}, {name: "p99", unit: "ms", lower: true, index: 1, digits: 2}},
			build:   twofold{streams: 16, size: 100}.build,
		},
		{
			name: "put-16-signed", what: "PutRecord, 100 B, memory, 16 connections, signatures verified",
			metrics: []metric{{unit: "rec/s", of: map[string]float64{"parsed": 1 / 1.15}}},
			build:   signed{conns: 16, size: 100}.build,
		},
		{
			name: "get-drain", what: "GetRecords, 100 B, a connection per shard", metrics: rate(800_000, nil),
			build: buildDrain,
		},
		{
			name: "push-durable", what: "put → SubscribeToShard, durable, 1,000 rec/s", metrics: pushMetrics(0),
			build: pushed{consumers: 1, shards: 1, perSecond: 1000, batch: 1, durable: true}.build,
		},
		{
			name: "push-200", what: "put → 200 subscriptions, 40 shards, memory, 2,000 rec/s", metrics: pushMetrics(1),
			build: pushed{consumers: 5, shards: 40, perSecond: 2000, batch: 20}.build,
		},
		{name: "visible-memory", what: "put → visible, memory", metrics: visibleMetrics(.5), build: visible(false)},
		{name: "visible-durable", what: "put → visible, durable", metrics: visibleMetrics(1), build: visible(true)},
		{
			name: "backlog-go-1000", what: "backlog to Go, BatchSize 1000",
			metrics: rate(350_000, map[string]float64{"bare": .6}),
			build:   backlog{batch: 1000, records: 160_000, handler: "count"}.build,
		},
		{
			name: "backlog-go-100", what: "backlog to Go, BatchSize 100",
			metrics: rate(140_000, map[string]float64{"bare": .55}),
			build:   backlog{batch: 100, records: 80_000, handler: "count"}.build,
		},
		{
			name: "backlog-python-100", what: "backlog to Python that counts, BatchSize 100",
			metrics: rate(0, map[string]float64{"bare": .75}),
			build:   backlog{batch: 100, records: 40_000, handler: "handler.count"}.build,
		},
		{
			name: "both-1000", what: "put and deliver at once, 1 KB, BatchSize 1000",
			metrics: bothMetrics(110_000), rounds: 3, build: both{batch: 1000, perSecond: 125_000}.build,
		},
		{
			name: "both-100", what: "put and deliver at once, 1 KB, BatchSize 100",
			metrics: bothMetrics(70_000), rounds: 3, build: both{batch: 100, perSecond: 80_000}.build,
		},
		{name: "filtered", what: "10,000 filtered records, 1 KB, BatchSize 100", metrics: []metric{
			{name: "processor", unit: "ms", lower: true, of: map[string]float64{"delivered": .3}, digits: 1},
			{name: "wall", unit: "ms", lower: true, of: map[string]float64{"delivered": .3}, index: 1, digits: 1},
		}, build: sieved{batch: 100, records: 80_000}.build},
		{
			name: "start-go", what: "put → function start, durable, Go, 1,000 rec/s",
			metrics: startMetrics(1.5, 6), build: latency{handler: "stamp", perSecond: 1000, records: 1500}.build,
		},
		{
			name: "start-go-memory", what: "put → function start, memory, Go, 1,000 rec/s", metrics: startMetrics(0, 0),
			build: latency{handler: "stamp", perSecond: 1000, records: 1500, memory: true}.build,
		},
		{name: "start-python", what: "put → function start, durable, Python, 5 rec/s", metrics: []metric{
			{name: "p50", unit: "ms", lower: true, of: map[string]float64{"bare": 2}, digits: 2},
		}, build: latency{handler: "handler.stamp", perSecond: 5, records: 10}.build},
		{
			name: "invoke-1", what: "Invoke, warm Python, 1 client",
			metrics: []metric{{unit: "calls/s", of: map[string]float64{"bare": .9}}}, build: invokes(1),
		},
		{
			name: "invoke-8", what: "Invoke, warm Python, 8 clients",
			metrics: []metric{{unit: "calls/s", of: map[string]float64{"bare": .9}}}, build: invokes(8),
		},
		{name: "start", what: "start of dev, exec → ready, 30 starts", rounds: 30, metrics: []metric{
			{name: "p50", unit: "ms", lower: true, of: map[string]float64{"ready": 1.6}, digits: 1},
			{name: "p90", unit: "ms", lower: true, upper: true, digits: 1},
		}, build: starts(false)},
		{name: "start-serve", what: "start of serve, empty directory, 30 starts", rounds: 30, metrics: []metric{
			{name: "p50", unit: "ms", lower: true, digits: 1},
			{name: "p90", unit: "ms", lower: true, upper: true, digits: 1},
		}, build: starts(true)},
		{name: "idle-memory", what: "idle memory", metrics: memoryMetrics(), build: buildIdle},
		{name: "retention", what: "retention at 40 MB/s", rounds: 3, metrics: []metric{
			{name: "device bytes", unit: "× payload", lower: true, at: 2.5, digits: 2},
			{name: "worst put", unit: "ms", lower: true, at: 50, index: 1, upper: true},
			{name: "worst put, its calls of the disk left out", unit: "ms", lower: true, at: 50, index: 2, upper: true},
			{name: "worst put, stalls of the machine left out", unit: "ms", lower: true, at: 50, index: 3, upper: true},
			{name: "longest stall of the machine", unit: "ms", lower: true, index: 4, upper: true},
		}, build: buildRetention},
		{name: "reopen", what: "reopen after kill -9", metrics: []metric{
			{name: "exec → ready", unit: "ms", lower: true, at: 1000, digits: 0}, {name: "data", unit: "MiB", index: 1},
		}, build: buildReopen},
		{name: "idle-connections", what: "5,000 idle connections, memory", rounds: 3, metrics: []metric{
			{name: "VmRSS", unit: "MiB", lower: true, at: 60, of: map[string]float64{"bare": 1.1}, digits: 1},
			{name: "RssAnon", unit: "MiB", lower: true, index: 1, digits: 1},
		}, build: buildConnections},
	}, shardFigures()...)
}

// putMetrics are those of PutRecord in memory; p99 in milliseconds.
func putMetrics(p99 float64) []metric {
	return []metric{
		{unit: "rec/s", of: map[string]float64{"bare": 1}},
		{name: "p99", unit: "ms", lower: true, at: p99, index: 1, digits: 2},
	}
}

func startMetrics(p50, p99 float64) []metric {
	return []metric{
		{name: "p50", unit: "ms", lower: true, at: p50, of: map[string]float64{"bare": 1.6}, digits: 2},
		{name: "p99", unit: "ms", lower: true, at: p99, index: 1, digits: 2},
	}
}

func bothMetrics(at float64) []metric {
	return []metric{
		{unit: "rec/s", at: at},
		{name: "age at the begin, p50", unit: "ms", lower: true, index: 1, digits: 1},
		{name: "age at the end, p50", unit: "ms", lower: true, index: 2, digits: 1},
		{name: "growth of the age", unit: "ms", lower: true, at: 10, index: 3, digits: 1},
	}
}

func isPython(handler string) bool { return strings.HasPrefix(handler, "handler.") }

func visibleMetrics(p50 float64) []metric {
	return []metric{
		{name: "p50", unit: "ms", lower: true, at: p50, digits: 3},
		{name: "p99", unit: "ms", lower: true, index: 1, digits: 3},
	}
}

// memoryMetrics returns metrics in the order of idle's values: dev, serve, and demo.
func memoryMetrics() []metric {
	m := []metric{
		{name: "dev, VmRSS", of: map[string]float64{"ready": 1.4}},
		{name: "dev, RssAnon"},
		{name: "serve, VmRSS"},
		{name: "serve, RssAnon"},
		{name: "after demo, VmRSS"},
		{name: "after demo, RssAnon"},
	}
	for i := range m {
		m[i].unit, m[i].lower, m[i].index, m[i].digits = "MiB", true, i, 1
	}
	return m
}
