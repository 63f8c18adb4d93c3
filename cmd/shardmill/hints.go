package main

import (
	"sync"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/function"
)

// hints prints the advice in answers' headers, each text once per account and region: clients hide headers, and a
// producer that repeats a call would repeat its advice.
type hints struct {
	feed *feed
	mu   sync.Mutex
	seen map[advice]bool
}

// advice is a hint for a client of an account and region.
type advice struct{ account, region, text string }

// hintsKept bounds how many texts are remembered.
const hintsKept = 1000

func newHints(f *feed) *hints { return &hints{feed: f, seen: map[advice]bool{}} }

func (h *hints) hinted(c wire.Caller, text string) {
	a := advice{c.Account, c.Region, text}
	h.mu.Lock()
	shown := h.seen[a]
	if len(h.seen) < hintsKept {
		h.seen[a] = true
	}
	h.mu.Unlock()
	if !shown {
		h.feed.say("hint%s: %s", function.Elsewhere(c.Account, c.Region), text)
	}
}
