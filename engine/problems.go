package engine

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/record"
)

// problems are the reasons why parts of a mapping stand still. They show in LastProcessingResult for as long as they
// last. Safe for concurrent use.
type problems struct {
	mu     sync.Mutex
	texts  map[record.ShardID]string
	lowest atomic.Pointer[string] // the text of the lowest shard; nil: there is none
}

// streamGone is the place of a problem of the whole mapping, before that of every shard.
const streamGone = ^record.ShardID(0)

func (p *problems) set(id record.ShardID, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.texts == nil {
		p.texts = map[record.ShardID]string{}
	}
	p.texts[id] = text
	p.choose()
}

func (p *problems) clear(id record.ShardID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.texts[id]; ok {
		delete(p.texts, id)
		p.choose()
	}
}

// choose picks the text to show. p.mu is held.
func (p *problems) choose() {
	if len(p.texts) == 0 {
		p.lowest.Store(nil)
		return
	}
	text, ok := p.texts[streamGone]
	if !ok {
		text = p.texts[slices.Min(slices.Collect(maps.Keys(p.texts)))]
	}
	p.lowest.Store(&text)
}

// first returns the text to show, or "".
func (p *problems) first() string {
	if t := p.lowest.Load(); t != nil {
		return *t
	}
	return ""
}

// retry is something that failed and is tried again after a pause in real time.
type retry struct {
	timer *time.Timer
	fails int
}

// again tries f again on the runner's goroutine: after 100 ms the first time, doubling to 10 s, until done is called
// for it.
func (r *mappingRunner) again(what string, f func()) {
	t := r.retries[what]
	if t == nil {
		t = &retry{}
		r.retries[what] = t
	} else {
		t.timer.Stop()
	}
	pause := min(100*time.Millisecond<<min(t.fails, 10), 10*time.Second)
	t.fails++
	t.timer = time.AfterFunc(pause, func() {
		r.inbox.post(func() {
			if r.retries[what] == t {
				f()
			}
		})
	})
}

// done forgets a retry: it is not needed any more.
func (r *mappingRunner) done(what string) {
	if t := r.retries[what]; t != nil {
		t.timer.Stop()
		delete(r.retries, what)
	}
}
