package engine

import (
	"github.com/shardmill/shardmill/filter"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
)

// sieve tells which records of a shard a mapping's filters let through. It has scratch: not safe for concurrent use.
type sieve struct {
	format   source.Format
	matcher  *filter.Matcher // nil: every record passes
	metadata bool            // the filters look at more than data
	scratch  []byte
}

func newSieve(f *filter.Filter, format source.Format) sieve {
	s := sieve{format: format}
	if f != nil {
		s.matcher, s.metadata = f.Matcher(), f.Metadata()
	}
	return s
}

func (s *sieve) passes(r *record.Record) bool {
	if s.matcher == nil {
		return true
	}
	if s.metadata {
		s.scratch = s.format.AppendMetadata(s.scratch[:0], r)
	}
	return s.matcher.Match(s.scratch, r.Data)
}
