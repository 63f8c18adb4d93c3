package main

import "sync"

// hints shows advice that answers carry, each text once: clients hide headers, and a producer that repeats a call would repeat its advice.
type hints struct {
	feed *feed
	mu   sync.Mutex
	seen map[string]bool
}

// hintsKept bounds how many texts are remembered.
const hintsKept = 1000

func newHints(f *feed) *hints { return &hints{feed: f, seen: map[string]bool{}} }

func (h *hints) hinted(text string) {
	h.mu.Lock()
	shown := h.seen[text]
	if len(h.seen) < hintsKept {
		h.seen[text] = true
	}
	h.mu.Unlock()
	if !shown {
		h.feed.say("hint: %s", text)
	}
}
