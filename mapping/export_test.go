package mapping

// This file exports what the fakes' contract tests in package mapping_test need.

// FakeStreams are the streams that tests of this room poll.
type FakeStreams = streams

// NewFakeStreams returns fakes without a stream.
func NewFakeStreams() *FakeStreams { return newStreams() }

// Add creates a stream, Put puts a record into it, Drop deletes it.
func (s *streams) Add(arn string)  { s.add(arn) }
func (s *streams) Put(arn string)  { s.put(arn) }
func (s *streams) Drop(arn string) { s.drop(arn) }

// NewFakeFunctions returns a fake with function f.
func NewFakeFunctions() Functions { return &functions{names: map[string]bool{"f": true}} }
