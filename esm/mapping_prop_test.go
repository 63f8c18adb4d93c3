package esm_test

import (
	"slices"
	"testing"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"pgregory.net/rapid"
)

// TestMappingRunsWhatItShould plays random grants, lists, desires and ends against a naive model: after every event
// exactly those shards run that should, under the epoch of the grant that counts, and a child only after its parents.
func TestMappingRunsWhatItShould(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &owners{
			t: t, owned: map[record.ShardID]uint64{}, fenced: map[record.ShardID]uint64{},
			runs: map[record.ShardID]uint64{}, ends: map[record.ShardID]bool{}, ended: map[record.ShardID]bool{},
		}
		for range rapid.IntRange(5, 80).Draw(t, "events") {
			m.step(m.event())
			m.check()
		}
	})
}

// family is a stream with three generations: shard 0 is split into 2 and 3, then 1 and 3 are merged into 4.
var family = []esm.ListedShard{
	{ID: 0},
	{ID: 1},
	{ID: 2, Parents: []record.ShardID{0}},
	{ID: 3, Parents: []record.ShardID{0}},
	{ID: 4, Parents: []record.ShardID{1, 3}},
}

// owners is the model's state.
type owners struct {
	t       *rapid.T
	machine esm.Mapping
	enabled bool
	listed  int                       // how much of the family
	owned   map[record.ShardID]uint64 // the epoch that counts
	fenced  map[record.ShardID]uint64 // the epoch under which it was
	runs    map[record.ShardID]uint64 // StartShard was given and it has not finished
	ends    map[record.ShardID]bool   // and ReleaseShard was
	ended   map[record.ShardID]bool
}

func (m *owners) event() esm.MappingEvent {
	shard := record.ShardID(rapid.IntRange(0, len(family)-1).Draw(m.t, "shard"))
	running := make([]record.ShardID, 0, len(m.runs))
	for id := range m.runs {
		running = append(running, id)
	}
	slices.Sort(running)
	switch kind := rapid.IntRange(0, 9).Draw(m.t, "kind"); {
	case kind < 3:
		ev := esm.Owned{Shard: shard, Epoch: uint64(rapid.IntRange(1, 6).Draw(m.t, "epoch"))}
		if ev.Epoch > m.owned[shard] {
			m.owned[shard] = ev.Epoch
			delete(m.fenced, shard)
		}
		return ev
	case kind < 4:
		delete(m.owned, shard)
		delete(m.fenced, shard)
		return esm.Lost{Shard: shard}
	case kind < 5:
		m.enabled = rapid.Bool().Draw(m.t, "enabled")
		if !m.enabled {
			clear(m.fenced)
		}
		return esm.Desired{Enabled: m.enabled}
	case kind < 7 || len(running) == 0:
		m.listed = max(m.listed, rapid.IntRange(2, len(family)).Draw(m.t, "listed"))
		ev := esm.ShardsListed{Shards: slices.Clone(family[:m.listed])}
		for i := range ev.Shards { // another owner has brought some of them to their end
			id := ev.Shards[i].ID
			ev.Shards[i].Ended = m.ended[id] || rapid.IntRange(0, 4).Draw(m.t, "ended") == 0
			if _, here := m.runs[id]; ev.Shards[i].Ended && !here {
				m.ended[id] = true
			}
		}
		return ev
	}
	ev := esm.ShardFinished{
		Shard: rapid.SampledFrom(running).Draw(m.t, "running"), Reason: rapid.SampledFrom([]esm.FinishReason{
			esm.Released, esm.Ended, esm.Fenced,
		}).Draw(m.t, "reason"),
	}
	switch ev.Reason {
	case esm.Ended:
		m.ended[ev.Shard] = true
	case esm.Fenced:
		if epoch, owned := m.owned[ev.Shard]; owned && epoch <= m.runs[ev.Shard] && m.enabled {
			m.fenced[ev.Shard] = epoch
		}
	case esm.Released:
	}
	delete(m.runs, ev.Shard)
	delete(m.ends, ev.Shard)
	return ev
}

func (m *owners) step(ev esm.MappingEvent) {
	for _, c := range m.machine.Step(ev) {
		switch c := c.(type) {
		case esm.StartShard:
			if _, twice := m.runs[c.Shard]; twice || !m.should(c.Shard) || c.Epoch != m.owned[c.Shard] {
				m.t.Fatalf("after %+v shard %d is started under %d", ev, c.Shard, c.Epoch)
			}
			m.runs[c.Shard] = c.Epoch
		case esm.ReleaseShard:
			if _, runs := m.runs[c.Shard]; !runs || m.ends[c.Shard] {
				m.t.Fatalf("after %+v shard %d is released and does not run", ev, c.Shard)
			}
			m.ends[c.Shard] = true
		case esm.ForgetShard, esm.Settle, esm.Forget:
			m.t.Fatalf("after %+v: %+v", ev, c)
		}
	}
}

// should reports whether a shard that does not run should.
func (m *owners) should(id record.ShardID) bool {
	_, owned := m.owned[id]
	_, fenced := m.fenced[id]
	parents := !slices.ContainsFunc(family[id].Parents, func(p record.ShardID) bool { return !m.ended[p] })
	return m.enabled && owned && !fenced && !m.ended[id] && int(id) < m.listed && parents
}

func (m *owners) check() {
	for i := range family {
		id := family[i].ID
		epoch, runs := m.runs[id]
		switch {
		case !runs && m.should(id):
			m.t.Fatalf("shard %d should run", id)
		case runs && !m.ends[id] && (!m.enabled || m.owned[id] != epoch):
			m.t.Fatalf("shard %d goes on under %d, though %d counts", id, epoch, m.owned[id])
		}
	}
}
