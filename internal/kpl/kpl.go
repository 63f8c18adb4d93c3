// Package kpl reads and writes aggregated records: several user records that the Kinesis Producer Library (KPL) packs
// into the data of one.
//
// Bytes come in and user records go out, and back. The server never opens an aggregate; what uses this package stands
// at either end of a stream. It performs no I/O. Where the format is described: "KPL Aggregated Record Format" in the
// KPL's repository; how readers treat what does not fit it, in the Kinesis Client Library (KCL).
//
// An aggregate is magic, a protobuf message and the MD5 of that message:
//
//	AggregatedRecord { 1: repeated string keys, 2: repeated string hash keys, 3: repeated Record }
//	Record           { 1: uint64 key index, 2: optional uint64 hash key index, 3: bytes data, 4: repeated Tag }
//	Tag              { 1: string key, 2: optional string value }
package kpl

import "crypto/md5"

// magic begins every aggregate.
const magic = "\xf3\x89\x9a\xc2"

// frame is how many bytes of an aggregate are not the message.
const frame = len(magic) + md5.Size

// Numbers of the fields, in the message and in what it holds.
const (
	fieldKeys    = 1
	fieldHashes  = 2
	fieldRecords = 3

	fieldKeyIndex  = 1
	fieldHashIndex = 2
	fieldData      = 3
	fieldTags      = 4

	fieldTagKey = 1
)
