package source

import (
	"strconv"
	"unicode/utf8"

	"github.com/shardmill/shardmill/internal/base64"
	"github.com/shardmill/shardmill/record"
)

// KinesisFormat is the payload of records from a Kinesis stream.
type KinesisFormat struct {
	ShardID   record.ShardID
	StreamARN string // in notices
	// Sequence appends the sequence number of the record at a position of this shard with an arrival. All of a shard
	// are equally long.
	Sequence func([]byte, record.Position, record.Millis) []byte

	digits int    // of a sequence number
	shard  string // its text
	head   string // `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":`
	tail   string // `},"eventSource":…` up to eventID's value
	end    string // after eventID
	name   string // `,"shardId":…,"eventSourceARN":…`
}

const (
	payloadHead = `{"Records":[`
	payloadTail = `]}`
)

// NewKinesisFormat returns the format of one shard for a function with the given execution role.
func NewKinesisFormat(
	shard record.ShardID, streamARN, region, roleARN string,
	sequence func([]byte, record.Position, record.Millis) []byte,
) *KinesisFormat {
	f := &KinesisFormat{
		ShardID: shard, StreamARN: streamARN, Sequence: sequence, digits: len(sequence(nil, 1, 0)),
		shard: shard.String(),
	}
	f.head = `{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":`
	f.tail = `},"eventSource":"aws:kinesis","eventVersion":"1.0","eventID":"` + f.shard + `:`
	f.end = `","eventName":"aws:kinesis:record","invokeIdentityArn":` + quote(roleARN) + `,"awsRegion":` +
		quote(region) + `,"eventSourceARN":` + quote(streamARN) + `}`
	f.name = `,"shardId":` + quote(f.shard) + `,"eventSourceARN":` + quote(streamARN)
	return f
}

// Envelope returns the bytes of braces and brackets; each record counts a comma, but the last one's is not written.
func (f *KinesisFormat) Envelope() int { return len(payloadHead) + len(payloadTail) - 1 }

const (
	memberSequence = `,"sequenceNumber":"`
	memberData     = `","data":"`
	memberArrival  = `","approximateArrivalTimestamp":`
)

// RecordSize returns the exact size; it encodes only the sequence number.
func (f *KinesisFormat) RecordSize(r *record.Record) int {
	return len(f.head) + quotedLen(r.Key) + len(memberSequence) + f.digits + len(memberData) +
		base64.EncodedLen(len(r.Data)) + len(memberArrival) + secondsLen(r.Arrival) + len(f.tail) + f.digits +
		len(f.end) + 1
}

// The members of a tumbling window, in the order of the Lambda Developer Guide's example: window, state, shardId,
// eventSourceARN and the two flags.
const (
	windowStart = `,"window":{"start":"`
	windowEnd   = `","end":"`
	windowState = `"},"state":`
	windowFinal = `,"isFinalInvokeForWindow":`
	windowEarly = `,"isWindowTerminatedEarly":`
	windowTime  = "2006-01-02T15:04:05Z" // no fraction
)

// Windowed counts both flags as false: an invocation with records ends no window.
func (f *KinesisFormat) Windowed() int {
	return len(windowStart) + len(windowTime) + len(windowEnd) + len(windowTime) + len(windowState) + len(f.name) +
		len(windowFinal) + len("false") + len(windowEarly) + len("false")
}

// Recordless counts one flag as true, and only commas that are written.
func (f *KinesisFormat) Recordless() int {
	return len(payloadHead) + len(payloadTail) + f.Windowed() + len("true") - len("false")
}

// AppendPayload appends the event that the function gets.
func (f *KinesisFormat) AppendPayload(dst []byte, records []record.Record, w *Window) []byte {
	dst = append(dst, payloadHead...)
	for i := range records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = f.appendRecord(dst, &records[i])
	}
	if w == nil {
		return append(dst, payloadTail...)
	}
	dst = append(dst, ']')
	dst = append(dst, windowStart...)
	dst = w.Start.Time().AppendFormat(dst, windowTime)
	dst = append(dst, windowEnd...)
	dst = w.End.Time().AppendFormat(dst, windowTime)
	dst = append(dst, windowState...)
	dst = append(dst, w.State...)
	dst = append(dst, f.name...)
	dst = append(dst, windowFinal...)
	dst = strconv.AppendBool(dst, w.Final)
	dst = append(dst, windowEarly...)
	dst = strconv.AppendBool(dst, w.Early)
	return append(dst, '}')
}

