package wire

import (
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of requests under way and of how slowly a body may come. A client on a line of a megabit uploads the largest
// package in time.
const (
	DefaultRequests = 10_000
	bodyGrace       = 10 * time.Second // before the least rate counts
	bodyRate        = 8 << 10          // bytes per second
	bodyDeadline    = 10 * time.Minute // whatever the rate
	watchEvery      = time.Second
)

// smallBody is how much of each body, in bytes, may use the last eighth of the memory: large bodies never shut out
// small ones.
const smallBody = 64 << 10

// sayEvery is how often refusals are logged.
const sayEvery = time.Minute

// Intake bounds all requests under way together: their number, the memory of their bodies, and how long those take to
// arrive. Requests beyond a bound are refused with 503 in the service's words. A body counts from its first byte until
// its handler has returned, by the bytes received and never by what its head claims; one that passes counts its buffer.
// Times are real time. Safe for concurrent use; nil bounds nothing.
type Intake struct {
	Memory   int64        // bytes of all bodies together; 0: not bounded
	Requests int64        // under way at once; 0: DefaultRequests
	Log      *slog.Logger // nil: silent
	// called when large bodies have gone and no body is left, so that their memory can go back to the system; may be
	// nil
	GiveBack func()

	used     atomic.Int64 // bytes of bodies
	underWay atomic.Int64 // requests
	leaving  atomic.Int64 // of used: bytes of bodies that gave way and are not gone yet
	left     atomic.Int64 // bytes of large bodies that have gone since GiveBack
	counts   [reasons]atomic.Int64
	panics   atomic.Int64

	mu       sync.Mutex
	oldest   *incoming // bodies that are still coming, in the order in which they began
	youngest *incoming
	watching bool

	said atomic.Int64 // when refusals were logged last, in nanoseconds since 1970
}

// reason is why a request is refused; 0 is none.
type reason int32

const (
	noMemory reason = iota + 1
	tooSlow
	tooMany
	reasons
)

func (r reason) String() string {
	return [...]string{"none", "memory", "slow", "requests"}[r]
}

// hint tells a person which bound was exceeded.
func (r reason) hint() string {
	switch r {
	case noMemory:
		return "the bodies of all requests together hold what --body-memory allows; send fewer large ones at once, or raise it"
	case tooSlow:
		return "the body of the request came too slowly: it has ten seconds and one more for each 8 KiB, and ten minutes at most"
	default:
		return "too many requests are under way at once"
	}
}

// Usage is what an Intake holds now and has refused since it was made.
type Usage struct {
	Bytes    int64            // of bodies
	Requests int64            // under way
	Refused  map[string]int64 // by memory, slow, requests
	Panics   int64
}

// Usage returns a moment's view.
func (in *Intake) Usage() Usage {
	u := Usage{Refused: map[string]int64{}}
	if in == nil {
		return u
	}
	u.Bytes, u.Requests, u.Panics = in.used.Load(), in.underWay.Load(), in.panics.Load()
	for why := reason(1); why < reasons; why++ {
		u.Refused[why.String()] = in.counts[why].Load()
	}
	return u
}

func (in *Intake) panicked() {
	if in != nil {
		in.panics.Add(1)
	}
}

// begin lets a request in, or refuses it when there are too many. Its body is watched from now on.
func (in *Intake) begin(x *exchange, r *http.Request) {
	b := &x.body
	*b = incoming{
		from: r.Body, in: in, x: x, length: r.ContentLength, http1: r.ProtoMajor == 1, waits: r.Header["Expect"] != nil,
	}
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		b.whole = true
	}
	if in == nil {
		return
	}
	most := in.Requests
	if most == 0 {
		most = DefaultRequests
	}
	if in.underWay.Add(1) > most {
		_ = b.refuse(tooMany)
		return
	}
	if r.ProtoMajor == 2 { // a connection of which has a thousand heads at once
		if n := headBytes(r); n > smallHead && !in.takeHead(b, n) {
			_ = b.refuse(noMemory)
			panic(http.ErrAbortHandler) // an answer that nobody reads would keep the head
		}
	}
	if !b.whole {
		in.watch(b)
	}
}

// takeHead charges b with its head. Heads leave the last eighth of the memory to the beginnings of bodies: else whoever
// sends the most heads would shut out requests that hardly have one.
func (in *Intake) takeHead(b *incoming, n int64) bool {
	if in.Memory == 0 {
		return true
	}
	b.held += n
	return in.used.Add(n)-in.leaving.Load() <= in.Memory-in.Memory/8
}

