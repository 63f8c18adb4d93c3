package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardmill/shardmill/internal/eventually"
)

// rescaled is what a client was told about a shard that it split twice, and about the number of shards.
type rescaled struct {
	Current, Target int
	Again           string
}

// Four clients change the shards of one stream while records come and a mapping runs: each splits a shard, merges the
// halves, and asks for one shard more. Every record reaches the function, and each key keeps its order: no key is in
// two invocations at once, and none goes back.
func TestFourClientsReshardUnderTraffic(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	s := start(t, h, "dev")
	c := s.clients()
	l := newLedger(t, nil)
	c.createStream(t, "orders", 2)
	c.createFunction(t, "orders", l.url)
	c.mapOrders(t, "orders", 2, 20)
	n, stop, stopped := 0, make(chan struct{}), make(chan struct{})
	halt := sync.OnceFunc(func() {
		close(stop)
		<-stopped
	})
	t.Cleanup(halt)
	go func() {
		defer close(stopped)
		for {
			if _, over := eventually.Within(50*time.Millisecond, func() (bool, string) { // a steady rate
				select {
				case <-stop:
					return true, ""
				default:
					return false, ""
				}
			}); over {
				return
			}
			n++
			var batch []entry
			for key := range 16 {
				batch = append(batch, entry{fmt.Sprint("key", key), fmt.Sprint(n)})
			}
			c.putAll(t, "orders", batch)
		}
	}()

	for i, client := range []struct {
		name    string
		reshard func() rescaled
	}{
		{"the SDK for Go", func() rescaled { return c.reshard(t, "orders") }},
		{"the AWS CLI", func() rescaled { return cli{s, t}.reshard("orders") }},
		{"boto3", func() rescaled {
			return s.resharded(t, venv(t, "python3"), absolute(t, "testdata/reshard.py"), s.Endpoint, "orders")
		}},
		{"the SDK for JavaScript", func() rescaled {
			return s.resharded(t, "node", absolute(t, "javascript/reshard.mjs"), "orders")
		}},
	} {
		got := client.reshard()
		if got.Current != i+2 || got.Target != i+3 || !strings.HasSuffix(
			got.Again,
			"in stream orders under account 000000000000 has already been merged or split, and thus is not eligible for merging or splitting.",
		) {
			t.Errorf("%s sees %+v", client.name, got)
		}
	}
	halt()
	eventually.Reaches(t, "all records", func() (bool, string) {
		done := l.processed()
		return done >= 16*n && s.running(), fmt.Sprintf("%d of %d", done, 16*n)
	})

	if shards := c.openShards(t, "orders"); len(shards) != 6 {
		t.Errorf("%d shards are open", len(shards))
	}
	if both := l.overlapping(); len(both) > 0 {
		t.Errorf("in two invocations at once: %v", both)
	}
	last, shards := map[string]int{}, map[string]bool{}
	for _, inv := range l.invocations() {
		for _, r := range inv.records {
			i, err := strconv.Atoi(r.Data)
			if err != nil || i != last[r.Key]+1 {
				t.Fatalf("%s: %q comes after %d", r.Key, r.Data, last[r.Key])
			}
			last[r.Key] = i
			shards[r.Shard] = true
		}
	}
	t.Logf("%d records over %d shards", 16*n, len(shards))
}

// resharded runs a script that prints a rescaled.
func (s *server) resharded(t *testing.T, program string, args ...string) (r rescaled) {
	t.Helper()
	stdout, stderr, err := s.command(t, program, args...)
	if err == nil {
		err = json.Unmarshal([]byte(stdout), &r)
	}
	if err != nil {
		t.Fatalf("%v: %s\n%s", err, stdout, stderr)
	}
	return r
}

// openShards returns the open shards by their ranges.
func (c clients) openShards(t *testing.T, stream string) []kinesistypes.Shard {
	t.Helper()
	out, err := c.kinesis.ListShards(t.Context(), &kinesis.ListShardsInput{
		StreamName: &stream, ShardFilter: &kinesistypes.ShardFilter{Type: kinesistypes.ShardFilterTypeAtLatest},
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(out.Shards, func(a, b kinesistypes.Shard) int {
		return number(*a.HashKeyRange.StartingHashKey).Cmp(number(*b.HashKeyRange.StartingHashKey))
	})
	return out.Shards
}

func number(s string) *big.Int {
	n, _ := new(big.Int).SetString(s, 10)
	return n
}

func middle(r *kinesistypes.HashKeyRange) string {
	sum := new(big.Int).Add(number(*r.StartingHashKey), number(*r.EndingHashKey))
	return sum.Rsh(sum, 1).String()
}

func (c clients) reshard(t *testing.T, stream string) (r rescaled) {
	t.Helper()
	before := c.openShards(t, stream)
	split := func(shard kinesistypes.Shard, at string) error {
		_, err := c.kinesis.SplitShard(t.Context(), &kinesis.SplitShardInput{
			StreamName: &stream, ShardToSplit: shard.ShardId, NewStartingHashKey: &at,
		})
		return err
	}
	if err := split(before[0], middle(before[0].HashKeyRange)); err != nil {
		t.Fatal(err)
	}
	halves := c.openShards(t, stream)
	if _, err := c.kinesis.MergeShards(t.Context(), &kinesis.MergeShardsInput{
		StreamName: &stream, ShardToMerge: halves[0].ShardId, AdjacentShardToMerge: halves[1].ShardId,
	}); err != nil {
		t.Fatal(err)
	}
	var invalid *kinesistypes.InvalidArgumentException
	if err := split(halves[0], "9"); errors.As(err, &invalid) {
		r.Again = *invalid.Message
	}
	out, err := c.kinesis.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
		StreamName: &stream, ScalingType: kinesistypes.ScalingTypeUniformScaling,
		TargetShardCount: aws.Int32(int32(len(before) + 1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Current, r.Target = int(*out.CurrentShardCount), int(*out.TargetShardCount)
	return r
}

func (c cli) reshard(stream string) (r rescaled) {
	c.t.Helper()
	open := func() (shards []kinesistypes.Shard) {
		text := c.run("kinesis", "list-shards", "--stream-name", stream, "--shard-filter", "Type=AT_LATEST", "--query",
			"sort_by(Shards, &to_number(HashKeyRange.StartingHashKey))", "--output", "json")
		if err := json.Unmarshal([]byte(text), &shards); err != nil {
			c.t.Fatal(err, text)
		}
		return shards
	}
	before := open()
	c.run("kinesis", "split-shard", "--stream-name", stream, "--shard-to-split", *before[0].ShardId,
		"--new-starting-hash-key", middle(before[0].HashKeyRange))
	halves := open()
	c.run("kinesis", "merge-shards", "--stream-name", stream, "--shard-to-merge", *halves[0].ShardId,
		"--adjacent-shard-to-merge", *halves[1].ShardId)
	_, stderr, err := c.s.command(c.t, venv(c.t, "aws"), "kinesis", "split-shard", "--stream-name", stream,
		"--shard-to-split", *halves[0].ShardId, "--new-starting-hash-key", "9")
	if err == nil {
		c.t.Error("a closed shard is split")
	}
	r.Again = strings.TrimSpace(stderr)
	counts := c.run("kinesis", "update-shard-count", "--stream-name", stream, "--scaling-type", "UNIFORM_SCALING",
		"--target-shard-count", strconv.Itoa(len(before)+1), "--query", "[CurrentShardCount, TargetShardCount]",
		"--output", "text")
	if _, err := fmt.Sscan(counts, &r.Current, &r.Target); err != nil {
		c.t.Fatal(err, counts)
	}
	return r
}
