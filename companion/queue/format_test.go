package queue

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/shardmill/shardmill/storage"
)

// plainQueue is what both versions store of a queue: number 5, created at 1, modified at 2, with the defaults.
const plainQueue = "\x05\x01\x02\xb0\xea\x01\x00\x80\xe0\xe5\xa4\x01\x00\x80\x80\x40"

// The bytes of docs/format/queue.md. A change here is a change of the format: it needs a new version.
func TestStoredBytesAreAsDocumented(t *testing.T) {
	t.Parallel()
	id := uuid.UUID{0: 0xAA, 15: 0xBB}
	for name, c := range map[string]struct{ got, want []byte }{
		"content": {
			encodeContent(content{
				id: id, sender: "me", body: "hi", attributes: []Attribute{{"n", "Number", []byte("1")}},
			}),
			append(append([]byte{1, 0xAA}, make([]byte, 14)...), "\xBB\x02me\x02hi\x01\x01n\x06Number\x011"...),
		},
		"state": {
			encodeState(taken{seq: 9, sent: 1, visible: 128, first: 3, receives: 2}), []byte{1, 1, 0x80, 1, 3, 2},
		},
		"meta": {
			encodeMeta(meta{
				id: 5, created: 1, modified: 2, settings: Defaults(), tags: map[string]string{"b": "", "a": "xy"},
			}),
			[]byte("\x03" + plainQueue + "\x02\x01a\x02xy\x01b\x00\x00"),
		},
		"meta without tags, with a policy": {
			encodeMeta(meta{id: 5, created: 1, modified: 2, settings: Defaults(), policy: "{}"}),
			[]byte("\x03" + plainQueue + "\x00\x02{}"),
		},
		"dedup": {encodeDedup(dedup{due: 7, id: id}), append(append([]byte{1, 7, 0xAA}, make([]byte, 14)...), 0xBB)},
		"key":   {stateKey(1, 258), []byte("queue/i/\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01\x02")},
	} {
		if !bytes.Equal(c.got, c.want) {
			t.Errorf("%s: % x, want % x", name, c.got, c.want)
		}
	}
}

func TestUnknownVersionsAndWhatCannotBeStoredAreRefused(t *testing.T) {
	t.Parallel()
	b := encodeState(taken{sent: 1})
	b[0] = 2
	_, stateErr := decodeState(stateKey(1, 1), b)
	_, metaErr := decodeMeta([]byte("\x04" + plainQueue + "\x00\x00"))
	_, tagsErr := decodeMeta([]byte("\x02" + plainQueue + "\x33" + strings.Repeat("\x01k\x01v", 51)))
	_, policyErr := decodeMeta([]byte("\x03" + plainQueue + "\x00\x02{}"))
	for _, err := range []error{stateErr, metaErr, tagsErr, policyErr} {
		if !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("got %v", err)
		}
	}
}

// A queue of the first version, which knew no tags, or of the second, which knew no policies, works, can be tagged, and
// is stored in the newest one then.
func TestAQueueOfAnEarlierVersionIsUnderstood(t *testing.T) {
	t.Parallel()
	for stored, tags := range map[string]string{
		"\x01" + plainQueue:                    "\x01\x04team\x06orders",
		"\x02" + plainQueue + "\x01\x01a\x01b": "\x02\x01a\x01b\x04team\x06orders",
	} {
		understood(t, stored, "\x03"+plainQueue+tags+"\x00")
	}
}

func understood(t *testing.T, stored, want string) {
	t.Helper()
	b := open(t, newCrashable())
	store := func(key []byte, value string) {
		b.must(b.local.Apply(t.Context(), storage.Sync, storage.LocalOp{Key: key, Value: []byte(value)}))
	}
	store([]byte(prefixNext), "\x01\x06")
	store(metaKey(orders), stored)

	b.send("a")
	b.must(b.Tag(t.Context(), orders, map[string]string{"team": "orders"}))

	b.expect(b.receive(), "a")
	value, _, err := b.local.Get(metaKey(orders))
	b.must(err)
	if string(value) != want {
		t.Errorf("%q is stored as %q, want %q", stored, value, want)
	}
}

// Whatever the bytes, decoding does not panic or invent values, and what it accepts survives another round of encoding.
func FuzzStoredValues(f *testing.F) {
	f.Add(encodeContent(content{sender: "me", body: "hi", attributes: []Attribute{{"n", "Number", []byte("1")}}}))
	f.Add(encodeState(taken{sent: 1, visible: 2, first: 3, receives: 4}))
	f.Add(encodeMeta(meta{id: 1, settings: Defaults(), tags: map[string]string{"team": "orders"}}))
	f.Add([]byte("\x01" + plainQueue))
	f.Add([]byte("\x02" + plainQueue + "\x00"))
	f.Add(encodeMeta(meta{id: 1, settings: Defaults(), policy: sharing}))
	f.Add(encodeDedup(dedup{due: 1}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeContent(b); err == nil {
			again, err := decodeContent(encodeContent(c))
			if err != nil || !reflect.DeepEqual(again, c) {
				t.Errorf("content %+v became %+v (%v)", c, again, err)
			}
		}
		if e, err := decodeState(stateKey(1, 2), b); err == nil {
			s := taken{seq: e.seq, sent: e.sent, visible: e.visible, first: e.first, receives: e.receives}
			again, err := decodeState(stateKey(1, 2), encodeState(s))
			if err != nil || *again != *e {
				t.Errorf("state %+v became %+v (%v)", e, again, err)
			}
		}
		if m, err := decodeMeta(b); err == nil {
			again, err := decodeMeta(encodeMeta(m))
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Errorf("meta %+v became %+v (%v)", m, again, err)
			}
		}
		if d, err := decodeDedup(b); err == nil {
			again, err := decodeDedup(encodeDedup(d))
			if err != nil || again != d {
				t.Errorf("dedup %+v became %+v (%v)", d, again, err)
			}
		}
	})
}

func FuzzReceiptHandle(f *testing.F) {
	f.Add(receiptHandle(1, 2, 3))
	f.Add("AQ==")
	f.Fuzz(func(t *testing.T, s string) {
		if queue, seq, ok := parseReceiptHandle(s); ok {
			if q, n, ok := parseReceiptHandle(receiptHandle(queue, seq, 1)); !ok || q != queue || n != seq {
				t.Errorf("%q means %d, %d but those do not come back", s, queue, seq)
			}
		}
	})
}
