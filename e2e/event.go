// Package e2e holds the tests that start the real binary as a process and talk to it with real clients: the AWS CLI,
// boto3 and the AWS SDK for Go.
//
// Nothing here reaches into the product. What the tests know, they know from the APIs, from what functions were sent,
// and from exit codes and files. The few types in this file are shared between the tests and the programs under
// testdata, which run as processes of their own.
package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Record is a record as a function sees it.
type Record struct {
	Shard    string // for example shardId-000000000003, from eventID
	Sequence string
	Key      string
	Data     string
}

// ParseEvent reads the records of a Kinesis event. Source: Lambda Developer Guide, "Using Lambda to process records
// from Amazon Kinesis Data Streams".
func ParseEvent(event []byte) ([]Record, error) {
	var e struct {
		Records []struct {
			EventID string
			Kinesis struct {
				PartitionKey   string
				SequenceNumber string
				Data           []byte
			}
		}
	}
	if err := json.Unmarshal(event, &e); err != nil {
		return nil, err
	}
	out := make([]Record, len(e.Records))
	for i, r := range e.Records {
		shard, sequence, ok := strings.Cut(r.EventID, ":")
		if !ok || sequence != r.Kinesis.SequenceNumber {
			return nil, fmt.Errorf("eventID %q does not name sequence number %q", r.EventID, r.Kinesis.SequenceNumber)
		}
		out[i] = Record{shard, sequence, r.Kinesis.PartitionKey, string(r.Kinesis.Data)}
	}
	return out, nil
}

// Order is what a ledger answers when testdata/handler tells it that an invocation has begun: how it shall go on.
type Order struct {
	WorkMillis int             // how long to be busy
	Fail       string          // "": succeed; else the error's message
	Response   json.RawMessage // of a success; nil: null
}

// Note is one line of the ledger that outlives every server.
type Note struct {
	Kind     string   // life, put, ack, begin, end
	ID       string   `json:",omitempty"` // of the invocation
	Key      string   `json:",omitempty"` // of the record that is put
	Data     string   `json:",omitempty"` // unique for every record
	Sequence string   `json:",omitempty"` // of the record acknowledged
	Records  []Record `json:",omitempty"` // of the invocation begun
	Failed   bool     `json:",omitempty"` // the invocation that ended reports an error
}

// PoisonPrefix begins the data of records that a function cannot take.
const PoisonPrefix = "poison"

// Poisoned reports whether the ledger's functions refuse a batch.
func Poisoned(records []Record) bool {
	for _, r := range records {
		if strings.HasPrefix(r.Data, PoisonPrefix) {
			return true
		}
	}
	return false
}
