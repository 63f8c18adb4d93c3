// Package mappingtest tests what package mapping expects of its Sources and Functions: those of the server pass, and so
// does every fake of them.
package mappingtest

import (
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
)

// Streams is a Sources that does not have the stream yet, with what a test does to it.
type Streams struct {
	mapping.Sources
	ARN    string         // of the one stream, in the caller's account and region
	Caller mapping.Caller // the caller of Lookup
	Create func()
	Put    func() // a record; nil: the fake holds none
	Delete func() // nil: streams cannot be deleted

	Register   func() (arn string) // a consumer of the stream; nil: streams have no consumers
	Deregister func()              // that consumer
}

// RunSources tests what make makes.
func RunSources(t *testing.T, make func(t *testing.T) *Streams) {
	t.Run("a stream that is not there is named", func(t *testing.T) {
		s := make(t)
		_, err := s.Lookup(t.Context(), s.ARN+"-other", s.Caller.Account, s.Caller.Region)
		wantMissing(t, err, "Stream not found: "+s.ARN+"-other")
	})
	t.Run("a stream is found by its ARN", func(t *testing.T) {
		s := make(t)
		s.Create()
		found := s.find(t)
		if found.ID == 0 || found.ARN != s.ARN {
			t.Errorf("found %+v", found)
		}
	})
	t.Run("LATEST begins behind what was put, TRIM_HORIZON before it", func(t *testing.T) {
		s := make(t)
		s.Create()
		id := s.find(t).ID
		before := s.start(t, id, mapping.Latest)
		if s.Put == nil {
			return
		}
		s.Put()
		if after, oldest := s.start(t, id, mapping.Latest), s.start(t, id, mapping.TrimHorizon); after <= before ||
			oldest >= after {
			t.Errorf("LATEST is %d before a put and %d after it, TRIM_HORIZON %d", before, after, oldest)
		}
	})
	t.Run("a stream that was deleted has no start", func(t *testing.T) {
		s := make(t)
		if s.Delete == nil {
			return
		}
		s.Create()
		id := s.find(t).ID
		s.Delete()
		_, err := s.Starts(t.Context(), id, mapping.Latest, 0)
		if code := fault.CodeOf(err); code != fault.CodeInvalidParameter {
			t.Errorf("got %v", err)
		}
		_, err = s.Lookup(t.Context(), s.ARN, s.Caller.Account, s.Caller.Region)
		wantMissing(t, err, "Stream not found: "+s.ARN)
	})
	runConsumers(t, make)
}

// runConsumers tests what make makes, where streams have consumers.
func runConsumers(t *testing.T, make func(t *testing.T) *Streams) {
	t.Run("a consumer is found by its ARN, and reads the stream", func(t *testing.T) {
		s := make(t)
		if s.Register == nil {
			return
		}
		s.Create()
		arn := s.Register()
		found, err := s.Lookup(t.Context(), arn, s.Caller.Account, s.Caller.Region)
		if err != nil || found.ID != s.find(t).ID || found.ARN != arn {
			t.Errorf("found %+v, %v", found, err)
		}
	})
	t.Run("a consumer that is not there is named", func(t *testing.T) {
		s := make(t)
		if s.Register == nil {
			return
		}
		s.Create()
		arn := s.Register()
		s.Deregister()
		for _, absent := range []string{arn, arn + "0", s.ARN + "-other/consumer/c:1"} {
			_, err := s.Lookup(t.Context(), absent, s.Caller.Account, s.Caller.Region)
			wantMissing(t, err, "Stream consumer not found: "+absent)
		}
	})
}

func (s *Streams) find(t *testing.T) mapping.Source {
	t.Helper()
	found, err := s.Lookup(t.Context(), s.ARN, s.Caller.Account, s.Caller.Region)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// start returns where the first shard starts.
func (s *Streams) start(t *testing.T, id uint32, position string) uint64 {
	t.Helper()
	starts, err := s.Starts(t.Context(), id, position, 0)
	if _, ok := starts[0]; err != nil || !ok {
		t.Fatalf("starts %v, %v", starts, err)
	}
	return uint64(starts[0])
}

func wantMissing(t *testing.T, err error, text string) {
	t.Helper()
	if want := (&fault.Error{Code: fault.CodeInvalidParameter, Message: text}).Error(); err == nil ||
		err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

// Names is a Functions in which function Name exists, with version 1 and alias live and no other, and function Absent
// does not.
type Names struct {
	mapping.Functions
	Name, ARN, Absent string
	Caller            mapping.Caller
}

// RunFunctions tests f.
func RunFunctions(t *testing.T, f Names) {
	for _, name := range []string{f.Name, f.ARN} {
		arn, bare, _, ok, err := f.Lookup(t.Context(), name, f.Caller.Account, f.Caller.Region)
		if err != nil || !ok || arn != f.ARN || bare != f.Name {
			t.Errorf("%s is %s, %q, %t, %v", name, arn, bare, ok, err)
		}
	}
	for _, qualifier := range []string{"$LATEST", "1", "live"} {
		for _, name := range []string{f.Name, f.ARN} { // S-17: shown as it was given
			arn, bare, _, ok, err := f.Lookup(t.Context(), name+":"+qualifier, f.Caller.Account, f.Caller.Region)
			if err != nil || !ok || arn != f.ARN+":"+qualifier || bare != f.Name {
				t.Errorf("%s:%s is %s, %q, %t, %v", name, qualifier, arn, bare, ok, err)
			}
		}
	}
	for _, qualifier := range []string{"2", "absent"} {
		if _, _, _, ok, err := f.Lookup(t.Context(), f.Name+":"+qualifier, f.Caller.Account, f.Caller.Region); ok ||
			err != nil {
			t.Errorf("qualifier %s, which the function does not have: %t, %v", qualifier, ok, err)
		}
	}
	if _, _, _, ok, err := f.Lookup(t.Context(), f.Absent, f.Caller.Account, f.Caller.Region); ok || err != nil {
		t.Errorf("a function that is not there: %t, %v", ok, err)
	}
}
