package simshell

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/sim/book"
	"github.com/shardmill/shardmill/storage"
)

// sieve is a mapping's filters as the judge reads them: a record passes if one of the rules lets it through, and every
// record does when there is none.
type sieve []rule

// rule is one filter: what it asks of the partition key, and of the data. nil asks nothing.
type rule struct {
	keys   []byte
	digits []uint64 // data is a JSON object whose member d is one of them
}

func (f sieve) passes(key byte, id uint64) bool {
	for _, r := range f {
		if (r.keys == nil || slices.Contains(r.keys, key)) &&
			(r.digits == nil || isText(id) && slices.Contains(r.digits, digitOf(id))) {
			return true
		}
	}
	return len(f) == 0
}

// patterns are the filters as a user sends them; empty and not nil without any.
func (f sieve) patterns() []string {
	out := []string{}
	for _, r := range f {
		var members []string
		if r.keys != nil {
			names := make([]string, len(r.keys))
			for i, k := range r.keys {
				names[i] = keyName(k)
			}
			members = append(members, `"partitionKey":`+list(names))
		}
		if r.digits != nil {
			members = append(members, `"data":{"d":`+list(r.digits)+`}`)
		}
		out = append(out, "{"+strings.Join(members, ",")+"}")
	}
	return out
}

func list(of any) string {
	b, err := json.Marshal(of)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// anySieve draws so many filters at most, one that lets most records through, about half of them, or hardly any.
func (w *world) anySieve(most int) sieve {
	r := w.more
	var f sieve
	for range 1 + r.IntN(most) {
		share := pick(r, 9, 5, 2)
		var one rule
		for k := range w.knobs.keys {
			if r.IntN(10) < share {
				one.keys = append(one.keys, w.keyAt(k))
			}
		}
		for d := range uint64(10) {
			if r.IntN(10) < share {
				one.digits = append(one.digits, d)
			}
		}
		switch n := r.IntN(3); { // one of the two may be asked for alone
		case n == 0 && one.keys != nil:
			one.digits = nil
		case n == 1 && one.digits != nil:
			one.keys = nil
		}
		if one.keys != nil || one.digits != nil {
			f = append(f, one)
		}
	}
	return f
}

// refilter changes the filters, and nothing else.
func (w *world) refilter() {
	w.count("the filters change")
	if w.sieve = w.anySieve(2); w.more.IntN(5) == 0 {
		w.sieve = nil
	}
	w.update(w.config)
}

// overQuota asks for as many filters as AWS gives on request at most: as the process is set, the call is refused and
// nothing is changed, or the mapping has them.
func (w *world) overQuota() {
	f := w.anySieve(1)
	for len(f) < mapping.MaxMaxFilters {
		f = append(f, rule{digits: []uint64{uint64(len(f))}})
	}
	if w.quota == mapping.MaxMaxFilters {
		w.count("more filters than the usual quota")
		w.sieve = f
		w.update(w.config)
		return
	}
	w.count("filters beyond the quota are refused")
	_, _, err := w.p.nodes[0].mappings.Update(context.Background(), caller, w.uuid(),
		mapping.UpdateInput{Knobs: mapping.Knobs{Filters: f.patterns(), BatchSize: ptr(int64(1))}})
	if !w.p.dead.Load() && fault.CodeOf(err) != fault.CodeInvalidParameter {
		w.say("%d filters with a quota of %d: %v", len(f), w.quota, err)
	}
}

// spoil lets another program store filters that cannot be read: the mapping waits, whatever else happens, until an
// update brings others.
func (w *world) spoil() {
	w.count("the filters cannot be used")
	w.disturb(attempts)
	for !w.overwrite(`["{"]`) {
		w.linger(time.Second)
	}
	w.stored = ""
	w.disturb(attempts)
	w.mu.Lock()
	w.spoiled = w.now()
	w.mu.Unlock()
	end := time.Now().Add(upTo(w.more, 40*time.Second))
	w.linger(upTo(w.more, 5*time.Second))
	switch n := w.more.IntN(6); {
	case n == 0:
		w.reshard()
	case n == 1:
		w.p.die(pick(w.more, 0, 100))
		w.crashed()
	case n == 2:
		w.enable(!w.enabled)
		w.linger(upTo(w.more, 2*time.Second))
		w.enable(!w.enabled)
	case n == 3 && w.knobs.owners > 1:
		w.handOver()
	}
	w.linger(time.Until(end))
	w.mu.Lock()
	w.spoiled = time.Time{}
	w.mu.Unlock()
	w.count("the filters can be used again")
	if w.more.IntN(3) == 0 {
		w.sieve = w.anySieve(2)
	}
	w.config.Filters = w.sieve.patterns()
	w.update(w.config)
}

// overwrite changes the filters of the mapping as it is stored. It reports false when that must be tried again.
func (w *world) overwrite(filters string) bool {
	p := w.p
	defer func() {
		if p.dead.Load() {
			<-p.died
			w.crashed()
		}
	}()
	key := "mapping/uuid/" + w.uuid()
	e, err := p.store.Coord().Get(context.Background(), key)
	if err != nil || e.Revision == 0 {
		return false
	}
	row := map[string]json.RawMessage{}
	var change uint64
	if json.Unmarshal(e.Value, &row) == nil {
		_ = json.Unmarshal(row["Change"], &change) // 0 if it cannot be read
	}
	if change == 0 {
		w.t.Fatalf("seed %d: a mapping is stored as %s", w.seed, e.Value)
	}
	row["Filters"] = json.RawMessage(filters)
	row["Change"] = json.RawMessage(fmt.Sprint(change + 1))
	_, err = p.store.Coord().Commit(context.Background(), "mapping/",
		storage.Op{Key: key, Value: []byte(list(row)), Expect: e.Revision})
	return err == nil && !p.dead.Load()
}

// lag is how long what was changed may still be in force for a process that has not heard of the change.
const lag = 30 * time.Second

// spoiling is how soon nothing new begins once the filters cannot be used.
const spoiling = 10 * time.Second

// excluded reports whether filters that a record has met may have left it out. w.mu is held.
func (w *world) excluded(e *book.Entry, f *fact) bool {
	for i := len(w.sieves) - 1; i >= 0; i-- {
		if w.metBy(i, e) && !w.sieves[i].passes(e.Key, f.id) {
			return true
		}
	}
	return false
}

// let reports whether filters that a record has met let it through. w.mu is held.
func (w *world) let(e *book.Entry, f *fact) bool {
	for i := len(w.sieves) - 1; i >= 0; i-- {
		if w.metBy(i, e) && w.sieves[i].passes(e.Key, f.id) {
			return true
		}
	}
	return false
}

// metBy reports whether the n-th configuration can have been in force since a record was put. w.mu is held.
func (w *world) metBy(n int, e *book.Entry) bool {
	return w.until[n].IsZero() || w.until[n].Add(lag).After(e.Own.Time())
}

// isText reports whether the data of a record is JSON, in a world with filters, and digitOf is its member d.
func isText(id uint64) bool    { return id%4 != 0 }
func digitOf(id uint64) uint64 { return id / 4 % 10 }
func (w *world) textual() bool { return w.knobs.filtered }
func (w *world) dataOf(id uint64, size int) []byte {
	if w.textual() && isText(id) {
		return textOf(id, size)
	}
	return dataOf(id, size)
}

// textOf is the data of a record as JSON, made from its number alone.
func textOf(id uint64, size int) []byte {
	b := fmt.Appendf(make([]byte, 0, size+40), `{"n":%d,"d":%d,"b":"`, id, digitOf(id))
	for x := rand.NewPCG(id, 1); len(b) < size-2; {
		for v, n := x.Uint64(), 0; n < 16 && len(b) < size-2; n++ {
			b = append(b, 'a'+byte(v&15))
			v >>= 4
		}
	}
	return append(b, `"}`...)
}

// textID is the number of the record whose data this is; an error when a byte of it is not what it was.
func textID(b []byte) (id uint64, err error) {
	number, _, _ := bytes.Cut(bytes.TrimPrefix(b, []byte(`{"n":`)), []byte(","))
	if id, err = strconv.ParseUint(string(number), 10, 64); err != nil {
		return 0, fmt.Errorf("data of %d bytes that was never put", len(b))
	}
	if !bytes.Equal(textOf(id, len(b)), b) {
		return id, fmt.Errorf("the data of record %d is not what was put", id)
	}
	return id, nil
}
