package pebble

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	pauseLeast  = 250 * time.Millisecond // after a first failure; doubled with each that follows
	pauseMost   = 5 * time.Second
	damagePause = time.Minute // longest pause where waiting will hardly help
	repeatEvery = time.Minute // how often what goes on is said again
	openingGoes = 2 * time.Second
	noticesKept = 256
)

// troubles owns what Pebble tries again and again: flushes and compactions that cannot write, tables that cannot be
// read. Pebble itself does so without a pause and tells each time. Here it is paced, counted, said once and then once a
// minute, until it works.
type troubles struct {
	dir     string
	log     *slog.Logger
	retries atomic.Int64
	closing chan struct{} // closed: nobody waits any more

	mu        sync.Mutex
	states    map[task]*state
	announced []announced // newest last: errors that an End event told of, before BackgroundError does
	notices   map[string]*notice
	opening   bool
	since     time.Time     // when opening began to fail; zero: it did not
	gaveUp    chan struct{} // closed with the reason in cause
	cause     error
}

// task is something that Pebble tries again.
type task string

const (
	flushing   task = "flush"
	compacting task = "compact"
	reading    task = "read"
)

type state struct {
	failures int
	until    time.Time // before that nothing is tried
}

type announced struct {
	err  error
	task task
}

// notice is when something was last said, and how often it happened since the process began.
type notice struct {
	said  time.Time
	count int64
}

func newTroubles(dir string, log *slog.Logger) *troubles {
	return &troubles{
		dir: dir, log: log, closing: make(chan struct{}), states: map[task]*state{}, notices: map[string]*notice{},
		opening: true, gaveUp: make(chan struct{}),
	}
}

// say logs what goes on under that key, at once and then once a minute with how often it happened. It returns whether
// it did.
func (t *troubles) say(level slog.Level, key, message string, attrs ...any) (due bool) {
	t.mu.Lock()
	n := t.notices[key]
	if n == nil {
		if len(t.notices) >= noticesKept {
			clear(t.notices) // better said twice than kept for ever
		}
		n = &notice{}
		t.notices[key] = n
	}
	n.count++
	due = n.said.IsZero() || time.Since(n.said) >= repeatEvery
	if due {
		n.said = time.Now()
	}
	count := n.count
	t.mu.Unlock()
	if due {
		for i, a := range attrs {
			if err, ok := a.(error); ok {
				attrs[i] = firstLine{err}.Error() // else a text handler adds where it was made, over thirty lines
			}
		}
		t.log.Log(context.Background(), level, message, append([]any{"dir", t.dir, "times", count}, attrs...)...)
	}
	return due
}

// announce remembers the error of a flush or compaction, so that BackgroundError, which tells of it once more, is not
// taken for another.
func (t *troubles) announce(task task, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.worked(task)
		return
	}
	t.announced = append(t.announced, announced{err, task})
	if len(t.announced) > 16 {
		t.announced = append(t.announced[:0], t.announced[1:]...)
	}
}

// worked ends the pause of a task. The caller holds mu.
func (t *troubles) worked(task task) {
	s := t.states[task]
	if s == nil {
		return
	}
	delete(t.states, task)
	delete(t.notices, string(task))
	failures := s.failures
	// a lock of Pebble is held
	go t.log.Info("the store works again", "dir", t.dir, "what", string(task), "failures", failures)
}

// background is Pebble's BackgroundError. Flushes and compactions call it with the lock that everybody needs, so their
// pause is spent where they next create a file. What no End event announced is the loading of statistics of tables: it
// holds no lock, goes on at once when this returns, and so waits here.
func (t *troubles) background(err error) {
	t.mu.Lock()
	what := reading
	for i, a := range t.announced {
		if errors.Is(err, a.err) {
			what = a.task
			t.announced = append(t.announced[:i], t.announced[i+1:]...)
			break
		}
	}
	opening := t.opening
	t.mu.Unlock()
	t.failed(what, err)
	if what == reading && !opening {
		t.waitFor(reading)
	}
}

// failed counts a failure of a task, says so, and lets the next attempt wait.
func (t *troubles) failed(what task, err error) {
	t.retries.Add(1)
	t.mu.Lock()
	s := t.states[what]
	if s == nil {
		s = &state{}
		t.states[what] = s
	}
	s.failures++
	most := pauseMost
	if what == reading || isDamage(err) {
		most = damagePause
	}
	if t.opening {
		most = 2 * pauseLeast // somebody waits
	}
	s.until = time.Now().Add(min(pauseLeast<<min(s.failures-1, 20), most))
	giveUp := false
	if t.opening && what == flushing { // the one thing that opening waits for
		if t.since.IsZero() {
			t.since = time.Now()
		}
		giveUp = time.Since(t.since) > openingGoes || !noSpace(err)
	}
	t.mu.Unlock()
	switch {
	case giveUp:
		t.giveUp(err)
	case isDamage(err): // its file was named already
	case what == reading:
		t.say(slog.LevelError, string(what), "a table of the store cannot be read; it is tried again", "err", err)
	default:
		t.say(
			slog.LevelWarn, string(what),
			"the store could not write in the background; it tries again until it works. Make space if the disk is full",
			"what", string(what), "err", err,
		)
	}
}

// giveUp ends an opening that cannot succeed. false: the store is open.
func (t *troubles) giveUp(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opening && t.cause == nil {
		t.cause = err
		close(t.gaveUp)
	}
	return t.opening
}

// damaged tells of a file with bytes that are not what was written.
func (t *troubles) damaged(path string, err error) {
	t.say(slog.LevelError, "damaged "+path,
		"a file of the store is corrupt: what lies in it cannot be read, everything else goes on. Check the disk, then restore the data directory from a backup",
		"file", path, "err", err)
}

// opened ends the time in which a failure means that the store cannot be opened.
func (t *troubles) opened() {
	t.mu.Lock()
	t.opening = false
	t.mu.Unlock()
}

// wait returns when a table or blob file may be written: at once unless the last one failed.
func (t *troubles) wait() {
	t.waitFor(flushing)
	t.waitFor(compacting)
}

func (t *troubles) waitFor(task task) {
	t.mu.Lock()
	lost := t.cause != nil
	var rest time.Duration
	if s := t.states[task]; s != nil {
		rest = time.Until(s.until)
	}
	t.mu.Unlock()
	if lost {
		select {} // the process is about to end: Pebble knows no other way to be kept from trying for ever
	}
	if rest <= 0 {
		return
	}
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.closing:
	case <-t.gaveUp:
		select {}
	}
}

// close lets whatever waits go on.
func (t *troubles) close() { close(t.closing) }
