package esm

// kept holds the observations of one kind that a Step tells. The next Step that tells one uses them again, so a machine
// in its stride allocates none.
type kept[T any] struct {
	values []*T
	used   int
	step   uint64 // that used counts in
}

// keptMost is how many observations of a kind a machine holds on to. A Step that told more, because much was given up
// at once, leaves them to the garbage collector.
const keptMost = 64

// put stores what the given Step tells, until the next one.
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

// tellings is where a machine keeps what it tells, kind by kind. Kinds that are rare have no place here.
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

// of returns the first n records of the batch at hand; the window's, when it is the end of one.
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

// window is the tumbling window that is open.
func (s *Shard) window() Window { return Window{s.win.Start, s.win.End} }

// parentOf is the parent of a part of a batch. A batch that has no number yet has told nothing, so its parts come from
// where it comes from.
func parentOf(whole *segment, o Origin) Parent {
	if whole.batch == 0 {
		return whole.parent
	}
	return Parent{Origin: o, Number: whole.batch}
}

// tellRest tells that a part of a batch goes on by itself.
func (s *Shard) tellRest(part Batch, from Parent) { s.emit(&RestLeft{Batch: part, Parent: from}) }

// tellVoid tells that the Read that is out is not wanted any more, if one is.
func (s *Shard) tellVoid() {
	if s.reading {
		s.emit(&ReadVoid{Seq: s.seq})
	}
}

// cancel asks to end the attempt of a lane.
func (s *Shard) cancel(l *lane) {
	seg := &l.plan[0]
	s.emit(&AttemptCancelled{Batch: l.of(seg.count), Attempt: seg.invocations + 1, Started: l.sentAt})
	s.emit(Cancel{Batch: l.batch})
}
