package mapping

// What the contract of the fakes needs, which stands in package mapping_test.

// FakeStreams are the streams that tests of this room poll.
type FakeStreams = streams

// NewFakeStreams has no stream.
func NewFakeStreams() *FakeStreams { return newStreams() }

// Add makes a stream, Put puts a record into it, Drop deletes it.
func (s *streams) Add(arn string)  { s.add(arn) }
func (s *streams) Put(arn string)  { s.put(arn) }
func (s *streams) Drop(arn string) { s.drop(arn) }

// NewFakeFunctions has function f.
func NewFakeFunctions() Functions { return &functions{names: map[string]bool{"f": true}} }
