package esm

// assertions makes every Step end with a check of the machine's invariants. It costs a few comparisons a lane.
const assertions = true

// check panics with *Broken when an invariant does not hold.
func (s *Shard) check() {
	if !assertions {
		return
	}
	records, bytes := 0, 0
	for i := range s.lanes {
		l := &s.lanes[i]
		records += l.queue.len()
		planned := 0
		for j := range l.plan {
			planned += l.plan[j].count
		}
		if planned > l.queue.len() {
			broken("lane %d plans %d records and holds %d", i, planned, l.queue.len())
		}
		if l.queue.len() > 0 && l.queue.at(0).Pos <= l.settled {
			broken("lane %d holds record %d, which is settled", i, l.queue.at(0).Pos)
		}
		if (l.phase == invoking || l.phase == delivering) && len(l.plan) == 0 {
			broken("lane %d is busy without a batch", i)
		}
		if l.phase == delivering && l.discard == nil {
			broken("lane %d delivers nothing", i)
		}
	}
	if records != s.records {
		broken("%d records held, %d counted", records, s.records)
	}
	if s.records == 0 && s.bytes != bytes {
		broken("%d bytes counted for no records", s.bytes)
	}
	if low := s.low(); low < s.saved {
		broken("the checkpoint went back from %d to %d", s.saved, low)
	}
}
