package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// ReplayRequest names records of one shard: sequence numbers as clients see them, both included.
type ReplayRequest struct {
	Mapping string `json:"mapping"`           // UUID
	Account string `json:"account,omitempty"` // twelve digits; with it and Region, a mapping elsewhere is not found
	Region  string `json:"region,omitempty"`
	Shard   string `json:"shard"` // shardId-000000000000
	From    string `json:"from"`
	To      string `json:"to"`
}

// ReplayAnswer is the result for at most 10,000 records, or for as many as fit into some seconds. If Next is set the
// range continues: ask again with it as From.
type ReplayAnswer struct {
	Function string        `json:"function"`
	Batches  []ReplayBatch `json:"batches"`
	Next     string        `json:"next,omitempty"`
}

// ReplayBatch is one invocation of a replay.
type ReplayBatch struct {
	From      string `json:"from"`
	To        string `json:"to"`
	Records   int    `json:"records"`
	RequestID string `json:"requestId"`
	Outcome   string `json:"outcome"`          // ok, failed, partial, throttled or notRun
	Reason    string `json:"reason,omitempty"` // for people
	// with partial: the lowest sequence number that the function reported
	FailedAt       string `json:"failedAt,omitempty"`
	DurationMillis int64  `json:"durationMillis"`
}

// replay invokes a mapping's function with records that it has had, or not had.
func (h *handler) replay(w http.ResponseWriter, req *http.Request) error {
	var in ReplayRequest
	d := json.NewDecoder(http.MaxBytesReader(w, req.Body, 4096))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); fault.CodeOf(err) != "" {
		return err
	} else if err != nil || in.Mapping == "" || in.Shard == "" || in.From == "" || in.To == "" {
		return &Problem{
			http.StatusBadRequest,
			`the body must be {"mapping": UUID, "shard": "shardId-000000000000", "from": "sequence number", "to": "sequence number"}`,
		}
	}
	all, err := h.Mappings.All(req.Context())
	if err != nil {
		return err
	}
	var rng engine.ReplayRange
	a, group := ReplayAnswer{Batches: []ReplayBatch{}}, ""
	var owner function.Ref
	for i := range all {
		if m := &all[i]; m.UUID == in.Mapping {
			if err := within(req, m.Account); err != nil {
				return err
			}
			if in.Account != "" && in.Account != m.Account || in.Region != "" && in.Region != m.Region {
				return &Problem{
					http.StatusNotFound,
					fmt.Sprintf(
						"the mapping %s is in account %s, %s; it was looked for in account %s, %s", m.UUID, m.Account,
						m.Region, in.Account, in.Region,
					),
				}
			}
			a.Function, group = m.FunctionName, function.DefaultLogGroup(m.FunctionName)
			owner = function.Ref{Account: m.Account, Region: m.Region, Name: m.FunctionName}
			if c, ok := h.Functions.Lookup(owner); ok {
				group = c.LogGroup
			}
			if rng, err = h.replayRange(req, m.Stream, &in); err != nil {
				return err
			}
		}
	}
	a.Next, err = h.Replayer.Replay(req.Context(), in.Mapping, rng, func(b engine.Replayed) {
		a.Batches = append(a.Batches, replayBatch(b))
		line := fmt.Sprintf(
			"REPLAY RequestId: %s Mapping: %s Shard: %s Records: %d From: %s To: %s", b.RequestID, in.Mapping, in.Shard,
			b.Count, b.From, b.To,
		)
		h.Sink.Write(owner, group, function.ReplayStream(group, owner.Name), []function.LogEvent{
			{At: h.Clock.Now(), Message: line},
		})
	})
	if err != nil {
		return replayProblem(err)
	}
	wire.WriteJSON(w, http.StatusOK, jsonType, a)
	return nil
}

// replayRange reads the places of a request in a stream as it is now.
func (h *handler) replayRange(req *http.Request, id uint32, in *ReplayRequest) (out engine.ReplayRange, err error) {
	info, ok, err := h.Streams.LookupID(req.Context(), id)
	if err != nil {
		return out, err
	}
	if !ok {
		return out, &Problem{http.StatusNotFound, "the stream of the mapping does not exist any more"}
	}
	c := wire.CallerOf(req.Context())
	if err := c.PermitStream(info.Name.Name, info.ARN); err != nil {
		return out, refusal(err)
	}
	names := make([]string, len(info.Shards))
	for i, sh := range info.Shards {
		names[i] = sh.ID.String()
	}
	i := slices.Index(names, in.Shard)
	if i < 0 {
		return out, &Problem{
			http.StatusBadRequest,
			fmt.Sprintf("the stream %s has no shard %.60q; it has %s", info.Name.Name, in.Shard, listed(names)),
		}
	}
	out.Shard = info.Shards[i].ID
	for _, end := range []struct {
		name, text string
		into       *record.Position
	}{{"from", in.From, &out.From}, {"to", in.To, &out.To}} {
		q, err := stream.ParseSequenceNumber(end.text)
		if err != nil {
			return out, &Problem{
				http.StatusBadRequest, fmt.Sprintf("%s is %.80q, which is no sequence number", end.name, end.text),
			}
		}
		if q.Shard != out.Shard || q.Version != 2 || q.Created != int64(info.Shards[i].Created)/1000 {
			return out, &Problem{
				http.StatusBadRequest,
				fmt.Sprintf(
					"%s is a sequence number of another shard or stream than %s of %s", end.name, in.Shard,
					info.Name.Name,
				),
			}
		}
		*end.into = q.Pos
	}
	return out, nil
}

// listed names the first few of many.
func listed(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + fmt.Sprintf(" and %d more", len(names)-5)
	}
	return strings.Join(names, ", ")
}

func replayBatch(b engine.Replayed) ReplayBatch {
	out := ReplayBatch{
		From: b.From, To: b.To, Records: b.Count, RequestID: b.RequestID, Reason: b.Outcome.Reason,
		FailedAt: b.FailedAt, DurationMillis: b.Outcome.Duration.Milliseconds(),
	}
	switch b.Outcome.Kind {
	case esm.Success:
		out.Outcome = "ok"
	case esm.FunctionError:
		out.Outcome = "failed"
	case esm.PartialFailure:
		out.Outcome = "partial"
	case esm.Throttle:
		out.Outcome = "throttled"
	case esm.ServiceError:
		out.Outcome = "notRun"
	}
	return out
}

// replayProblem gives the engine's sentences a status.
func replayProblem(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	status := http.StatusBadRequest
	switch f.Code {
	case engine.CodeNoMapping:
		status = http.StatusNotFound
	case engine.CodeTrimmed:
		status = http.StatusGone
	}
	return &Problem{status, f.Message}
}
