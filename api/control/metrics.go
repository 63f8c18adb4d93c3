package control

import (
	"cmp"
	"maps"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/metric"
)

// Kinds of metric families.
const (
	counter = "counter"
	gauge   = "gauge"
	summary = "summary"
)

// family is one metric in Prometheus' text format 0.0.4.
// Source: Prometheus documentation, "Exposition formats".
type family struct {
	name, kind, help string
	of               metric.Kind // what it shows
	value            func(metric.Total) float64
}

func sum(t metric.Total) float64     { return t.Sum }
func seconds(t metric.Total) float64 { return t.Sum / 1000 }

// families are those of functions and mappings, from the same series as CloudWatch's, counted since the process
// started.
func families() []family {
	return []family{
		{"shardmill_function_invocations_total", counter, "Invocations whose code ran.", metric.Invocations, sum},
		{"shardmill_function_errors_total", counter, "Invocations that ended in a function error.", metric.Errors, sum},
		{
			"shardmill_function_throttles_total", counter, "Attempts refused for lack of concurrency.",
			metric.Throttles, sum,
		},
		{
			"shardmill_function_duration_seconds", summary, "Time in handlers, without the init phase.",
			metric.Duration, seconds,
		},
		{
			"shardmill_function_cold_starts_total", counter, "Invocations that began with an init phase.",
			metric.ColdStarts, sum,
		},
		{
			"shardmill_function_delivery_failures_total", counter, "Sends to a destination that failed.",
			metric.DeliveryFailures, sum,
		},
		{
			"shardmill_mapping_iterator_age_seconds", gauge,
			"Age of the last record of the last batch as it went to the function.", metric.MappingIteratorAge,
			func(t metric.Total) float64 { return t.Last / 1000 },
		},
		{
			"shardmill_mapping_records_settled_total", counter, "Records of batches that succeeded.",
			metric.RecordsSettled, sum,
		},
		{"shardmill_mapping_records_discarded_total", counter, "Records given up.", metric.RecordsDiscarded, sum},
		{
			"shardmill_mapping_states_dropped_total", counter, "States of tumbling windows given up.",
			metric.StatesDropped, sum,
		},
		{
			"shardmill_mapping_retention_losses_total", counter,
			"Times that retention took records before they were processed.", metric.RetentionLosses, sum,
		},
	}
}

// exposition is a page in the text format.
type exposition struct{ b []byte }

func (e *exposition) head(name, kind, help string) {
	e.b = append(e.b, "# HELP "+name+" "+help+"\n# TYPE "+name+" "+kind+"\n"...)
}

func (e *exposition) sample(name, labels string, v float64) {
	e.b = append(append(e.b, name...), labels...)
	e.b = append(strconv.AppendFloat(append(e.b, ' '), v, 'g', -1, 64), '\n')
}

// one is a family of a single sample.
func (e *exposition) one(name, kind, help string, v float64) {
	e.head(name, kind, help)
	e.sample(name, "", v)
}

// labels are pairs of name and value.
func labels(pairs ...string) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(pairs[i] + `="` + escape.Replace(pairs[i+1]) + `"`)
	}
	return b.String() + "}"
}

// metrics answers Prometheus. It reads counters, and asks mappings what they do, for a second at most.
func (h *handler) metrics(w http.ResponseWriter, r *http.Request) {
	type sample struct {
		labels string
		total  metric.Total
	}
	found := map[metric.Kind][]sample{}
	h.Metrics.Each(func(id metric.ID, unit string, t metric.Total) {
		k := metric.Kind{Namespace: id.Namespace, Name: id.Name, Unit: unit}
		if len(id.Dimensions) == 1 {
			found[k] = append(found[k], sample{
				labels(
					"account", id.Account, "region", id.Region, label(id.Dimensions[0].Name), id.Dimensions[0].Value,
				),
				t,
			})
		}
	})
	var e exposition
	for _, f := range families() {
		if len(found[f.of]) == 0 {
			continue
		}
		e.head(f.name, f.kind, f.help)
		for _, x := range found[f.of] {
			switch {
			case f.kind == summary:
				e.sample(f.name+"_sum", x.labels, f.value(x.total))
				e.sample(f.name+"_count", x.labels, x.total.Count)
			case f.kind == counter || x.total.Count > 0: // an age that was never measured is not 0
				e.sample(f.name, x.labels, f.value(x.total))
			}
		}
	}
	e.shards(h.Statuses.Statuses(r.Context()), h.Clock.Now())
	if n, durable := h.Server.Retries(); durable {
		e.one(
			"shardmill_store_retries_total", counter,
			"Flushes, compactions and reads of tables that failed and were tried again.", float64(n),
		)
	}
	e.requests(h.Server.Usage())
	if h.Dev {
		e.chaos(h.Chaos.ChaosTotals())
	}
	e.process(cmp.Or(h.Version, "unknown"), h.Began)
	wire.WriteBytes(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", e.b)
}

// requests writes how much memory requests hold, and how many were refused.
func (e *exposition) requests(u wire.Usage) {
	e.one("shardmill_requests_under_way", gauge, "Requests under way.", float64(u.Requests))
	e.one(
		"shardmill_request_bodies_bytes", gauge,
		"Bytes of the bodies of requests under way; --body-memory bounds them.", float64(u.Bytes),
	)
	e.head(
		"shardmill_requests_refused_total", counter,
		"Requests answered 503: no memory for the body, a body that came too slowly, too many requests.",
	)
	for _, why := range slices.Sorted(maps.Keys(u.Refused)) {
		e.sample("shardmill_requests_refused_total", labels("reason", why), float64(u.Refused[why]))
	}
	e.one(
		"shardmill_request_panics_total", counter, "Requests that ended in a panic, each of which is in the log.",
		float64(u.Panics),
	)
}

// label returns a dimension as Prometheus spells it.
func label(dimension string) string {
	if dimension == metric.MappingUUID {
		return "mapping"
	}
	return "function"
}

// process writes metrics of this process, under the names that Prometheus' own libraries use.
func (e *exposition) process(version string, began time.Time) {
	e.head("shardmill_build_info", gauge, "Always 1; the labels name the build.")
	e.sample("shardmill_build_info", labels("version", version, "go", runtime.Version()), 1)
	for _, r := range []struct{ from, name, kind, help string }{
		{"/sched/goroutines:goroutines", "go_goroutines", gauge, "Goroutines that exist."},
		{
			"/memory/classes/heap/objects:bytes", "go_memory_heap_objects_bytes", gauge,
			"Memory of objects that live or are not swept yet.",
		},
		{"/memory/classes/total:bytes", "go_memory_mapped_bytes", gauge, "Memory mapped by the Go runtime."},
		{"/gc/cycles/total:gc-cycles", "go_gc_cycles_total", counter, "Garbage collections."},
	} {
		sample := []metrics.Sample{{Name: r.from}}
		metrics.Read(sample)
		if sample[0].Value.Kind() == metrics.KindUint64 {
			e.one(r.name, r.kind, r.help, float64(sample[0].Value.Uint64()))
		}
	}
	if bytes, ok := resident(); ok {
		e.one("process_resident_memory_bytes", gauge, "Memory of this process that lies in RAM.", bytes)
	}
	e.one(
		"process_start_time_seconds", gauge, "When this process started to serve, since 1970.",
		float64(began.UnixMilli())/1000,
	)
}

// resident returns the resident memory on Linux; other systems have no simple way.
func resident() (bytes float64, ok bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	return float64(pages) * float64(os.Getpagesize()), err == nil
}