func (f *KinesisFormat) appendRecord(dst []byte, r *record.Record) []byte {
	dst = append(dst, f.head...)
	dst = appendQuoted(dst, r.Key)
	dst = append(dst, memberSequence...)
	at := len(dst)
	dst = f.Sequence(dst, r.Pos, r.Arrival)
	end := len(dst)
	dst = append(dst, memberData...)
	dst = base64.AppendEncode(dst, r.Data)
	dst = append(dst, memberArrival...)
	dst = appendSeconds(dst, r.Arrival)
	dst = append(dst, f.tail...)
	dst = append(dst, dst[at:end]...)
	return append(dst, f.end...)
}

// AppendMetadata appends the members of a record, those inside kinesis and those beside it as one flat object, as the
// Lambda Developer Guide of 2022 shows patterns for them.
func (f *KinesisFormat) AppendMetadata(dst []byte, r *record.Record) []byte {
	dst = append(dst, `{"kinesisSchemaVersion":"1.0","partitionKey":`...)
	dst = appendQuoted(dst, r.Key)
	dst = append(dst, memberSequence...)
	at := len(dst)
	dst = f.Sequence(dst, r.Pos, r.Arrival)
	end := len(dst)
	dst = append(dst, memberArrival...)
	dst = appendSeconds(dst, r.Arrival)
	dst = append(dst, f.tail[len("}"):]...)
	dst = append(dst, dst[at:end]...)
	return append(dst, f.end...)
}

// Identifier returns the record's sequence number.
func (f *KinesisFormat) Identifier(r *record.Record) string {
	return string(f.Sequence(nil, r.Pos, r.Arrival))
}

// Batch returns the notice's KinesisBatchInfo, with its members in AWS's order.
func (f *KinesisFormat) Batch(first, last *record.Record, count int) BatchInfo {
	b := []byte(`{"shardId":"` + f.shard + `","startSequenceNumber":"`)
	b = f.Sequence(b, first.Pos, first.Arrival)
	b = append(b, `","endSequenceNumber":"`...)
	b = f.Sequence(b, last.Pos, last.Arrival)
	b = append(b, `","approximateArrivalOfFirstRecord":"`...)
	b = first.Arrival.Time().AppendFormat(b, ISOMillis)
	b = append(b, `","approximateArrivalOfLastRecord":"`...)
	b = last.Arrival.Time().AppendFormat(b, ISOMillis)
	b = append(b, `","batchSize":`...)
	b = strconv.AppendInt(b, int64(count), 10)
	b = append(b, `,"streamArn":`...)
	b = append(appendQuoted(b, f.StreamARN), '}')
	return BatchInfo{Member: "KinesisBatchInfo", JSON: b}
}

// ISOMillis is the time format of notices: UTC with exactly three fraction digits.
const ISOMillis = "2006-01-02T15:04:05.000Z"

// appendSeconds appends an instant in seconds with three decimals, never with an exponent.
func appendSeconds(dst []byte, m record.Millis) []byte {
	dst = strconv.AppendInt(dst, int64(m)/1000, 10)
	f := int(int64(m) % 1000)
	return append(dst, '.', byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
}

func secondsLen(m record.Millis) int {
	n, s := 5, int64(m)/1000
	for s >= 10 {
		s /= 10
		n++
	}
	return n
}

func quote(s string) string { return string(appendQuoted(nil, s)) }

// plain reports whether s stands between quotation marks as it is, as nearly every partition key does.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string: quotes, backslashes and control characters are escaped, everything else
// stays; invalid UTF-8 becomes U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	if plain(s) {
		return append(append(dst, s...), '"')
	}
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		case c >= 0x20:
			dst = append(dst, c)
		default:
			switch c {
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
		i++
	}
	return append(dst, '"')
}

// quotedLen returns len(appendQuoted(nil, s)).
func quotedLen(s string) int {
	n := len(s) + 2
	if plain(s) {
		return n
	}
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t':
			n++
		case c < 0x20:
			n += 5
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				n += 2 // U+FFFD has three bytes
			}
			i += size
			continue
		}
		i++
	}
	return n
}
