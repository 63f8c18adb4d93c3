package queue

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// A receipt handle is opaque to callers: version, queue, place, receive, and a checksum against typing errors; it is
// not a secret.
const receiptBytes = 1 + 8 + 8 + 4 + 4

func receiptHandle(queue, seq uint64, receive uint32) string {
	b := make([]byte, 0, receiptBytes)
	b = append(b, formatVersion)
	b = binary.BigEndian.AppendUint64(b, queue)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint32(b, receive)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return base64.URLEncoding.EncodeToString(b)
}

// parseReceiptHandle parses a handle that receiptHandle made.
func parseReceiptHandle(s string) (queue, seq uint64, ok bool) {
	if len(s) != base64.URLEncoding.EncodedLen(receiptBytes) {
		return 0, 0, false
	}
	b, err := base64.URLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != receiptBytes || b[0] != formatVersion {
		return 0, 0, false
	}
	if crc32.ChecksumIEEE(b[:receiptBytes-4]) != binary.BigEndian.Uint32(b[receiptBytes-4:]) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), true
}

// Delete deletes the message that a receive handed out, and returns when that is durable. Every handle ever issued for
// the message works, even after it was received again, as on AWS's standard queues; a message that is already gone is
// no error. Faults: QueueDoesNotExist; ReceiptHandleIsInvalid (not a handle, or one of another queue).
func (qs *Queues) Delete(ctx context.Context, name Name, handle string) error {
	_, leave, err := qs.enter()
	if err != nil {
		return err
	}
	defer leave()
	q, err := qs.lookup(name)
	if err != nil {
		return err
	}
	id, seq, ok := parseReceiptHandle(handle)
	if !ok || id != q.meta.id {
		return fault.New(CodeInvalidReceipt, "The input receipt handle %q is not a valid receipt handle.", clip(handle))
	}

	q.mu.Lock()
	if err := q.begin(); err != nil {
		q.mu.Unlock()
		return err
	}
	defer q.writes.Done()
	e := q.index.bySeq[seq]
	if e != nil {
		e.gone = true
		q.index.displace(e)
	}
	q.mu.Unlock()

	err = q.apply(ctx, storage.Sync, q.erase(seq)...)

	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case e == nil || q.index.bySeq[seq] != e:
	case err != nil:
		e.gone = false
		q.index.place(e, q.qs.now())
	default:
		q.index.remove(e)
	}
	q.advance(q.qs.now())
	q.rearm()
	if err != nil {
		return storageFault("delete from queue "+name.ARN(), err)
	}
	return nil
}

// Purge deletes every message sent before the call, delayed and in-flight ones included, and returns when that is
// durable. Deduplication ids stay. Faults: QueueDoesNotExist.
func (qs *Queues) Purge(ctx context.Context, name Name) error {
	_, leave, err := qs.enter()
	if err != nil {
		return err
	}
	defer leave()
	q, err := qs.lookup(name)
	if err != nil {
		return err
	}
	q.mu.Lock()
	if err := q.begin(); err != nil {
		q.mu.Unlock()
		return err
	}
	defer q.writes.Done()
	q.floor = q.next
	floor := q.floor
	for e := q.index.oldest; e != nil; e = q.index.oldest {
		q.index.remove(e)
	}
	q.mu.Unlock()

	// After a failure the messages stay invisible, and the timer set by rearm tries to delete them again.
	err = q.apply(ctx, storage.Sync,
		storage.LocalOp{Key: stateKey(q.meta.id, 0), Until: stateKey(q.meta.id, floor)},
		storage.LocalOp{Key: contentKey(q.meta.id, 0), Until: contentKey(q.meta.id, floor)})

	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		q.trimmed = max(q.trimmed, floor)
	}
	q.rearm()
	if err != nil {
		return storageFault("purge queue "+name.ARN(), err)
	}
	return nil
}
