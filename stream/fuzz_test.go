package stream

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// tokened returns streams, one of them with two shards and a consumer, and somebody who may list them.
func tokened(f *testing.F) (*Streams, Caller) {
	c := clock.New(0)
	s := New(Options{Store: memory.New(memory.Options{Clock: c}), Clock: c})
	ctx := context.Background()
	err := s.Create(ctx, orders, CreateInput{Shards: 2})
	if err == nil {
		_, err = s.RegisterConsumer(ctx, orders, "billing", nil)
	}
	if err != nil {
		f.Fatal(err)
	}
	return s, Caller{Account: orders.Account, Region: orders.Region}
}

// use calls everything that takes a token.
func use(s *Streams, c Caller, token string) (errs []error) {
	ctx := context.Background()
	_, _, err := s.List(ctx, c.Account, c.Region, ListInput{Token: token})
	errs = append(errs, err)
	_, _, err = s.ListShardsNext(ctx, c, token, 1)
	errs = append(errs, err)
	_, _, err = s.ListConsumers(ctx, orders, ListConsumersInput{Token: token})
	errs = append(errs, err)
	_, err = s.GetRecords(ctx, GetRecordsInput{Iterator: token, Caller: c}, func(*ShardInfo) {}, func(record.Record) {})
	return append(errs, err)
}

// No text but one that we sealed is a token: it is refused as AWS refuses it.
func FuzzListTokens(f *testing.F) {
	s, c := tokened(f)
	_, shards, err := s.ListShards(context.Background(), orders, ListShardsInput{Limit: 1, Caller: c})
	if err != nil || shards == "" {
		f.Fatal("there is no token", err)
	}
	f.Add(shards)
	f.Add(shards[:len(shards)-4])
	f.Add("AAAAAAAAAAE=")
	f.Add("ä")
	f.Fuzz(func(t *testing.T, text string) {
		for i, err := range use(s, c, text) {
			if text == "" || i == 1 && text == shards { // none, or the one
				continue
			}
			if fault.CodeOf(err) != codeInvalid {
				t.Fatalf("%q in call %d: %v", text, i, err)
			}
		}
	})
}

// Whatever is in a token that was sealed with our key, as an older or newer program with the same store may do it, is
// read or refused; nothing of it is believed beyond that.
func FuzzSealedPayloads(f *testing.F) {
	s, c := tokened(f)

	head := []byte{tokenVersion, 0, 0, 0, 0, 0, 0, 0, 1}
	f.Add(kindIterator, place{stream: 1, shard: 1, pos: 1, name: orders}.encode())
	shards := append(slices.Clone(head), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)
	f.Add(kindShards, appendTexts(shards, "", "", "a", "b", "c"))
	f.Add(kindStreams, appendTexts(slices.Clone(head), "orders"))
	f.Add(kindConsumers, appendTexts(append(slices.Clone(head), 0, 0, 0, 1), "a"))
	f.Add(kindShards, []byte{tokenVersion})
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		if len(payload) > 4096 { // longer ones cannot be issued
			return
		}
		if kind != kindIterator {
			kind += "/" + c.Account + "/" + c.Region
		}
		for i, err := range use(s, c, s.tokens.seal(kind, payload)) {
			if err != nil && fault.CodeOf(err) == "" {
				t.Fatalf("call %d: %v is no fault", i, err)
			}
		}
	})
}

// Stored metadata is read, or named as corrupt or newer; a stream that was read is written as it was.
func FuzzStoredMetadata(f *testing.F) {
	f.Add([]byte(`{"v":1,"id":1,"account":"a","region":"r","name":"n","status":"ACTIVE","mode":"PROVISIONED","tags":{"k":"v"}}`))
	f.Add([]byte(`{"v":1,"start":"0","end":"340282366920938463463374607431768211455","parent":0,"created":1,"closed":2}`))
	f.Add([]byte(`{"v":2,"steps":[{"parents":[0],"starts":["0","5"],"ends":["4","9"]}]}`))
	f.Add([]byte(`{"v":1,"parents":[0,1],"starts":["0"],"ends":["9"]}`))
	f.Add([]byte(`{"v":99}`))
	f.Add([]byte(`{`))
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decodeStream(storage.Entry{Key: nameKey(orders), Value: value})
		_, _, shardErr := decodeShard(storage.Entry{Key: shardKey(1, 0), Value: value})
		_, _, consumerErr := decodeConsumer(storage.Entry{Key: prefixConsumer + "0000000001/a", Value: value})
		_, planErr := decodePlan(storage.Entry{Key: planKey(1), Value: value})
		for _, err := range []error{err, shardErr, consumerErr, planErr} {
			if err != nil && !errors.Is(err, storage.ErrCorrupt) {
				t.Fatalf("%v does not say that it is corrupt", err)
			}
		}
		if err != nil {
			return
		}
		again, err := decodeStream(storage.Entry{Key: nameKey(orders), Value: encodeStream(r)})
		r.Version = again.Version
		if len(r.Tags) == 0 {
			r.Tags = again.Tags
		}
		if err != nil || !reflect.DeepEqual(again.info(), r.info()) || !reflect.DeepEqual(again.Tags, r.Tags) {
			t.Fatalf("%s is read as %+v, and then as %+v, %v", value, r, again, err)
		}
	})
}
