package engine

import "time"

// Pace makes what takes time on AWS take time here, by the steered clock. The zero value waits for nothing: appends
// wake readers, and a transition is over when what it asks for is in effect.
type Pace struct {
	// Poll is how long after a look at the tail of a shard the next one comes, at whole multiples of it; what is
	// appended meanwhile wakes nobody. Behind the tail a reader goes on at once.
	Poll time.Duration
	// Transition is how long Creating, Enabling, Disabling, Updating and Deleting are shown at least. What they ask for
	// is in effect as soon as without it.
	Transition time.Duration
}

// AWSPace returns AWS's base rate of polling, and transitions as long as those of streams. Source: Lambda Developer
// Guide, "Using Lambda to process records from Amazon Kinesis Data Streams", polling and batching streams.
func AWSPace() Pace { return Pace{Poll: time.Second, Transition: 5 * time.Second} }

// next returns when a shard whose tail was seen before now is looked at again.
func (p Pace) next(now time.Time) time.Time { return now.Truncate(p.Poll).Add(p.Poll) }

// due returns when a transition that began at some instant may end.
func (p Pace) due(began time.Time) time.Time { return began.Add(p.Transition) }

// polled waits for the instant of the next look at the tail; it reports false when the read is abandoned. Waiting is
// not work under way.
func (r *shardRunner) polled(done <-chan struct{}) bool {
	active := &r.e.active
	due := make(chan struct{})
	t := r.e.o.Clock.Poll(r.e.o.Pace.next(r.e.o.Clock.Now()), func() {
		active.begin() // before the clock can move on
		close(due)
	})
	active.end()
	select {
	case <-due:
		return true
	case <-done:
		if t.Stop() {
			active.begin()
		} else {
			<-due
		}
		return false
	}
}

// early reports whether the transition under way would end too early, and has again called when it is due.
func (r *mappingRunner) early(again func()) bool {
	r.stopPace()
	due := r.e.o.Pace.due(r.m.LastModified)
	if !r.e.o.Clock.Now().Before(due) {
		return false
	}
	r.paced = r.e.o.Clock.At(due, func() { r.inbox.post(again) })
	return true
}

func (r *mappingRunner) stopPace() {
	if r.paced != nil {
		r.paced.Stop()
		r.paced = nil
	}
}
