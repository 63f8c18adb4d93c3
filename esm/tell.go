package esm

// kept holds the observations of one kind that a Step emits. The next Step that emits one reuses them, so a machine in
// steady state allocates none.
type kept[T any] struct {
	values []*T
	used   int
	step   uint64 // that used counts in
}

// keptMost is how many observations of a kind a machine keeps. A Step that emitted more, because much was given up at
// once, leaves them to the garbage collector.
const keptMost = 64

// put stores what the given Step emits, until the next one.
func (k *kept[T]) put(step uint64, v T) *T {
	if k.step != step {
		k.step, k.used = step, 0
		if len(k.values) > keptMost {
			k.values = append([]*T(nil), k.values[:keptMost]...)
		}
	}
	if k.used == len(k.values) {
		k.values = append(k.values, new(T))
	}
	p := k.values[k.used]
	k.used++
	*p = v
	return p
}

// tellings holds the observations that a machine reuses, by kind. Rare kinds are not kept.
type tellings struct {
	readAsked      kept[ReadAsked]
	readDone       kept[ReadDone]
	waitBegan      kept[WaitBegan]
	waitEnded      kept[WaitEnded]
	gathered       kept[Gathered]
	batchCut       kept[BatchCut]
	attemptStarted kept[AttemptStarted]
	attemptEnded   kept[AttemptEnded]
	batchSettled   kept[BatchSettled]
	saveAsked      kept[SaveAsked]
	saveEnded      kept[SaveEnded]
}

// of returns the batch at hand with its first n records; with those of the window, if it is the end of one.
func (l *lane) of(n int) Batch {
	seg := &l.plan[0]
	b := Batch{Number: seg.batch, ID: seg.id, Count: n}
	if seg.id.Purpose != ForRecords {
		b.First, b.Last = seg.id.First, seg.id.Last
	} else if n > 0 {
		b.First, b.Last = l.queue.at(0).Pos, l.queue.at(n-1).Pos
	}
	return b
}

// window returns the tumbling window that is open.
func (s *Shard) window() Window { return Window{s.win.Start, s.win.End} }

// parentOf returns the parent of a part of a batch. A batch without a number has not been reported, so its parts have
// its own parent.
func parentOf(whole *segment, o Origin) Parent {
	if whole.batch == 0 {
		return whole.parent
	}
	return Parent{Origin: o, Number: whole.batch}
}

// tellRest reports that a part of a batch goes on by itself. What was in no batch that has been reported is left of
// none.
func (s *Shard) tellRest(part Batch, from Parent) {
	if from.Origin != OriginRecords {
		s.emit(&RestLeft{Batch: part, Parent: from})
	}
}

// tellVoid reports that the Read that is out, if any, is no longer wanted.
func (s *Shard) tellVoid() {
	if s.reading {
		s.emit(&ReadVoid{Seq: s.seq})
	}
}

// cancel asks the shell to end the attempt of a lane.
func (s *Shard) cancel(l *lane) {
	seg := &l.plan[0]
	s.emit(&AttemptCancelled{Batch: l.of(seg.count), Attempt: seg.invocations + 1, Started: l.sentAt})
	s.emit(Cancel{Batch: l.batch})
}
