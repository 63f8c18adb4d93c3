package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// scripted answers calls of the Kinesis API without a network: in a synctest bubble pauses pass at once. A code in
// place of JSON is an error.
type scripted func(operation string, in []byte) (answer string)

// RoundTrip implements http.RoundTripper.
func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	in, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	answer := s(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "Kinesis_20131202."), in)
	if !json.Valid([]byte(answer)) {
		w.WriteHeader(http.StatusBadRequest)
		answer = fmt.Sprintf(`{"__type":%q}`, answer)
	}
	_, err = io.WriteString(w, answer)
	return w.Result(), err
}

func (s scripted) client() *client {
	cl := newClient("http://127.0.0.1:1", wireAccount, "us-east-1")
	cl.http.Transport = s
	return cl
}

// tail reads the stream orders to its end, and returns the data of what it shows.
func (s scripted) tail(t *testing.T, from stream.IteratorType) (shown string, err error) {
	t.Helper()
	var data []string
	reader := &tailer{
		c: s.client(), stream: "orders", from: origin{kind: from}, began: time.Now(),
		show: func(_ *record.HashKeyRange, r tailRecord) error {
			data = append(data, string(r.Data))
			return nil
		},
	}
	err = reader.all(t.Context())
	return strings.Join(data, " "), err
}

const (
	oneShard = `{"Shards":[{"ShardId":"shardId-000000000000"}]}`
	// the parent has expired, and so is not listed
	itsChildren = `{"Shards":[{"ShardId":"shardId-000000000001","ParentShardId":"shardId-000000000000"},
		{"ShardId":"shardId-000000000002","ParentShardId":"shardId-000000000000"}]}`
)

// A read that finds nothing is not the end while the server says that records follow.
func TestTailGoesOnWhileItIsBehind(t *testing.T) {
	t.Parallel()
	reads := []string{
		`{"NextShardIterator":"i","MillisBehindLatest":5000}`, `{"NextShardIterator":"i","MillisBehindLatest":1}`,
		`{"NextShardIterator":"i","MillisBehindLatest":0,"Records":[{"Data":"QQ=="}]}`,
		`{"NextShardIterator":"i","MillisBehindLatest":0}`,
	}
	shown, err := scripted(func(operation string, _ []byte) (answer string) {
		switch operation {
		case "ListShards":
			return oneShard
		case "GetShardIterator":
			return `{"ShardIterator":"i"}`
		}
		answer, reads = reads[0], reads[1:]
		return answer
	}).tail(t, stream.IterTrimHorizon)

	if err != nil || shown != "A" || len(reads) != 0 {
		t.Errorf("shown is %q, left are %q, %v", shown, reads, err)
	}
}

// A reader gives up after many refusals in a row, and not after as many in the course of a day; whatever is refused,
// the iterator or the read, keeps no other request waiting.
func TestTailCountsRefusalsInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const records = 2 * pollRequests
		refused, read := false, 0
		shown, err := scripted(func(operation string, _ []byte) string {
			if operation == "ListShards" {
				return oneShard
			}
			if refused = !refused; refused {
				return throttleCode
			}
			if operation == "GetShardIterator" {
				return `{"ShardIterator":"i"}`
			}
			switch read++; {
			case read > records:
				return `{}`
			case read%2 == 0:
				return codeExpired // another iterator is asked for, and refused at first
			}
			return `{"NextShardIterator":"i","Records":[{"Data":"QQ==","SequenceNumber":"1"}]}`
		}).tail(t, stream.IterTrimHorizon)
		if n := strings.Count(shown, "A"); err != nil || n != records/2 {
			t.Errorf("%d records, %v", n, err)
		}

		tries := 0
		_, err = scripted(func(operation string, _ []byte) string {
			if operation == "ListShards" {
				return oneShard
			}
			tries++
			return throttleCode
		}).tail(t, stream.IterTrimHorizon)
		if !isCode(err, throttleCode) || tries != resendTries {
			t.Errorf("given up after %d tries with %v", tries, err)
		}
	})
}

// A shard that retention takes while it is read has ended: its children come next, from their oldest record on.
func TestTailGoesOnBehindAShardThatHasExpired(t *testing.T) {
	t.Parallel()
	for _, from := range []stream.IteratorType{stream.IterTrimHorizon, stream.IterLatest} {
		listed := 0
		shown, err := scripted(func(operation string, in []byte) string {
			child := strings.Contains(string(in), "shardId-000000000001")
			switch {
			case operation == "ListShards":
				if listed++; listed == 1 {
					return oneShard
				}
				return itsChildren
			case operation == "GetShardIterator" && strings.Contains(string(in), "shardId-000000000000"):
				return fault.CodeNotFound
			case operation == "GetShardIterator" && child && strings.Contains(string(in), "TRIM_HORIZON"):
				return `{"ShardIterator":"first"}`
			case operation == "GetShardIterator":
				return `{"ShardIterator":"second"}`
			case strings.Contains(string(in), "first"):
				return `{"Records":[{"Data":"QQ=="}]}`
			}
			return `{}`
		}).tail(t, from)

		if err != nil || shown != "A" {
			t.Errorf("from %s: %q, %v", from, shown, err)
		}
	}
}

