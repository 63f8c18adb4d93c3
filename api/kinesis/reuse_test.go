package kinesis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/shardmill/shardmill/storage"
)

// heldStore appends nothing before its gate is open.
type heldStore struct {
	storage.Store
	gate chan struct{}
}

func (s heldStore) Log() storage.Log { return heldLog{s.Store.Log(), s.gate} }

type heldLog struct {
	storage.Log
	gate chan struct{}
}

func (l heldLog) Append(ctx context.Context, batches []storage.Batch) []error {
	<-l.gate
	return l.Log.Append(ctx, batches)
}

// The memory of requests is reused, but not before they have ended: what waits for the disk keeps its data while others
// come in.
func TestPutsThatWaitKeepTheirData(t *testing.T) {
	t.Parallel()
	for _, encoding := range []string{typeJSON, typeCBOR} {
		synctest.Test(t, func(t *testing.T) {
			w := setup(t)
			held := heldStore{w.store, make(chan struct{})}
			w.store = held
			w.restart(100)
			w.create("s", 1)
			w.cbor = encoding == typeCBOR
			var puts sync.WaitGroup
			const waiting = 40
			for i := range waiting {
				key := fmt.Sprint(10 + i)
				data := b64(strings.Repeat(key, 50))
				puts.Go(func() {
					if i%4 > 0 {
						w.call("PutRecord", `{"StreamName":"s","PartitionKey":"%s","Data":"%s"}`, key, data)
					} else {
						w.call("PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":"%s","Data":"%s"}]}`, key, data)
					}
				})
				synctest.Wait()
			}
			close(held.gate)
			puts.Wait()

			got := w.read(w.iterator("s", "0", "TRIM_HORIZON", ""))
			keys, data := got.each("Records", "PartitionKey"), got.each("Records", "Data")
			if len(keys) != waiting {
				t.Errorf("%s: written are the keys %q", encoding, keys)
			}
			for i := range keys {
				if want := b64(strings.Repeat(keys[i], 50)); data[i] != want {
					t.Errorf("%s: the data of %s is %s", encoding, keys[i], data[i])
				}
			}
			w.streams.Stop()
		})
	}
}

// What waits for the next request holds no body, and no buffer that was made for an unusually large one. It looks at
// what another request could have taken by then, so no other test runs beside it.
func TestLittleIsKeptForTheNextRequest(t *testing.T) {
	large := []byte(`{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"` + strings.Repeat("QUJD", keepBytes/2) + `"}]}`)

	c := &call{body: large, out: make([]byte, keepBytes+1)}
	c.release()
	if c.body != nil || c.out != nil {
		t.Errorf("a call keeps %d and %d bytes", cap(c.body), cap(c.out))
	}
	in := new(jsonDecoder)
	if _, ok := in.putRecords(large); !ok {
		t.Fatal("the decoder does not take it")
	}
	in.release()
	if in.b != nil || in.blobs != nil || in.entries[:1][0].data != nil {
		t.Error("the decoder for JSON keeps what it has read")
	}
	other := new(cborDecoder)
	if _, ok := other.putRecords(inCBOR(t, `{"StreamName":"s","Records":[{"PartitionKey":"a","Data":"QUJD"}]}`)); !ok {
		t.Fatal("the decoder does not take it")
	}
	other.release()
	if other.b != nil || other.entries[:1][0].data != nil {
		t.Error("the decoder for CBOR keeps what it has read")
	}
}

// A call that goes on for long, a subscription, lends its buffers to others and has none itself: two calls with one
// buffer would write over each other's requests.
func TestALentBufferHasOneUser(t *testing.T) {
	t.Parallel()
	c := &call{body: []byte("read"), out: make([]byte, 10)}
	c.lend()
	if c.body != nil || c.out != nil {
		t.Error("the call goes on with the buffers that it has lent")
	}
}
