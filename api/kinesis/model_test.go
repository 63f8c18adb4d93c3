package kinesis

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/stream"
)

// D-01
func TestInitialRangesAreEven(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)

	r := w.ok("DescribeStream", `{"StreamName":"s"}`)

	for i, want := range [][2]string{
		{"0", "113427455640312821154458202477256070484"},
		{"113427455640312821154458202477256070485", "226854911280625642308916404954512140969"},
		{"226854911280625642308916404954512140970", maxHash},
	} {
		r.want(want[0], "StreamDescription", "Shards", i, "HashKeyRange", "StartingHashKey")
		r.want(want[1], "StreamDescription", "Shards", i, "HashKeyRange", "EndingHashKey")
		r.want(fmt.Sprintf("shardId-%012d", i), "StreamDescription", "Shards", i, "ShardId")
	}
}

// D-02, D-03, D-04
func TestRecordsGoWhereTheirHashKeyLies(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 3)
	for _, c := range []struct {
		key, hash string
		shard     int
	}{
		{"a", "", 0},
		{"b", "", 1},
		{"e", "", 2},
		{"f", "", 1},
		{"a", maxHash, 2},
		{"a", "226854911280625642308916404954512140969", 1},
		{"a", "226854911280625642308916404954512140970", 2},
		{"e", "0", 0},
	} {
		explicit := ""
		if c.hash != "" {
			explicit = fmt.Sprintf(`,"ExplicitHashKey":%q`, c.hash)
		}
		w.ok("PutRecord", `{"StreamName":"s","PartitionKey":%q,"Data":""%s}`, c.key, explicit).want(
			fmt.Sprintf("shardId-%012d", c.shard), "ShardId",
		)
		w.ok("PutRecords", `{"StreamName":"s","Records":[{"PartitionKey":%q,"Data":""%s}]}`, c.key, explicit).want(
			fmt.Sprintf("shardId-%012d", c.shard), "Records", 0, "ShardId",
		)
	}
}

// D-05, D-06, D-07
func TestKeysAreChecked(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	put := func(key, hash string) reply {
		return w.call("PutRecord", `{"StreamName":"s","PartitionKey":%q,"Data":"","ExplicitHashKey":%q}`, key, hash)
	}

	put("a", "340282366920938463463374607431768211456").fails("InvalidArgumentException", // D-05
		"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456")
	put("a", "01").fails("ValidationException", // D-06
		`1 validation error detected: Value '01' at 'explicitHashKey' failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`)
	long := "1" + strings.Repeat("0", 39)
	put("a", long).fails("ValidationException", "1 validation error detected: Value '"+long+"' at 'explicitHashKey' "+
		`failed to satisfy constraint: Member must satisfy regular expression pattern: 0|([1-9]\d{0,38})`)
	if r := put(strings.Repeat("€", 256), "0"); r.status != 200 { // D-07
		t.Errorf("256 characters: %s", r.body)
	}
	put(
		strings.Repeat("€", 257), "0",
	).fails("ValidationException", "1 validation error detected: Value '"+strings.Repeat("€", 257)+
		"' at 'partitionKey' failed to satisfy constraint: Member must have length less than or equal to 256")
}

// D-08, D-20: a stream whose shards count as created at 1700000000, and which is resharded 600 seconds later.
func TestShardsStartAndEndAtKnownNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := setup(t)
		w.advance(time.Unix(1700000002, 0).Sub(w.clock.Now()))
		w.create("s", 3)
		w.advance(598 * time.Second)
		w.merge("s", 0, 1)

		r := w.ok("DescribeStream", `{"StreamName":"s"}`)

		for i, want := range []string{
			"49646437577108476416916876405825929425585429676275269634",
			"49646437577130777162115407028967465143858078037781250066",
			"49646437577153077907313937652109000862130726399287230498",
		} {
			r.want(want, "StreamDescription", "Shards", i, "SequenceNumberRange", "StartingSequenceNumber")
		}
		r.want(
			"49646437577119626789516141717395488358902180459539595266", "StreamDescription", "Shards", 0,
			"SequenceNumberRange", "EndingSequenceNumber",
		)
		r.want("", "StreamDescription", "Shards", 2, "SequenceNumberRange", "EndingSequenceNumber")
		w.streams.Stop()
	})
}

// D-10, D-11
func TestNumbersOfConcurrentPutsAreConsecutive(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	const puts = 200
	numbers := make([]string, puts)
	var wg sync.WaitGroup
	for i := range puts {
		wg.Go(func() {
			key := []string{"a", "b"}[i%2]
			numbers[i] = w.call(
				"PutRecord", `{"StreamName":"s","PartitionKey":%q,"Data":""}`, key,
			).get("SequenceNumber")
		})
	}
	wg.Wait()

	var indexes []int
	for _, n := range numbers {
		q, err := stream.ParseSequenceNumber(n)
		if len(n) != 56 || err != nil || q.Version != 2 {
			t.Fatalf("%s is %+v, %v", n, q, err)
		}
		indexes = append(indexes, int(q.Pos))
	}
	slices.Sort(indexes)
	for i := range indexes {
		if indexes[i] != indexes[0]+i {
			t.Fatalf("indexes are not consecutive: %v", indexes)
		}
	}
}