// smallHead is how many bytes of a head do not count.
const smallHead = 4 << 10

// headBytes returns how many bytes of text a request's head has.
func headBytes(r *http.Request) int64 {
	n := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v)
		}
	}
	return int64(n)
}

// end forgets a request and what its body held.
func (in *Intake) end(x *exchange) {
	if in == nil {
		return
	}
	b := &x.body
	in.came(b)
	in.underWay.Add(-1)
	if b.held == 0 {
		return
	}
	in.used.Add(-b.held)
	in.leaving.Add(-b.leaving.Load())
	if b.held > largeBody && in.left.Add(b.held) >= giveBackFrom {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.lookSoon()
	}
}

// watch puts b at the end of the line of those that are coming.
func (in *Intake) watch(b *incoming) {
	in.mu.Lock()
	defer in.mu.Unlock()
	b.began, b.listed = time.Now(), true
	if b.before = in.youngest; b.before != nil {
		b.before.after = b
	} else {
		in.oldest = b
	}
	in.youngest = b
	in.lookSoon()
}

// lookSoon sees to it that look is called within a second. in.mu is held.
func (in *Intake) lookSoon() {
	if !in.watching {
		in.watching = true
		time.AfterFunc(watchEvery, in.look)
	}
}

// came removes b from the line: its body has arrived, or its reader has given up. Nothing touches b's connection
// afterwards.
func (in *Intake) came(b *incoming) {
	if in == nil || !b.listed {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	b.listed = false
	if b.before != nil {
		b.before.after = b.after
	} else {
		in.oldest = b.after
	}
	if b.after != nil {
		b.after.before = b.before
	} else {
		in.youngest = b.before
	}
	b.before, b.after = nil, nil
}

// Memory is given back once giveBackFrom bytes of bodies beyond largeBody bytes have gone; smaller ones are in reused
// buffers.
const (
	largeBody    = 4 << 20
	giveBackFrom = 64 << 20
)

// look ends bodies that come too slowly, every second while any is coming or has left much behind.
func (in *Intake) look() {
	in.mu.Lock()
	now := time.Now()
	for b := in.oldest; b != nil; b = b.after {
		if b.slow(now) {
			b.cut(tooSlow)
		}
	}
	calm := in.oldest == nil
	full := in.left.Load() >= giveBackFrom
	giveBack := calm && full && in.used.Load() == 0
	if in.watching = !calm || full && !giveBack; in.watching {
		time.AfterFunc(watchEvery, in.look)
	}
	in.mu.Unlock()
	if giveBack {
		in.left.Store(0)
		if in.GiveBack != nil {
			in.GiveBack()
		}
	}
}

// take charges b with n more bytes. Where memory is short, the youngest large bodies that are still coming give way, as
// many as it needs; it is b itself that is refused when those that are younger do not hold enough, so that a load of
// large bodies gets through from its oldest on instead of failing as a whole.
func (in *Intake) take(b *incoming, n int64) bool {
	if in == nil || in.Memory == 0 {
		return true
	}
	b.held += n
	limit := in.Memory
	if b.held > smallBody {
		limit -= in.Memory / 8
	}
	if in.used.Add(n)-in.leaving.Load() <= limit {
		return true
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	over := in.used.Load() - in.leaving.Load() - limit // others may have given way meanwhile
	var giving []*incoming
	for v := in.youngest; over > 0 && v != nil && v != b; v = v.before {
		if got := v.got.Load(); got > smallBody && v.why.Load() == 0 && !v.passes.Load() {
			over -= got
			giving = append(giving, v)
		}
	}
	if over > 0 {
		return false
	}
	for _, v := range giving {
		got := v.got.Load()
		v.leaving.Store(got)
		in.leaving.Add(got)
		v.cut(noMemory)
	}
	return true
}

// refused counts a refusal, and logs it now and then.
func (in *Intake) refused(why reason) {
	if in == nil {
		return
	}
	in.counts[why].Add(1)
	now, before := time.Now().UnixNano(), in.said.Load()
	if in.Log == nil || before != 0 && now-before < int64(sayEvery) || !in.said.CompareAndSwap(before, now) {
		return
	}
	in.Log.Warn("requests are refused", "reason", why.String(), "bytes_of_bodies", in.used.Load(), "requests",
		in.underWay.Load(),
		"refused_for_memory", in.counts[noMemory].Load(), "refused_as_slow", in.counts[tooSlow].Load(),
		"refused_as_too_many", in.counts[tooMany].Load())
}
