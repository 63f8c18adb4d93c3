package destinationtest

import (
	"testing"

	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/storage"
)

// Bucket returns a bucket as a destination, over stores that fresh makes. adapt adapts the buckets to the kind of
// destination.
func Bucket(t *testing.T, fresh func() storage.Local, adapt func(*bucket.Buckets) destination.Buckets) *Bench {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const dead = "dead"
	b := &Bench{Carries: true, Replaces: true}
	var bs *bucket.Buckets
	b.over(t, fresh, func(local storage.Local) (stop func()) {
		var err error
		bs, err = bucket.New(bucket.Options{Local: local})
		must(err)
		must(bs.Start(t.Context()))
		b.Sender, err = destination.Table{destination.S3(adapt(bs))}.Open("arn:aws:s3:::" + dead)
		must(err)
		return bs.Stop
	})
	b.Make = func() { must(bs.Create(t.Context(), "111122223333", "us-east-1", dead, nil)) }
	b.Make()
	b.Take = func() (bodies []string) {
		page, err := bs.List(t.Context(), dead, bucket.Query{Max: 1000})
		must(err)
		for _, listed := range page.Objects {
			o, err := bs.Open(t.Context(), dead, listed.Key)
			must(err)
			var body []byte
			must(o.Copy(t.Context(), 0, o.Size, make([]byte, 64<<10), func(part []byte) error {
				body = append(body, part...)
				return nil
			}))
			o.Close()
			bodies = append(bodies, string(body))
			_, err = bs.Remove(t.Context(), dead, bucket.Remove{Key: listed.Key})
			must(err)
		}
		return bodies
	}
	b.Remove = func() { must(bs.Delete(t.Context(), dead)) }
	return b
}
