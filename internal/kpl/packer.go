package kpl

import (
	"crypto/md5"

	"github.com/shardmill/shardmill/record"
)

// severalKey is the partition key of a record that holds several: its hash key is explicit.
const severalKey = "a"

// Packer packs user records of one shard into one record. The zero value is empty. Not safe for concurrent use.
type Packer struct {
	first            record.Record
	count            int
	keys, hashes     map[string]uint64 // where texts are in the two tables
	table, hashTable []byte            // the fields of the message, as they are written
	records, body    []byte
}

// Len returns how many records are packed.
func (p *Packer) Len() int { return p.count }

// Size returns the bytes, data plus partition key, of the record that Record would return.
func (p *Packer) Size() int {
	if p.count <= 1 {
		return p.first.Size()
	}
	return p.packed()
}

func (p *Packer) packed() int {
	return frame + len(p.table) + len(p.hashTable) + len(p.records) + len(severalKey)
}

// Add packs r, and copies what it needs of it; Pos and Arrival are left out. It does nothing and returns false if the
// result would have more than most bytes, data plus partition key; the first record always fits.
func (p *Packer) Add(r record.Record, most int) bool {
	grown := 0
	key, known := p.keys[r.Key]
	if !known {
		key = uint64(len(p.keys))
		grown += bytesSize(len(r.Key))
	}
	hash, hashText := uint64(0), ""
	if r.Explicit {
		hashText = r.Hash.String()
		if hash, known = p.hashes[hashText]; !known {
			hash = uint64(len(p.hashes))
			grown += bytesSize(len(hashText))
		}
	}
	p.body = appendNumber(p.body[:0], fieldKeyIndex, key)
	if r.Explicit {
		p.body = appendNumber(p.body, fieldHashIndex, hash)
	}
	p.body = appendBytes(p.body, fieldData, r.Data)
	if grown += bytesSize(len(p.body)); p.count > 0 && p.packed()+grown > most {
		return false
	}

	if p.keys == nil {
		p.keys, p.hashes = map[string]uint64{}, map[string]uint64{}
	}
	if key == uint64(len(p.keys)) {
		p.keys[r.Key] = key
		p.table = appendBytes(p.table, fieldKeys, r.Key)
	}
	if r.Explicit && hash == uint64(len(p.hashes)) {
		p.hashes[hashText] = hash
		p.hashTable = appendBytes(p.hashTable, fieldHashes, hashText)
	}
	p.records = appendBytes(p.records, fieldRecords, p.body)
	if p.count == 0 {
		p.first = record.Record{Key: r.Key, Hash: r.Hash, Explicit: r.Explicit, Data: append([]byte{}, r.Data...)}
	}
	p.count++
	return true
}

// Record returns the record to put, and empties the packer: a single user record as it came, several as an aggregate.
// That has an explicit hash key, the first one's, and so goes to the shard that they are for.
func (p *Packer) Record() record.Record {
	out := p.first
	if p.count > 1 {
		b := make([]byte, 0, p.packed())
		b = append(append(append(append(b, magic...), p.table...), p.hashTable...), p.records...)
		sum := md5.Sum(b[len(magic):])
		out = record.Record{
			Key: severalKey, Hash: p.first.HashKeyOf(), Explicit: true, Data: append(b, sum[:]...),
		}
	}
	p.first, p.count = record.Record{}, 0
	p.table, p.hashTable, p.records = p.table[:0], p.hashTable[:0], p.records[:0]
	clear(p.keys)
	clear(p.hashes)
	return out
}
