package mapping

import (
	"context"
	"testing"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
)

// modelMapping is what a user of the API expects of one mapping.
type modelMapping struct {
	stream, function string
	enabled          bool
	state            State
	batch            int
	start            record.Position
}

// TestRoomAgreesWithANaiveModel runs random calls, reports of the engine and restarts against a map, at AWS's pace.
// What must hold: a stream and a function have at most one mapping; a refused call changes nothing; a mapping's
// starting positions never change; a restart changes nothing.
func TestRoomAgreesWithANaiveModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		b := bundle{
			coord:     newMemCoord(),
			streams:   &streams{byID: map[string]uint32{}, tip: map[uint32]record.Position{}},
			functions: &functions{names: map[string]bool{"f": true, "g": true, "h": true}},
		}
		b.streams.add(orders)
		b.streams.add(orders + "2")
		open := func() {
			b.Mappings = New(Options{
				Coord: b.coord, Clock: clock.New(0), Sources: b.streams, Functions: b.functions, AWSPace: true,
			})
		}
		open()
		model := map[string]*modelMapping{}
		expect := func(what string, err error, code string) {
			if got := fault.CodeOf(err); got != code || (err == nil) != (code == "") {
				rt.Fatalf("%s: got %v, want %q", what, err, code)
			}
		}
		taken := func(stream, function, but string) bool {
			for id, m := range model {
				if id != but && m.stream == stream && m.function == function {
					return true
				}
			}
			return false
		}
		aStream, aFunction := rapid.SampledFrom([]string{orders, orders + "2"}), rapid.SampledFrom(
			[]string{"f", "g", "h"},
		)
		aMapping := func(rt *rapid.T) string {
			all, err := b.All(ctx)
			if err != nil {
				rt.Fatal(err)
			}
			if len(all) == 0 {
				return "11111111-2222-4333-8444-555555555555"
			}
			return all[rapid.IntRange(0, len(all)-1).Draw(rt, "mapping")].UUID
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) {
				m := modelMapping{
					stream: aStream.Draw(rt, "stream"), function: aFunction.Draw(rt, "function"),
					enabled: rapid.Bool().Draw(rt, "enabled"),
					state:   Creating, batch: 100,
				}
				m.start = b.streams.tip[b.streams.byID[m.stream]]
				got, _, err := b.Create(ctx, me, input(func(in *CreateInput) {
					in.EventSourceARN, in.FunctionName, in.Enabled = &m.stream, &m.function, &m.enabled
				}))
				if taken(m.stream, m.function, "") {
					expect("create", err, "ResourceConflictException")
					return
				}
				expect("create", err, "")
				model[got.UUID] = &m
			},
			"update": func(rt *rapid.T) {
				id, k := aMapping(rt), Knobs{}
				enabled, function, batch := rapid.Bool().Draw(rt, "enabled"), aFunction.Draw(rt, "function"), int64(
					rapid.IntRange(1, 9).Draw(rt, "batch"),
				)
				if rapid.Bool().Draw(rt, "change enabled") {
					k.Enabled = &enabled
				}
				if rapid.Bool().Draw(rt, "change function") {
					k.FunctionName = &function
				}
				if rapid.Bool().Draw(rt, "change batch") {
					k.BatchSize = &batch
				}
				_, _, err := b.Update(ctx, me, id, UpdateInput{k})
				m := model[id]
				switch {
				case m == nil:
					expect("update", err, "ResourceNotFoundException")
				case m.state != Enabled && m.state != Disabled:
					expect("update", err, "ResourceInUseException")
				case k.FunctionName != nil && taken(m.stream, function, id):
					expect("update", err, "ResourceConflictException")
				default:
					expect("update", err, "")
					m.state = Updating
					if k.Enabled != nil && m.enabled != enabled {
						m.enabled, m.state = enabled, map[bool]State{true: Enabling, false: Disabling}[enabled]
					}
					if k.FunctionName != nil {
						m.function = function
					}
					if k.BatchSize != nil {
						m.batch = int(batch)
					}
				}
			},
			"delete": func(rt *rapid.T) {
				id := aMapping(rt)
				_, err := b.Delete(ctx, me, id)
				m := model[id]
				switch {
				case m == nil:
					expect("delete", err, "ResourceNotFoundException")
				case m.state == Creating || m.state == Updating:
					expect("delete", err, "ResourceInUseException")
				default:
					expect("delete", err, "")
					m.state = Deleting
				}
			},
			"settle": func(rt *rapid.T) {
				id := aMapping(rt)
				got, err := b.Get(ctx, me, id)
				m := model[id]
				if m == nil {
					expect("get", err, "ResourceNotFoundException")
					return
				}
				expect("get", err, "")
				if m.state == Deleting {
					expect("removed", b.Removed(ctx, id), "")
					delete(model, id)
					return
				}
				rest := map[bool]State{true: Enabled, false: Disabled}[m.enabled]
				expect("settled", b.Settled(ctx, id, got.Version, rest), "")
				m.state = rest
			},
			"put":     func(rt *rapid.T) { b.streams.put(aStream.Draw(rt, "stream")) },
			"restart": func(rt *rapid.T) { open() },
			"": func(rt *rapid.T) {
				all, err := b.All(ctx)
				if err != nil || len(all) != len(model) || b.coord.keys() != 2*len(model) {
					rt.Fatalf("%d mappings in %d keys (%v), want %d", len(all), b.coord.keys(), err, len(model))
				}
				for _, got := range all {
					want := *model[got.UUID]
					is := modelMapping{
						got.EventSourceARN, got.FunctionName, got.Enabled, got.State, got.BatchSize, got.Starts[0],
					}
					if is != want {
						rt.Fatalf("mapping %s: %+v, want %+v", got.UUID, is, want)
					}
				}
			},
		})
	})
}
