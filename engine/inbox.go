package engine

import "sync"

// inbox is the queue of one runner: many post, one takes. It holds inboxSize entries; a post to a full one waits
// until there is room or the runner ends. Every entry counts as activity from the moment it is posted until its taker
// calls active.end, and what is never taken stops counting when the inbox closes.
type inbox[T any] struct {
	active *activity
	ch     chan T
	ended  chan struct{} // closed when nothing is taken any more

	mu     sync.RWMutex // held while posting, so that close knows when the last post is over
	closed bool
}

func newInbox[T any](active *activity) *inbox[T] {
	return &inbox[T]{active: active, ch: make(chan T, inboxSize), ended: make(chan struct{})}
}

// post hands v over. It does nothing when the runner has ended.
func (b *inbox[T]) post(v T) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return
	}
	b.active.begin()
	select {
	case b.ch <- v:
	case <-b.ended:
		b.active.end()
	}
}

// offer is post for those who may not wait: it reports false, and nothing is handed over, when the inbox is full or
// closed.
func (b *inbox[T]) offer(v T) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.closed {
		return false
	}
	b.active.begin()
	select {
	case b.ch <- v:
		return true
	default:
		b.active.end()
		return false
	}
}

// close lets waiting posts go and drops what is left. The taker calls it, once.
func (b *inbox[T]) close() {
	close(b.ended)
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	for {
		select {
		case <-b.ch:
			b.active.end()
		default:
			return
		}
	}
}
