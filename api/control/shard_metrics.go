package control

import (
	"strconv"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/record"
)

// shards writes how every shard of every mapping stands right now. It is asked for when it is read, so it costs nothing
// in between.
func (e *exposition) shards(all []engine.MappingStatus, now time.Time) {
	type sample struct {
		labels string
		value  float64
	}
	var phases, problems, lags, buffered, attempts, waits, windows []sample
	for i := range all {
		for j := range all[i].Shards {
			sh := &all[i].Shards[j]
			of := func(more ...string) string {
				return labels(append([]string{"mapping", all[i].UUID, "shard", sh.Shard.String()}, more...)...)
			}
			phases = append(phases, sample{of("phase", sh.Phase.String()), 1})
			stuck := 0.0
			if all[i].Problem != "" || sh.Problem != "" || sh.Parked != "" {
				stuck = 1
			}
			problems = append(problems, sample{of(), stuck})
			m := sh.Machine
			if m == nil {
				continue
			}
			buffered = append(buffered, sample{of(), float64(m.Records)})
			if m.Window.End > 0 {
				windows = append(windows, sample{of(), seconds1970(m.Window.Start)})
			}
			oldest := record.Millis(0)
			for lane := range m.Lanes {
				l := &m.Lanes[lane]
				n := strconv.Itoa(lane)
				waits = append(waits, sample{of("lane", n, "reason", l.Wait.String()), 1})
				if l.Batch > 0 {
					attempts = append(attempts, sample{of("lane", n), float64(l.Attempt)})
				}
				if l.FirstArrival > 0 && (oldest == 0 || l.FirstArrival < oldest) {
					oldest = l.FirstArrival
				}
			}
			lag := 0.0
			if oldest > 0 {
				lag = max(0, float64(now.UnixMilli())/1000-seconds1970(oldest))
			}
			lags = append(lags, sample{of(), lag})
		}
	}
	for _, f := range []struct {
		name, help string
		samples    []sample
	}{
		{"shardmill_mapping_shard_phase", "Always 1; the label says whether the shard runs or what it waits for.", phases},
		{
			"shardmill_mapping_shard_problem", "1 while a person must act: LastProcessingResult says why the shard stands still.",
			problems,
		},
		{"shardmill_mapping_checkpoint_lag_seconds", "Age of the oldest record read and not settled; 0 without one.", lags},
		{"shardmill_mapping_buffered_records", "Records held, and settled beyond the checkpoint.", buffered},
		{"shardmill_mapping_batch_attempt", "Attempt of the batch at hand: the one that runs, or the next.", attempts},
		{"shardmill_mapping_lane_state", "Always 1; the label says what the lane waits for.", waits},
		{"shardmill_mapping_window_start_seconds", "Start of the open tumbling window, since 1970.", windows},
	} {
		if len(f.samples) == 0 {
			continue
		}
		e.head(f.name, gauge, f.help)
		for _, s := range f.samples {
			e.sample(f.name, s.labels, s.value)
		}
	}
}

func seconds1970(ms record.Millis) float64 { return float64(ms) / 1000 }
