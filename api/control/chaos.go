package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/stream"
)

// Chaos is what the control API needs of streams to refuse calls on purpose.
type Chaos interface {
	SetChaos(ctx context.Context, name stream.Name, c stream.Chaos) (stream.ChaosState, error)
	StopChaos(ctx context.Context, name stream.Name) (was bool, err error)
	ChaosStates() []stream.ChaosState
	ChaosTotals() stream.ChaosCounts
}

// ChaosRequest says what is to be refused or held up. Shares are texts that ParseShare reads; "" is none.
type ChaosRequest struct {
	Account       string  `json:"account"` // twelve digits; "": 000000000000
	Region        string  `json:"region"`  // "": us-east-1
	Stream        string  `json:"stream"`
	Throttle      string  `json:"throttle,omitempty"`
	Fail          string  `json:"fail,omitempty"`
	LatencyMillis int64   `json:"latencyMillis,omitempty"`
	Seed          *uint64 `json:"seed,omitempty"`  // nil: one is drawn
	Shard         string  `json:"shard,omitempty"` // "": all
	Calls         bool    `json:"calls,omitempty"`
	Reads         bool    `json:"reads,omitempty"`
}

// ChaosAnswer is what is set for a stream, and what it has done so far.
type ChaosAnswer struct {
	ChaosRequest
	Judged    int64 `json:"judged"` // records, or calls
	Throttled int64 `json:"throttled"`
	Failed    int64 `json:"failed"`
	Delayed   int64 `json:"delayed"`
}

// ChaosList is what is set for all streams. As the answer of a DELETE it is what was set.
type ChaosList struct {
	Streams []ChaosAnswer `json:"streams"`
}

// ParseShare reads a share: 5% is a chance of each, 1/20 is exactly every 20th; "" is none.
func ParseShare(text string) (s stream.Share, err error) {
	bad := fmt.Errorf("%q is not a share such as 5%% (the chance of each) or 1/20 (exactly every 20th)", text)
	if text == "" {
		return s, nil
	}
	if every, ok := strings.CutPrefix(text, "1/"); ok {
		n, err := strconv.ParseUint(every, 10, 31)
		if err != nil || n < 1 {
			return s, bad
		}
		return stream.Share{Every: int(n)}, nil
	}
	number, ok := strings.CutSuffix(text, "%")
	percent, err := strconv.ParseFloat(number, 64)
	millionths := percent * 10_000
	if !ok || err != nil || !(millionths >= 1 && millionths <= 1_000_000) {
		return s, bad
	}
	return stream.Share{PerMillion: int(millionths + 0.5)}, nil
}

// shareText is the text that ParseShare reads.
func shareText(s stream.Share) string {
	switch {
	case s.Every > 0:
		return "1/" + strconv.Itoa(s.Every)
	case s.PerMillion > 0:
		return strconv.FormatFloat(float64(s.PerMillion)/10_000, 'f', -1, 64) + "%"
	}
	return ""
}

// plan reads a request.
func (r *ChaosRequest) plan() (c stream.Chaos, err error) {
	for _, share := range []struct {
		name, text string
		into       *stream.Share
	}{{"throttle", r.Throttle, &c.Throttle}, {"fail", r.Fail, &c.Fail}} {
		if *share.into, err = ParseShare(share.text); err != nil {
			return c, fmt.Errorf("%s: %w", share.name, err)
		}
	}
	if r.Shard != "" {
		id, ok := stream.ParseShardID(r.Shard)
		if !ok {
			return c, fmt.Errorf("%.60q does not name a shard", r.Shard)
		}
		c.Shard = &id
	}
	if r.LatencyMillis < 0 || r.LatencyMillis > stream.LongestChaosLatency.Milliseconds() {
		return c, fmt.Errorf("the latency is 0 to %d ms", stream.LongestChaosLatency.Milliseconds())
	}
	c.Latency, c.Calls, c.Reads = time.Duration(r.LatencyMillis)*time.Millisecond, r.Calls, r.Reads
	if c.Seed = rand.Uint64N(drawnSeeds); r.Seed != nil {
		c.Seed = *r.Seed
	}
	return c, nil
}

// drawnSeeds is how many seeds there are for who gives none: short enough to be typed again.
const drawnSeeds = 1_000_000

// name returns the stream of a request.
func (r *ChaosRequest) name() stream.Name {
	name := stream.Name{Account: r.Account, Region: r.Region, Name: r.Stream}
	if name.Account == "" {
		name.Account = wire.DefaultAccount
	}
	if name.Region == "" {
		name.Region = wire.DefaultRegion
	}
	return name
}