// PutRecords takes 500 records; what is put is told in the order in which it was given, wherever it was refused at
// first, and also if the rest is refused for good.
func TestPlacesAreToldInTheOrderOfTheRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var sizes []int
		cl := scripted(func(_ string, in []byte) string {
			var sent struct{ Records []putEntry }
			if err := json.Unmarshal(in, &sent); err != nil {
				t.Error(err)
			}
			sizes = append(sizes, len(sent.Records))
			var out []string
			for i, e := range sent.Records {
				answer := fmt.Sprintf(`{"ShardId":"s","SequenceNumber":"%s"}`, e.Data)
				switch {
				case string(e.Data) == "never" && len(sent.Records) == 1:
					return fault.CodeValidation
				case string(e.Data) == "never" || i%3 == 0 && len(sent.Records) > 3:
					answer = `{"ErrorCode":"InternalFailure"}`
				}
				out = append(out, answer)
			}
			return `{"Records":[` + strings.Join(out, ",") + `]}`
		}).client()
		var told, want []string
		p := &putter{cl: cl, stream: "orders", placed: func(places []placement) error {
			for _, at := range places {
				told = append(told, at.SequenceNumber)
			}
			return nil
		}}
		var entries []putEntry
		for i := range 2*loadRecords + 1 {
			want = append(want, fmt.Sprint(i))
			entries = append(entries, putEntry{Data: []byte(want[i])})
		}
		if err := p.put(t.Context(), entries); err != nil || !slices.Equal(told, want) {
			t.Errorf("%v, told are %d places: %q", err, len(told), told)
		}
		if sizes[0] != loadRecords || slices.Max(sizes) != loadRecords || p.tally.Records != len(entries) {
			t.Errorf("calls of %d records, %+v", sizes, p.tally)
		}

		told = nil
		err := p.put(t.Context(), []putEntry{{Data: []byte("never")}, {Data: []byte("ever")}})
		if !isCode(err, fault.CodeValidation) || !slices.Equal(told, []string{"ever"}) {
			t.Errorf("%v, told are %q", err, told)
		}
	})
}

// What a server refuses for good is not asked for again: an operation that it does not have, a request that is wrong.
func TestOnlyWhatMaySucceedLaterIsTriedAgain(t *testing.T) {
	t.Parallel()
	for e, want := range map[apiError]bool{
		{status: 500, code: "InternalFailure"}: true, {status: 503}: true, {status: 400, code: throttleCode}: true,
		{status: 400, code: "LimitExceededException"}: true, {status: 501}: false,
		{status: 400, code: fault.CodeValidation}: false, {status: 403}: false,
	} {
		if got := transient(&e); got != want {
			t.Errorf("%d %s: %v", e.status, e.code, got)
		}
	}
}

// The key of a record without one is the beginning of its data, in whole characters.
func TestKeysAreCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, want string }{
		{strings.Repeat("é", 300), strings.Repeat("é", maxKey)}, {strings.Repeat("é", 200), strings.Repeat("é", 200)},
		{strings.Repeat("x", 257), strings.Repeat("x", 256)}, {"", "empty"},
	} {
		if got, err := (&keyer{}).of([]byte(c.data)); err != nil || got != c.want {
			t.Errorf("%.20s… of %d bytes: %.20s… of %d bytes, %v", c.data, len(c.data), got, len(got), err)
		}
	}
}

// listening makes the calls of commands go to s, and returns the flags with which they find it.
func (s scripted) listening(t *testing.T) (endpoint string) {
	t.Helper()
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	l := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := s.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(l.Close)
	return "--endpoint=" + l.URL
}

// More streams than one page has are listed; one that is deleted meanwhile is left out.
func TestAllPagesOfStreamsAreListed(t *testing.T) {
	endpoint := scripted(func(operation string, in []byte) string {
		switch {
		case operation == "ListStreams" && !strings.Contains(string(in), "NextToken"):
			return `{"StreamNames":["a","gone"],"HasMoreStreams":true,"NextToken":"t"}`
		case operation == "ListStreams":
			return `{"StreamNames":["b"],"HasMoreStreams":false}`
		case strings.Contains(string(in), "gone"):
			return fault.CodeNotFound
		}
		return strings.Replace(string(in), "{", `{"StreamDescriptionSummary":{`, 1) + "}"
	}).listening(t)

	code, out, _ := cmd("stream", "ls", "-o", "json", endpoint)

	var got struct{ Streams []streamSummary }
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 || len(got.Streams) != 2 ||
		got.Streams[1].StreamName != "b" {
		t.Errorf("%d, %v: %s", code, err, out)
	}
}

// K-03: an aggregate with keys of another shard is shown, and that no client delivers it is said once.
func TestAggregatesThatClientsDropAreNamedOnce(t *testing.T) {
	const aggregate = `{"Data":"84mawgoBYQoBZRoFCAAaAUEaBQgBGgFFXHp0wvxYefAiTzikdu3OFA==","PartitionKey":"a"}`
	endpoint := scripted(func(operation string, _ []byte) string {
		switch operation {
		case "ListShards":
			return `{"Shards":[{"ShardId":"shardId-000000000000","HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"}}]}`
		case "GetShardIterator":
			return `{"ShardIterator":"i"}`
		}
		return `{"Records":[` + aggregate + "," + aggregate + `]}`
	}).listening(t)

	code, out, errs := cmd("tail", "orders", "--from", "start", "--follow=false", endpoint)

	lines, hints := strings.Count(out, "\n"), strings.Count(errs, "delivers none of its records")
	if code != 0 || lines != 4 || hints != 1 {
		t.Errorf("%d, %d lines, %d hints:\n%s%s", code, lines, hints, out, errs)
	}
}
