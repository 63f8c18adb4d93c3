package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Sizes of a load: records and bytes of one PutRecords, and how often records come due.
const (
	loadRecords = 500
	loadBytes   = 4 << 20
	loadTick    = 20 * time.Millisecond
)

// load says how to put records, one after the other. It is a plain value; the time is an argument.
type load struct {
	rate     float64       // records a second; 0: as fast as the server takes them
	count    int           // records; 0: no end
	duration time.Duration // 0: no end
	data     string        // of every record, with {{n}} for its number
	key      string        // of every record; "": one of keys
	field    []string      // where in the data the key is; nil: not there
	keys     int
	batch    int // records that are put at once, at most; 0: as many as one PutRecords takes
}

// loadFlags are the flags of put that ask for a load.
type loadFlags struct {
	rate     string
	count    int
	duration time.Duration
	keys     int
}

func (f *loadFlags) register(c *cobra.Command) {
	c.Flags().StringVar(
		&f.rate, "rate", "",
		"put generated records at this rate, such as 500/s, until Ctrl-C, --count or --duration ends it",
	)
	c.Flags().IntVar(&f.count, "count", 0, "put so many generated records")
	c.Flags().DurationVar(&f.duration, "duration", 0, "put generated records for so long, such as 30s")
	c.Flags().IntVar(&f.keys, "keys", 100, "different partition keys of generated records")
}

// asked reports whether records are to be generated.
func (f *loadFlags) asked(c *cobra.Command) bool {
	return c.Flags().Changed("rate") || c.Flags().Changed("count") || c.Flags().Changed("duration")
}

// load checks the flags.
func (f *loadFlags) load(c *cobra.Command, k keyer, data string) (l load, err error) {
	l = load{count: f.count, duration: f.duration, data: first(data, `{"id": {{n}}}`), keys: f.keys}
	l.key, l.field = k.key, k.field
	if f.rate != "" {
		if l.rate, err = parseRate(f.rate); err != nil {
			return l, usage(c, "--rate %s", err)
		}
	}
	switch {
	case c.Flags().Changed("count") && f.count < 1:
		return l, usage(c, "--count is %d; it must be 1 or more", f.count)
	case c.Flags().Changed("duration") && f.duration <= 0:
		return l, usage(c, "--duration is %s; it must be more than nothing", f.duration)
	case f.keys < 1:
		return l, usage(c, "--keys is %d; it must be 1 or more", f.keys)
	case l.key != "" && c.Flags().Changed("keys"):
		return l, usage(c, "--key gives every record the same key; leave --keys away")
	case l.field != nil && c.Flags().Changed("keys"):
		return l, usage(c, "--key-field takes the keys from the data; leave --keys away")
	case len(l.data) > loadBytes/2:
		return l, usage(c, "generated records have at most %d bytes", loadBytes/2)
	}
	return l, nil
}

// parseRate reads 500, 500/s or 30/m as records a second.
func parseRate(s string) (float64, error) {
	number, unit, given := strings.Cut(s, "/")
	n, err := strconv.ParseFloat(number, 64)
	if err == nil && given && unit == "m" {
		n /= 60
	}
	if err != nil || given && unit != "s" && unit != "m" || !(n > 0 && n <= 1e6) {
		return 0, fmt.Errorf("%q is not a rate such as 500/s or 30/m", s)
	}
	return n, nil
}

// due returns how many records to put now, given the elapsed time and the records sent so far. done: no more will
// follow.
func (l *load) due(elapsed time.Duration, sent int) (n int, done bool) {
	most := loadRecords
	if l.batch > 0 {
		most = l.batch
	}
	n = most
	over := l.duration > 0 && elapsed >= l.duration
	if l.rate > 0 {
		have := math.Floor(elapsed.Seconds()*l.rate) + 1 // the first one at once
		if l.duration > 0 {
			have = min(have, math.Round(l.duration.Seconds()*l.rate))
		}
		n = int(have) - sent
		// the rest of the last tick is still sent, but not a backlog that a slow server has caused
		over = over && (n <= 0 || n > most)
	}
	if l.count > 0 {
		n = min(n, l.count-sent)
		over = over || sent >= l.count
	}
	return max(0, min(n, most, max(1, loadBytes/(len(l.data)+300)))), over
}

