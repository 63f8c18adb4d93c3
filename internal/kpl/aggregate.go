package kpl

import (
	"bytes"
	"crypto/md5"
	"iter"
	"math"

	"github.com/shardmill/shardmill/record"
)

// Aggregate is what Open found in a record's data. It refers to those bytes, which must not change.
type Aggregate struct {
	message      []byte
	keys, hashes []uint32 // where the fields of the two tables begin in message
	records      int
}

// Open returns the aggregate that data is. ok is false where a client of AWS delivers data as one record: it is too
// short for an aggregate, does not begin like one, its checksum or its message is wrong, or a record names a key that
// is not there.
func Open(data []byte) (a Aggregate, ok bool) {
	if len(data) <= frame || !bytes.HasPrefix(data, []byte(magic)) || len(data) > math.MaxUint32 {
		return a, false
	}
	a.message = data[len(magic) : len(data)-md5.Size]
	if md5.Sum(a.message) != [md5.Size]byte(data[len(data)-md5.Size:]) {
		return Aggregate{}, false
	}
	if !a.index() || !a.check() {
		return Aggregate{}, false
	}
	return a, true
}

// index finds the tables, which may follow the records that refer to them.
func (a *Aggregate) index() bool {
	for rest := a.message; len(rest) > 0; {
		f, after, ok := next(rest)
		if !ok {
			return false
		}
		at := uint32(len(a.message) - len(rest))
		switch {
		case f.is(fieldKeys, wireBytes):
			a.keys = append(a.keys, at)
		case f.is(fieldHashes, wireBytes):
			a.hashes = append(a.hashes, at)
		}
		rest = after
	}
	return true
}

// check reports whether each record can be read, and counts them.
func (a *Aggregate) check() bool {
	for rest := a.message; len(rest) > 0; {
		f, after, _ := next(rest) // index has been through
		if f.is(fieldRecords, wireBytes) {
			if _, ok := a.read(f.bytes); !ok {
				return false
			}
			a.records++
		}
		rest = after
	}
	return true
}

// Len returns how many user records there are. It may be 0: a client then delivers nothing.
func (a Aggregate) Len() int { return a.records }

// All returns the user records in order. Their Pos and Arrival are zero: those of the record around them count. Data
// is a part of what was opened.
func (a Aggregate) All() iter.Seq[record.Record] {
	return func(yield func(record.Record) bool) {
		for rest := a.message; len(rest) > 0; {
			f, after, _ := next(rest) // Open has been through
			if f.is(fieldRecords, wireBytes) {
				if r, _ := a.read(f.bytes); !yield(r) {
					return
				}
			}
			rest = after
		}
	}
}

// Within reports whether every user record belongs to a shard with those keys. The KCL delivers none of an aggregate
// otherwise: the KPL knows such records as not put and sends them again.
func (a Aggregate) Within(keys record.HashKeyRange) bool {
	for r := range a.All() {
		if !keys.Contains(r.HashKeyOf()) {
			return false
		}
	}
	return true
}

// read returns the user record of a message; ok is false if it is none, or refers to what is not there.
func (a *Aggregate) read(m []byte) (r record.Record, ok bool) {
	key, hash, haveKey, haveData := uint64(0), uint64(0), false, false
	for len(m) > 0 {
		f, rest, ok := next(m)
		if !ok {
			return r, false
		}
		switch {
		case f.is(fieldKeyIndex, wireVarint):
			key, haveKey = f.value, true
		case f.is(fieldHashIndex, wireVarint):
			hash, r.Explicit = f.value, true
		case f.is(fieldData, wireBytes):
			r.Data, haveData = f.bytes, true
		case f.is(fieldTags, wireBytes):
			if !isTag(f.bytes) {
				return r, false
			}
		}
		m = rest
	}
	if !haveKey || !haveData || key >= uint64(len(a.keys)) || r.Explicit && hash >= uint64(len(a.hashes)) {
		return r, false
	}
	r.Key = a.entry(a.keys[key])
	if r.Explicit {
		r.Hash, ok = record.ParseHashKey(a.entry(a.hashes[hash]))
		return r, ok
	}
	return r, true
}

// entry returns the text of a table.
func (a *Aggregate) entry(at uint32) string {
	f, _, _ := next(a.message[at:])
	return string(f.bytes)
}

// isTag reports whether m is a tag. Tags are for applications that nobody has written; only their form is looked at.
func isTag(m []byte) bool {
	key := false
	for len(m) > 0 {
		f, rest, ok := next(m)
		if !ok {
			return false
		}
		key = key || f.is(fieldTagKey, wireBytes)
		m = rest
	}
	return key
}
