package simshell

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
)

// Machine is what one shard machine of a run was made from, was given, and wanted.
type Machine struct {
	Made  engine.Machine
	Steps []Step
}

// Step is one event and what the machine wanted then.
type Step struct {
	At      time.Time
	Event   esm.Event
	Wanted  []esm.Command
	Unended bool // the machine broke on it
}

// recorder keeps every machine of a run.
type recorder struct {
	mu       sync.Mutex
	machines []*Machine
}

// machine is engine.Options.Trace.
func (r *recorder) machine(m engine.Machine) engine.Tracer {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &Machine{Made: m}
	r.machines = append(r.machines, t)
	return t
}

// Given keeps an event, with a copy of what is valid during the call only.
func (m *Machine) Given(now time.Time, ev esm.Event) {
	if r, ok := ev.(esm.ReadReturned); ok {
		r.Records = slices.Clone(r.Records)
		ev = r
	}
	m.Steps = append(m.Steps, Step{At: now, Event: ev, Unended: true})
}

// Wanted keeps the commands of the last event, but for what only tells what happened.
func (m *Machine) Wanted(commands []esm.Command) {
	s := &m.Steps[len(m.Steps)-1]
	s.Unended = false
	for _, c := range commands {
		switch t := c.(type) {
		case esm.Observe:
			continue
		case esm.Invoke:
			t.Positions = slices.Clone(t.Positions)
			c = t
		case esm.Deliver:
			t.Positions = slices.Clone(t.Positions)
			c = t
		case esm.Read, esm.Cancel, esm.Save, esm.Finished:
		}
		s.Wanted = append(s.Wanted, c)
	}
}

// Replay plays what a machine was given again in the core, and reports the first step at which it wants something else:
// nil when there is none. A machine that broke breaks again, with the panic of the core.
func Replay(m *Machine) error {
	s := esm.NewShard(m.Made.Config, m.Made.From, m.Made.Seed)
	for i := range m.Steps {
		step := &m.Steps[i]
		got, want := texts(s.Step(step.At, step.Event)), texts(step.Wanted)
		if !slices.Equal(got, want) {
			return fmt.Errorf("step %d at %s, %T %+v: the core wants\n%q, and wanted\n%q", i, step.At, step.Event,
				step.Event, got, want)
		}
	}
	return nil
}

// texts are commands as lines that compare, without what only tells what happened.
func texts(commands []esm.Command) []string {
	out := make([]string, 0, len(commands))
	for _, c := range commands {
		if _, ok := c.(esm.Observe); ok {
			continue
		}
		b, err := json.Marshal(c)
		if err != nil {
			panic(err)
		}
		out = append(out, fmt.Sprintf("%T%s", c, b))
	}
	return out
}

// line is one line of a trace file: a machine, or one of its steps.
type line struct {
	Machine int             `json:"machine"`
	Made    *engine.Machine `json:"made,omitempty"`
	At      time.Time       `json:"at,omitzero"`
	Kind    string          `json:"kind,omitempty"`
	Event   json.RawMessage `json:"event,omitempty"`
	Wanted  []string        `json:"wanted,omitempty"`
	Broke   bool            `json:"broke,omitempty"`
}

// kinds are the events that a trace file can hold.
var kinds = func() map[string]esm.Event {
	all := map[string]esm.Event{}
	for _, ev := range []esm.Event{
		esm.ReadReturned{},
		esm.ReadFailed{},
		esm.Horizon{},
		esm.Returned{},
		esm.SlotFree{},
		esm.Delivered{},
		esm.Saved{},
		esm.Reconfigured{},
		esm.Release{},
		esm.Nudge{},
		esm.Tick{},
	} {
		all[fmt.Sprintf("%T", ev)] = ev
	}
	return all
}()

// WriteTrace writes what machines were given, a line of JSON each.
func WriteTrace(out io.Writer, machines []*Machine) error {
	b := bufio.NewWriter(out)
	e := json.NewEncoder(b)
	for i, m := range machines {
		if err := e.Encode(line{Machine: i, Made: &m.Made}); err != nil {
			return err
		}
		for n := range m.Steps {
			s := &m.Steps[n]
			text, err := json.Marshal(s.Event)
			if err != nil {
				return err
			}
			l := line{
				Machine: i, At: s.At, Kind: fmt.Sprintf("%T", s.Event), Event: text, Wanted: texts(s.Wanted),
				Broke: s.Unended,
			}
			if err := e.Encode(l); err != nil {
				return err
			}
		}
	}
	return b.Flush()
}

// Played is what a trace file says of one machine.
type Played struct {
	Made  engine.Machine
	Lines int
	Err   error // the first line at which the core wants something else than the file says
}

// ReplayTrace plays every machine of a trace file again in the core. A machine that broke breaks again, with the panic
// of the core.
func ReplayTrace(in io.Reader) ([]Played, error) {
	var played []Played
	var shards []*esm.Shard
	d := json.NewDecoder(bufio.NewReader(in))
	for {
		var l line
		if err := d.Decode(&l); err == io.EOF {
			return played, nil
		} else if err != nil {
			return played, err
		}
		if l.Made != nil {
			played = append(played, Played{Made: *l.Made})
			shards = append(shards, esm.NewShard(l.Made.Config, l.Made.From, l.Made.Seed))
			continue
		}
		p := &played[l.Machine]
		if p.Err != nil {
			continue
		}
		ev, err := decodeEvent(l.Kind, l.Event)
		if err != nil {
			return played, err
		}
		p.Lines++
		if got := texts(shards[l.Machine].Step(l.At, ev)); !slices.Equal(got, l.Wanted) {
			p.Err = fmt.Errorf("line %d of the machine, %s: the core wants\n%q, and wanted\n%q", p.Lines, l.Kind, got,
				l.Wanted)
		}
	}
}

// decodeEvent reads an event of a kind.
func decodeEvent(kind string, text []byte) (esm.Event, error) {
	switch kinds[kind].(type) {
	case esm.ReadReturned:
		return decode[esm.ReadReturned](text)
	case esm.ReadFailed:
		return decode[esm.ReadFailed](text)
	case esm.Horizon:
		return decode[esm.Horizon](text)
	case esm.Returned:
		return decode[esm.Returned](text)
	case esm.SlotFree:
		return decode[esm.SlotFree](text)
	case esm.Delivered:
		return decode[esm.Delivered](text)
	case esm.Saved:
		return decode[esm.Saved](text)
	case esm.Reconfigured:
		return decode[esm.Reconfigured](text)
	case esm.Release:
		return decode[esm.Release](text)
	case esm.Nudge:
		return decode[esm.Nudge](text)
	case esm.Tick:
		return decode[esm.Tick](text)
	}
	return nil, fmt.Errorf("no event is of kind %q", kind)
}

func decode[E esm.Event](text []byte) (esm.Event, error) {
	var ev E
	err := json.Unmarshal(text, &ev)
	return ev, err
}
