package stream

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/record"
)

func TestARecordIsJudgedByItsArrival(t *testing.T) {
	t.Parallel()
	e := newEncryptions([]Span{{From: 10, Until: 20}, {From: 20, Until: 30}, {From: 40}})
	for arrival, want := range map[record.Millis]bool{
		0: false, 9: false, 10: true, 19: true, 20: true, 29: true, 30: false, 39: false, 40: true, 1 << 40: true,
	} {
		if got := e.at(arrival); got != want {
			t.Errorf("a record of %d is encrypted: %v", arrival, got)
		}
	}
	if newEncryptions(nil).at(10) {
		t.Error("a stream that never was encrypted has an encrypted record")
	}
}

// What is put before the call begins counts as before, what is put when it has returned as after, to the millisecond;
// and a reader that began before sees each record as its put did.
func TestEncryptionBeginsWhenTheCallReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		told := map[string]bool{}
		put := func() {
			key := strconv.Itoa(len(told))
			placed, err := b.s.PutRecord(b.ctx, orders, PutRecordInput{Record: record.Record{Key: key}})
			b.must(err)
			told[key] = placed.Encrypted
		}
		put()
		token, err := b.s.Iterator(b.ctx, orders, IteratorInput{Shard: "0", Type: IterTrimHorizon})
		b.must(err)
		var began *ShardInfo
		_, err = b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: token},
			func(s *ShardInfo) { began = s }, func(record.Record) {})
		b.must(err)
		for range 3 {
			b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/a"))
			put()
			b.must(b.s.StopEncryption(b.ctx, orders, KMS, "alias/a"))
			put()
		}

		n := 0
		_, err = b.s.GetRecords(b.ctx, GetRecordsInput{Iterator: token}, func(*ShardInfo) {}, func(r record.Record) {
			if want := n%2 == 1; told[r.Key] != want || began.Encrypted(r.Arrival) != want {
				t.Errorf("record %d: the put was told %v, a reader %v", n, told[r.Key], began.Encrypted(r.Arrival))
			}
			n++
		})
		b.must(err)
		if n != 7 {
			t.Errorf("%d records", n)
		}
		b.s.Stop()
	})
}

// Times in which no readable record arrived are forgotten, so that a stream may change for ever.
func TestOldTimesOfEncryptionAreForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		for range 3 {
			b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/a"))
			b.must(b.s.StopEncryption(b.ctx, orders, KMS, "alias/a"))
		}
		b.advance(25 * time.Hour)
		b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/a"))
		b.advance(25 * time.Hour)
		b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/b"))
		if spans := b.lookup(orders).Encrypted; len(spans) != 1 || spans[0].Until != 0 {
			t.Errorf("%+v", spans)
		}
		b.s.Stop()
	})
}

// As long as a record can be read, it shows what it was, whatever has changed since: retention is the only end.
func TestTimesOfEncryptionAreKeptForReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		info := b.create(orders, 1)
		b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/a"))
		arrival := b.put(orders, "k")[0].Arrival
		b.must(b.s.StopEncryption(b.ctx, orders, KMS, "alias/a"))
		b.advance(DefaultRetention - time.Minute)
		b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/b"))
		b.reopen()
		if keys, _ := b.drain(info.ID, 0, 1); len(keys) != 1 {
			t.Errorf("%q are readable", keys)
		}
		if st, err := b.s.find(b.ctx, orders); err != nil || !st.snap.Load().cipher.at(arrival) {
			t.Errorf("the record counts as unencrypted; %v", err)
		}
		b.s.Stop()
	})
}

// However often it changes while records are put and read, nobody waits for a change, and nothing races.
func TestEncryptionChangesBesidePuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.create(orders, 1)
		var changing sync.WaitGroup
		changing.Go(func() {
			for range 20 {
				b.must(b.s.StartEncryption(b.ctx, orders, KMS, "alias/a"))
				b.must(b.s.StopEncryption(b.ctx, orders, KMS, "alias/a"))
			}
		})
		for range 200 {
			b.put(orders, "a")
		}
		changing.Wait()
		if kind, key := b.lookup(orders).Encryption(); kind != Unencrypted || key != "" {
			t.Errorf("%s %q", kind, key)
		}
		b.s.Stop()
	})
}
