package control

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

func (w *world) SetChaos(_ context.Context, name stream.Name, c stream.Chaos) (stream.ChaosState, error) {
	if name.Name != "orders" {
		return stream.ChaosState{}, fault.New(fault.CodeNotFound, "Stream %s not found.", name.Name)
	}
	_, _ = w.StopChaos(context.Background(), name)
	state := stream.ChaosState{Stream: name, Chaos: c}
	w.chaos = append(w.chaos, state)
	return state, nil
}

// StopChaos finds no stream in the region gone, where they are deleted at any time.
func (w *world) StopChaos(_ context.Context, name stream.Name) (bool, error) {
	before := len(w.chaos)
	w.chaos = slices.DeleteFunc(slices.Clone(w.chaos), func(s stream.ChaosState) bool { return s.Stream == name })
	if name.Region == "gone" {
		return false, fault.New(fault.CodeNotFound, "Stream %s not found.", name.Name)
	}
	return len(w.chaos) < before, nil
}

func (w *world) ChaosStates() []stream.ChaosState { return w.chaos }
func (w *world) ChaosTotals() stream.ChaosCounts {
	return stream.ChaosCounts{Throttled: 5, Failed: 6, Delayed: 7}
}

// What is asked for is what is set, and what is told about it can be asked for again.
func TestChaosIsSetShownAndStopped(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(true)
	const asked = `{"account":"111122223333","region":"eu-west-1","stream":"orders","throttle":"2.5%","fail":"1/20",` +
		`"latencyMillis":250,"seed":18446744073709551615,"shard":"3","calls":true,"reads":true}`

	status, answer := do(h, "POST", PathChaos, asked)

	three := record.ShardID(3)
	want := stream.Chaos{
		Throttle: stream.Share{PerMillion: 25_000}, Fail: stream.Share{Every: 20}, Latency: 250 * time.Millisecond,
		Seed: 1<<64 - 1, Shard: &three, Calls: true, Reads: true,
	}
	name := stream.Name{Account: "111122223333", Region: "eu-west-1", Name: "orders"}
	if status != 200 || len(w.chaos) != 1 || w.chaos[0].Stream != name {
		t.Fatalf("%d %s: %+v", status, answer, w.chaos)
	}
	got := w.chaos[0].Chaos
	if *got.Shard != three {
		t.Errorf("the shard is %s", got.Shard)
	}
	if got.Shard = &three; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	shown := strings.Replace(strings.TrimSuffix(asked, "}"), `"3"`, `"shardId-000000000003"`, 1) +
		`,"judged":0,"throttled":0,"failed":0,"delayed":0}`
	if strings.TrimSpace(answer) != shown {
		t.Errorf("shown is %s\nwant     %s", answer, shown)
	}
	if _, list := do(h, "GET", PathChaos, ""); strings.TrimSpace(list) != `{"streams":[`+shown+`]}` {
		t.Errorf("listed is %s", list)
	}
	_, list := do(h, "DELETE", PathChaos+"?stream=others", "")
	if strings.TrimSpace(list) != `{"streams":[]}` || len(w.chaos) != 1 {
		t.Errorf("another stream: stopped is %s", list)
	}
	_, list = do(h, "DELETE", PathChaos, "")
	if strings.TrimSpace(list) != `{"streams":[`+shown+`]}` || len(w.chaos) != 0 {
		t.Errorf("stopped is %s", list)
	}
	_, page := do(h, "GET", PathMetrics, "")
	for _, want := range []string{`kind="throttled"} 5`, `kind="failed"} 6`, `kind="delayed"} 7`} {
		if !strings.Contains(page, "shardmill_chaos_total{"+want+"\n") {
			t.Errorf("the metrics do not tell of %s", want)
		}
	}

	var drawn ChaosAnswer
	_, answer = do(h, "POST", PathChaos, `{"stream":"orders","throttle":"5%"}`)
	err := json.Unmarshal([]byte(answer), &drawn)
	if err != nil || drawn.Seed == nil || *drawn.Seed != w.chaos[0].Seed {
		t.Errorf("without a seed: %s, %v", answer, err)
	}
}

// Each stream has chaos of its own; all of it ends at once, also where one of the streams is deleted meanwhile.
func TestChaosOfStreamsWithOneNameIsTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(true)
	for _, region := range []string{"eu-west-1", "gone", "us-east-1"} {
		status, answer := do(h, "POST", PathChaos, `{"region":"`+region+`","stream":"orders","fail":"1/2","seed":0,"calls":true}`)
		if status != 200 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	for _, s := range w.chaos {
		if s.Seed != 0 || !s.Calls || s.Reads {
			t.Errorf("set is %+v", s.Chaos)
		}
	}

	_, one := do(h, "DELETE", PathChaos+"?stream=orders&region=eu-west-1", "")
	if !strings.Contains(one, `"eu-west-1"`) || strings.Contains(one, `"us-east-1"`) || len(w.chaos) != 2 {
		t.Errorf("of one: %s, left are %+v", one, w.chaos)
	}
	if status, all := do(h, "DELETE", PathChaos, ""); status != 200 || strings.Contains(all, `"gone"`) ||
		!strings.Contains(all, `"us-east-1"`) || len(w.chaos) != 0 {
		t.Errorf("of all: %d %s, left are %+v", status, all, w.chaos)
	}
}

func TestChaosThatCannotBeIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld()
	h := w.handler(true)
	for body, want := range map[string]int{
		``: 400, `{}`: 400, `{"stream":"orders","throttled":"5%"}`: 400, `{"stream":"orders","throttle":"5"}`: 400,
		`{"stream":"orders","fail":"1/0"}`: 400, `{"stream":"orders","fail":"5%","shard":"x"}`: 400,
		`{"stream":"orders","latencyMillis":-1}`: 400, `{"stream":"orders","latencyMillis":300001}`: 400,
		`{"stream":"orders","latencyMillis":9223372036854775807}`: 400, `{"stream":"orders","seed":-1}`: 400,
		`{"stream":"nowhere","fail":"5%"}`: 404,
	} {
		status, answer := do(h, "POST", PathChaos, body)
		if status != want || !strings.HasPrefix(answer, `{"message":"`) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	if status, _ := do(w.handler(false), "POST", PathChaos, `{"stream":"orders","fail":"5%"}`); status != 403 {
		t.Errorf("under serve: %d", status)
	}
	if len(w.chaos) != 0 {
		t.Errorf("set is %+v", w.chaos)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]stream.Share{
		"": {}, "5%": {PerMillion: 50_000}, "0.5%": {PerMillion: 5_000}, "100%": {PerMillion: 1_000_000},
		"0.0001%": {PerMillion: 1}, "0.0029%": {PerMillion: 29}, // 28.999… in floating point
		"33.3333%": {PerMillion: 333_333}, "1/1": {Every: 1}, "1/20": {Every: 20},
	} {
		got, err := ParseShare(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
		if back := shareText(got); back != text {
			t.Errorf("%q is shown as %q", text, back)
		}
	}
	for _, text := range []string{
		"5", "%", "0%", "-5%", "101%", "NaN%", "0.00001%", "1/0", "1/-1", "2/5", "1/x", "1/9999999999", "5 %",
	} {
		if got, err := ParseShare(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}