// entry returns the n-th record, from 1.
func (l *load) entry(n int) (putEntry, error) {
	e := putEntry{Data: []byte(strings.ReplaceAll(l.data, "{{n}}", strconv.Itoa(n)))}
	var err error
	switch {
	case l.field != nil:
		if e.PartitionKey, err = (&keyer{field: l.field}).of(e.Data); err != nil {
			err = fmt.Errorf("the generated record %s %w", e.Data, err)
		}
	default:
		e.PartitionKey = first(l.key, "key-"+strconv.Itoa(rand.IntN(max(1, l.keys))))
	}
	return e, err
}

// tally is the result of a load so far.
type tally struct {
	Records   int     // acknowledged
	Throttled int     // refusals for lack of throughput
	Resent    int     // records sent again, for that or another reason
	Seconds   float64 // how long it took
	Packed    int     `json:",omitempty"` // records of the stream that hold them, if they are packed
}

func (t tally) String() string {
	s := fmt.Sprintf(
		"%s in %.1f s (%.0f/s)", counted(t.Records, "record"), t.Seconds, float64(t.Records)/max(t.Seconds, 0.001),
	)
	if t.Packed > 0 {
		s += fmt.Sprintf(", packed into %d", t.Packed)
	}
	if t.Throttled > 0 {
		s += fmt.Sprintf(", %d throttled", t.Throttled)
	}
	if t.Resent > 0 {
		s += fmt.Sprintf(", %d sent again", t.Resent)
	}
	return s
}

// progress returns the tally, with a bar if the load has an end.
func (l *load) progress(t tally) string {
	done := -1.0
	if l.count > 0 {
		done = float64(t.Records) / float64(l.count)
	}
	if l.duration > 0 {
		done = max(done, t.Seconds/l.duration.Seconds())
	}
	if done < 0 {
		return t.String()
	}
	const width = 24
	full := int(min(done, 1) * width)
	return fmt.Sprintf(
		"[%s%s] %3.0f %%  %s", strings.Repeat("█", full), strings.Repeat("·", width-full), min(done, 1)*100, t,
	)
}

// runLoad puts records until the load is done or the user interrupts. A load without an end succeeds when it is
// interrupted.
func runLoad(c *cobra.Command, p *putter, l load, js bool) error {
	t := &p.tally
	ctx, bar := c.Context(), newBar(newTerminal(c.ErrOrStderr()))
	began := time.Now()
	tick := time.NewTicker(loadTick)
	defer tick.Stop()
	var err error
	for err == nil {
		elapsed := time.Since(began)
		n, done := l.due(elapsed, t.Records)
		if done {
			break
		}
		if n > 0 {
			entries := make([]putEntry, n)
			for i := range entries {
				if entries[i], err = l.entry(t.Records + i + 1); err != nil {
					break
				}
			}
			if err == nil {
				err = p.put(ctx, entries)
			}
		}
		t.Seconds = time.Since(began).Seconds()
		bar.show(l.progress(*t), time.Now())
		if err == nil && l.rate > 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
	}
	bar.end()
	if t.Records > 0 || err == nil {
		if js {
			if jerr := printJSON(c.OutOrStdout(), *t); jerr != nil {
				return jerr
			}
		} else {
			newTerminal(c.OutOrStdout()).printf("%s\n", *t)
		}
	}
	if errors.Is(err, context.Canceled) && l.count == 0 && l.duration == 0 {
		return nil
	}
	return explain(err)
}

// bar shows one line of progress: repainted on a terminal, a new line now and then elsewhere.
type bar struct {
	t     terminal
	live  bool
	width int // of the terminal; 0: not known
	shown time.Time
	drawn bool
}

// How often a line of progress is shown, on a terminal and elsewhere.
const (
	barLive  = 100 * time.Millisecond
	barPlain = 5 * time.Second
)

func newBar(t terminal) *bar {
	b := &bar{t: t, live: t.live && os.Getenv("TERM") != "dumb"}
	if !b.live {
		b.shown = time.Now() // a short load needs no progress line
	} else if width, _, err := term.GetSize(int(t.w.(*os.File).Fd())); err == nil {
		b.width = width
	}
	return b
}

func (b *bar) show(line string, now time.Time) {
	switch {
	case b.live && now.Sub(b.shown) >= barLive:
		b.shown, b.drawn = now, true
		if r := []rune(line); b.width > 0 && len(r) >= b.width { // a line that wraps cannot be repainted
			line = string(r[:b.width-1])
		}
		b.t.printf("\r\x1b[K%s", line)
	case !b.live && now.Sub(b.shown) >= barPlain:
		b.shown = now
		b.t.printf("%s\n", line)
	}
}

// end clears the line for what follows.
func (b *bar) end() {
	if b.drawn {
		b.t.printf("\r\x1b[K")
	}
}