func compareNumbers(a, b string) int {
	x, _ := new(big.Int).SetString(a, 10)
	y, _ := new(big.Int).SetString(b, 10)
	return x.Cmp(y)
}

// D-12, D-13
func TestSequenceNumberForOrdering(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	_, first := w.put("s", "a", "x")
	put := func(ordering string) reply {
		return w.call(
			"PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":"","SequenceNumberForOrdering":%q}`, ordering,
		)
	}

	second := put(first).get("SequenceNumber")
	if compareNumbers(second, first) <= 0 {
		t.Errorf("%s follows %s", second, first)
	}
	future := stream.Sequence{Created: 1700000000, Pos: 1, Time: w.clock.Now().Unix() + 3, Version: 2}.String()
	for _, bad := range []string{future, strings.Repeat("9", 60)} {
		put(bad).fails(
			"InvalidArgumentException",
			"ExclusiveMinimumSequenceNumber "+bad+
				" used in PutRecord on stream s under account 000000000000 is invalid.",
		)
	}
	for _, version := range []string{"1", "2"} {
		n, _ := new(big.Int).SetString("2"+strings.Repeat("0", 45)+version, 16)
		if r := put(n.String()); r.status != 200 {
			t.Errorf("version %s: %s", version, r.body)
		}
	}
}

// D-14: the index outranks the time.
func TestAClockStepBackDoesNotReorder(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	w.advance(20 * time.Second)
	_, first := w.put("s", "a", "x")
	w.advance(-10 * time.Second)
	_, second := w.put("s", "a", "x")

	if compareNumbers(second, first) <= 0 {
		t.Errorf("%s follows %s", second, first)
	}
}

// D-15, D-16, and L-04's absent EncryptionType.
func TestRecordsHaveExactlyTheirMembers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	_, seq := w.put("s", "kéy \"quoted\"\n", "")

	r := w.read(w.iterator("s", "0", "TRIM_HORIZON", ""))

	arrival := r.get("Records", 0, "ApproximateArrivalTimestamp")
	want := `[{"ApproximateArrivalTimestamp":` + arrival +
		`,"Data":"","PartitionKey":"kéy \"quoted\"\n","SequenceNumber":"` + seq + `"}]`
	if got := r.get("Records"); got != want {
		t.Errorf("records are %s, want %s", got, want)
	}
}

// D-17, D-18
func TestShardIdsAreReadLeniently(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	w.put("s", "a", "x")
	for _, id := range []string{"0", "-0", "shard-0", "foo-0", "shardId-0"} {
		if got := w.readKeys(w.iterator("s", id, "TRIM_HORIZON", "")); got != "a" {
			t.Errorf("shard %s holds %q", id, got)
		}
	}
	for _, id := range []string{"2147483648", "ABKLFD8"} {
		for _, name := range []string{"s", "q"} { // a malformed id wins over an unknown stream
			w.call("GetShardIterator", `{"StreamName":%q,"ShardId":%q,"ShardIteratorType":"LATEST"}`, name, id).
				fails(
					"ResourceNotFoundException",
					fmt.Sprintf("Could not find shard %s in stream %s under account 000000000000.", id, name),
				)
		}
	}
}

// D-19
func TestAMergeNamesBothParents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 2)
	w.merge("s", 0, 1)

	r := w.ok("DescribeStream", `{"StreamName":"s"}`)

	shard := func(i int, member ...any) string {
		return r.get(append([]any{"StreamDescription", "Shards", i}, member...)...)
	}
	if shard(2, "ParentShardId") != "shardId-000000000000" ||
		shard(2, "AdjacentParentShardId") != "shardId-000000000001" {
		t.Errorf("the child is %s", shard(2))
	}
	for i, closed := range []bool{true, true, false} {
		if ended := shard(i, "SequenceNumberRange", "EndingSequenceNumber") != ""; ended != closed {
			t.Errorf("shard %d: %s", i, shard(i))
		}
	}
	if shard(0, "ParentShardId") != "" || strings.Contains(shard(0), "null") {
		t.Errorf("shard 0: %s", shard(0))
	}
}

// K-01: an aggregate of the Kinesis Producer Library is delivered untouched.
func TestAggregatesAreNotOpened(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.create("s", 1)
	const aggregate = "84mawgoBYQoBZRoFCAAaAUEaBQgBGgFFXHp0wvxYefAiTzikdu3OFA=="
	w.ok("PutRecord", `{"StreamName":"s","PartitionKey":"a","Data":%q}`, aggregate)

	w.read(w.iterator("s", "0", "TRIM_HORIZON", "")).want(aggregate, "Records", 0, "Data")
}
