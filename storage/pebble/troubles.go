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
	damagePause = time.Minute // longest pause when waiting will hardly help
	repeatEvery = time.Minute // how often a lasting trouble is logged again
	openingGoes = 2 * time.Second
	noticesKept = 256
)

// troubles owns what Pebble retries: flushes and compactions that cannot write, tables that cannot be read. Pebble
// itself retries without a pause and reports every failure. Here retries are paced and counted, and logged at once and
// then once a minute, until they succeed.
type troubles struct {
	dir     string
	log     *slog.Logger
	retries atomic.Int64
	closing chan struct{} // closed: all waiting ends

	mu        sync.Mutex
	states    map[task]*state
	announced []announced // newest last: errors that an End event reported before BackgroundError does
	notices   map[string]*notice
	opening   bool
	since     time.Time     // when opening began to fail; zero: it has not
	gaveUp    chan struct{} // closed with the reason in cause
	cause     error
}

// task is something that Pebble retries.
type task string

const (
	flushing   task = "flush"
	compacting task = "compact"
	reading    task = "read"
)

type state struct {
	failures int
	until    time.Time // not tried before this
}

type announced struct {
	err  error
	task task
}

// notice records when something was last logged, and how often it has happened since the process began.
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

// say logs message at once, and then once a minute for the same key, with how often it happened. It reports whether it
// logged.
func (t *troubles) say(level slog.Level, key, message string, attrs ...any) (due bool) {
	t.mu.Lock()
	n := t.notices[key]
	if n == nil {
		if len(t.notices) >= noticesKept {
			clear(t.notices) // better logged twice than kept for ever
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
				attrs[i] = firstLine{err}.Error() // else a text handler adds its stack, over thirty lines
			}
		}
		t.log.Log(context.Background(), level, message, append([]any{"dir", t.dir, "times", count}, attrs...)...)
	}
	return due
}

// announce remembers the error of a flush or compaction, so that the same error from BackgroundError is not counted
// again.
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

// background is Pebble's BackgroundError. Flushes and compactions call it while they hold the database's lock, so they
// pause later, where they next create a file. An error that no End event announced comes from loading table statistics:
// that holds no lock and continues as soon as this returns, so it pauses here.
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

// failed counts and logs a failure of a task, and delays the next attempt.
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
		most = 2 * pauseLeast // Open is waiting
	}
	s.until = time.Now().Add(min(pauseLeast<<min(s.failures-1, 20), most))
	giveUp := false
	if t.opening && what == flushing { // the only task that opening waits for
		if t.since.IsZero() {
			t.since = time.Now()
		}
		giveUp = time.Since(t.since) > openingGoes || !noSpace(err)
	}
	t.mu.Unlock()
	switch {
	case giveUp:
		t.giveUp(err)
	case isDamage(err): // damaged has named its file
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

// damaged logs a file whose bytes are not what was written.
func (t *troubles) damaged(path string, err error) {
	t.say(slog.LevelError, "damaged "+path,
		"a file of the store is corrupt: what lies in it cannot be read, everything else goes on. Check the disk, then restore the data directory from a backup",
		"file", path, "err", err)
}

// opened ends the time in which a failure means that the store cannot be opened, and returns the failure if there was
// one: what Pebble does in the background of its opening may fail when that is done.
func (t *troubles) opened() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opening = false
	return t.cause
}

// wait returns when a table or blob file may be written: at once, unless the last one failed.
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
		select {} // the process is about to end, and nothing else keeps Pebble from retrying for ever
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

// close ends all waiting.
func (t *troubles) close() { close(t.closing) }