func chaosAnswer(s stream.ChaosState) ChaosAnswer {
	a := ChaosAnswer{
		ChaosRequest: ChaosRequest{
			Account: s.Stream.Account, Region: s.Stream.Region, Stream: s.Stream.Name, Throttle: shareText(s.Throttle),
			Fail: shareText(s.Fail), LatencyMillis: s.Latency.Milliseconds(), Seed: &s.Seed, Calls: s.Calls,
			Reads: s.Reads,
		},
		Judged: s.Judged, Throttled: s.Throttled, Failed: s.Failed, Delayed: s.Delayed,
	}
	if s.Shard != nil {
		a.Shard = s.Shard.String()
	}
	return a
}

// onlyDev refuses what would be no help to those whose records are at stake.
func (h *handler) onlyDev() error {
	if h.Dev {
		return nil
	}
	return &Problem{http.StatusForbidden, "chaos refuses calls on purpose, so it works under shardmill dev only"}
}

func (h *handler) setChaos(w http.ResponseWriter, r *http.Request) error {
	if err := h.onlyDev(); err != nil {
		return err
	}
	var in ChaosRequest
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); fault.CodeOf(err) != "" {
		return err
	} else if err != nil || in.Stream == "" {
		return &Problem{
			http.StatusBadRequest,
			`the body must be {"stream": NAME, "throttle": "5%", "fail": "1/20", "latencyMillis": n, "seed": n, "shard": "shardId-000000000000", "calls": true, "reads": true}, all but the stream optional`,
		}
	}
	if err := over(r, in.name()); err != nil {
		return err
	}
	plan, err := in.plan()
	if err != nil {
		return &Problem{http.StatusBadRequest, err.Error()}
	}
	state, err := h.Chaos.SetChaos(r.Context(), in.name(), plan)
	if err != nil {
		return streamProblem(err)
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, chaosAnswer(state))
	return nil
}

// over refuses a request about a stream of another account than its key's, or one that the key may not use.
func over(r *http.Request, name stream.Name) error {
	if err := within(r, name.Account); err != nil {
		return err
	}
	c := wire.CallerOf(r.Context())
	return refusal(c.PermitStream(name.Name, name.ARN()))
}

// streamProblem gives the words of package stream a status.
func streamProblem(err error) error {
	var f *fault.Error
	switch {
	case !errors.As(err, &f) || f.Status >= http.StatusInternalServerError:
		return err
	case f.Code == fault.CodeNotFound:
		return &Problem{http.StatusNotFound, f.Message}
	}
	return &Problem{http.StatusBadRequest, f.Message}
}

// listChaos shows what is set in the account of the key, for the token in all.
func (h *handler) listChaos(w http.ResponseWriter, r *http.Request) error {
	list := ChaosList{Streams: []ChaosAnswer{}}
	for _, s := range h.Chaos.ChaosStates() {
		if within(r, s.Stream.Account) == nil {
			list.Streams = append(list.Streams, chaosAnswer(s))
		}
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, list)
	return nil
}

// stopChaos ends what is set for the stream of the query, or without one for all streams that the key may use.
func (h *handler) stopChaos(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	one := ChaosRequest{Account: q.Get("account"), Region: q.Get("region"), Stream: q.Get("stream")}
	if one.Stream != "" {
		if err := over(r, one.name()); err != nil {
			return err
		}
	}
	list := ChaosList{Streams: []ChaosAnswer{}}
	for _, s := range h.Chaos.ChaosStates() {
		if one.Stream != "" && s.Stream != one.name() || over(r, s.Stream) != nil {
			continue
		}
		was, err := h.Chaos.StopChaos(r.Context(), s.Stream)
		if err != nil && fault.CodeOf(err) != fault.CodeNotFound { // deleted meanwhile: it is gone as well
			return streamProblem(err)
		}
		if was {
			list.Streams = append(list.Streams, chaosAnswer(s))
		}
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, list)
	return nil
}

// chaos writes what was refused on purpose.
func (e *exposition) chaos(c stream.ChaosCounts) {
	e.head(
		"shardmill_chaos_total", counter,
		"Records or calls that were refused on purpose, and calls that were held up, because a user asked for it.",
	)
	for _, kind := range []struct {
		name  string
		count int64
	}{{"delayed", c.Delayed}, {"failed", c.Failed}, {"throttled", c.Throttled}} {
		e.sample("shardmill_chaos_total", labels("kind", kind.name), float64(kind.count))
	}
}
