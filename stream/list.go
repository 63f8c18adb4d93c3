package stream

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// Page sizes of AWS: the most that a call returns, whatever it asks for.
const (
	MaxListStreams = 100
	MaxDescribe    = 100
	MaxListShards  = 1000
)

// ListInput selects a page of an account's streams.
type ListInput struct {
	After string // exclusive; need not exist
	Token string // NextToken of the previous page; wins over After
	Limit int    // 0 or above 100: 100
}

// List returns the streams of an account and region by name, in any state, and a token when more follow. Faults:
// InvalidArgumentException, ExpiredNextTokenException. Source: Kinesis API Reference, ListStreams.
func (s *Streams) List(ctx context.Context, account, region string, in ListInput) (
	page []*Info, next string, err error,
) {
	if err := s.ready(ctx); err != nil {
		return nil, "", err
	}
	now := s.now()
	if in.Token != "" {
		payload, err := s.openList(kindStreams, account, region, in.Token, now)
		if err != nil {
			return nil, "", err
		}
		texts, ok := readTexts(payload, 1)
		if !ok {
			return nil, "", invalidToken()
		}
		in.After = texts[0]
	}
	if in.Limit <= 0 || in.Limit > MaxListStreams {
		in.Limit = MaxListStreams
	}
	var found []*stream
	s.mu.RLock()
	for name, st := range s.byName {
		if name.Account == account && name.Region == region && name.Name > in.After {
			found = append(found, st)
		}
	}
	s.mu.RUnlock()
	slices.SortFunc(found, func(a, b *stream) int { return strings.Compare(a.name.Name, b.name.Name) })
	for _, st := range found[:min(len(found), in.Limit)] {
		page = append(page, st.snap.Load().visible(now))
	}
	if len(found) > in.Limit {
		next = s.sealList(kindStreams, account, region, now, appendTexts(nil, found[in.Limit-1].name.Name))
	}
	return page, next, nil
}

// FilterType says which shards ListShards returns, in AWS's words.
type FilterType string

// The six filters.
const (
	FilterAfterShard      FilterType = "AFTER_SHARD_ID"
	FilterAtTrimHorizon   FilterType = "AT_TRIM_HORIZON"
	FilterFromTrimHorizon FilterType = "FROM_TRIM_HORIZON"
	FilterAtLatest        FilterType = "AT_LATEST"
	FilterAtTimestamp     FilterType = "AT_TIMESTAMP"
	FilterFromTimestamp   FilterType = "FROM_TIMESTAMP"
)

// ShardFilter is one filter; Shard and At are used by the types that need them.
type ShardFilter struct {
	Type  FilterType
	Shard string
	At    *record.Millis
}

// ListShardsInput selects a page of a stream's shards.
type ListShardsInput struct {
	After   string         // exclusive shard id; compared as text
	Created *record.Millis // the creation time of the stream, to the second; nil: whichever stream has the name
	Filter  *ShardFilter
	Limit   int    // 0 or above 1000: 1000
	Caller  Caller // whose the token is
}

// ListShards returns a page of the shards that are OPEN or CLOSED, by id, and a token when more follow. Faults:
// ResourceNotFoundException, ResourceInUseException while the stream is CREATING or DELETING, InvalidArgumentException
// for a filter without its argument. Source: Kinesis API Reference, ListShards and ShardFilter.
func (s *Streams) ListShards(ctx context.Context, name Name, in ListShardsInput) (
	page []ShardInfo, next string, err error,
) {
	st, err := s.find(ctx, name)
	if err != nil {
		return nil, "", err
	}
	sn := st.snap.Load()
	if in.Created != nil && int64(*in.Created)/1000 != sn.info.Created.Unix() {
		return nil, "", s.notFound(name)
	}
	if f := in.Filter; f != nil {
		switch f.Type {
		case FilterAfterShard:
			if f.Shard == "" {
				return nil, "", fault.New(codeInvalid, "ShardId must be provided for a ShardFilter of type %s.", f.Type)
			}
			in.After = max(in.After, f.Shard)
		case FilterAtTimestamp, FilterFromTimestamp:
			if f.At == nil {
				return nil, "", fault.New(
					codeInvalid, "Timestamp must be provided for a ShardFilter of type %s.", f.Type,
				)
			}
		case FilterAtTrimHorizon, FilterFromTrimHorizon, FilterAtLatest:
		default:
			return nil, "", fault.New(codeInvalid, "ShardFilter type %s is unknown.", clip(string(f.Type)))
		}
	}
	return s.listShards(sn, in)
}

// ListShardsNext returns the page that follows the one which returned token, which is the caller's alone. limit as in
// ListShardsInput. Faults: InvalidArgumentException, also for a token of another account or region;
// AccessDeniedException when the stream is no longer shared; ExpiredNextTokenException after five minutes;
// ResourceNotFoundException when the stream is gone.
func (s *Streams) ListShardsNext(ctx context.Context, c Caller, token string, limit int) (
	page []ShardInfo, next string, err error,
) {
	if err := s.ready(ctx); err != nil {
		return nil, "", err
	}
	payload, err := s.openList(kindShards, c.Account, c.Region, token, s.now())
	if err != nil {
		return nil, "", err
	}
	if len(payload) < 12 {
		return nil, "", invalidToken()
	}
	id, at := binary.BigEndian.Uint32(payload), record.Millis(binary.BigEndian.Uint64(payload[4:]))
	texts, ok := readTexts(payload[12:], 5)
	if !ok {
		return nil, "", invalidToken()
	}
	name := Name{texts[2], texts[3], texts[4]}
	if err := s.Authorize(c, name, "ListShards"); err != nil {
		return nil, "", err
	}
	if err := s.Admit(name, "ListShards"); err != nil {
		return nil, "", err
	}
	sn, ok, err := s.byNumber(ctx, id)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, "", s.notFound(name)
	}
	in := ListShardsInput{After: texts[0], Limit: limit, Caller: c}
	if texts[1] != "" {
		in.Filter = &ShardFilter{Type: FilterType(texts[1]), At: &at}
	}
	return s.listShards(sn, in)
}

func (s *Streams) listShards(sn *snapshot, in ListShardsInput) (page []ShardInfo, next string, err error) {
	if st := sn.info.Status; st != Active && st != Updating {
		return nil, "", notActive(sn.info.Name, st)
	}
	if in.Limit <= 0 || in.Limit > MaxListShards {
		in.Limit = MaxListShards
	}
	now := s.now()
	visible := sn.visible(now).Shards
	for i := FirstAfter(visible, in.After); i < len(visible); i++ {
		if in.Filter != nil && !in.Filter.matches(&visible[i], sn, now) {
			continue
		}
		if len(page) == in.Limit {
			return page, s.shardsToken(sn, in, page[len(page)-1].ID, now), nil
		}
		page = append(page, visible[i])
	}
	return page, "", nil
}

// matches applies the filter at now; an earlier timestamp counts as the trim horizon.
func (f *ShardFilter) matches(sh *ShardInfo, sn *snapshot, now record.Millis) bool {
	horizon := max(sn.trimHorizon(now), record.MillisOf(sn.info.Created))
	openAt := func(t record.Millis) bool { return sh.Began() <= t && (sh.Closed == 0 || sh.Closed >= t) }
	switch f.Type {
	case FilterAtTrimHorizon:
		return openAt(horizon)
	case FilterAtLatest:
		return sh.Closed == 0
	case FilterAtTimestamp:
		return openAt(*f.At)
	case FilterFromTimestamp:
		return sh.Closed == 0 || sh.Closed >= max(*f.At, horizon)
	case FilterAfterShard, FilterFromTrimHorizon: // the first is done by After, the second matches every listed shard
	}
	return true
}

// FirstAfter returns the index of the first shard whose id is above after in text order; "" is before all.
func FirstAfter(shards []ShardInfo, after string) int {
	if after == "" {
		return 0
	}
	i, found := slices.BinarySearchFunc(shards, after, func(s ShardInfo, after string) int {
		return strings.Compare(s.ID.String(), after)
	})
	if found {
		i++
	}
	return i
}

func (s *Streams) shardsToken(sn *snapshot, in ListShardsInput, last record.ShardID, now record.Millis) string {
	b := binary.BigEndian.AppendUint32(nil, sn.info.ID)
	filter, at := "", record.Millis(0)
	if in.Filter != nil {
		filter = string(in.Filter.Type)
		if in.Filter.At != nil {
			at = *in.Filter.At
		}
	}
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	n := sn.info.Name
	return s.sealList(
		kindShards, in.Caller.Account, in.Caller.Region, now,
		appendTexts(b, last.String(), filter, n.Account, n.Region, n.Name),
	)
}

// sealList returns a list token with its time of issue and a payload, for callers of one account in one region.
func (s *Streams) sealList(kind, account, region string, now record.Millis, payload []byte) string {
	b := append([]byte{tokenVersion}, binary.BigEndian.AppendUint64(nil, uint64(now))...)
	return s.tokens.seal(kind+"/"+account+"/"+region, append(b, payload...))
}

func (s *Streams) openList(kind, account, region, token string, now record.Millis) ([]byte, error) {
	b, ok := s.tokens.open(kind+"/"+account+"/"+region, token)
	if !ok || len(b) < 9 || b[0] != tokenVersion {
		return nil, invalidToken()
	}
	issued := record.Millis(binary.BigEndian.Uint64(b[1:]))
	if issued > now {
		return nil, invalidToken()
	}
	if int64(now-issued) > IteratorLife.Milliseconds() {
		return nil, fault.New(codeExpiredToken,
			"NextToken expired. The token was created at time %s while right now it is %s "+
				"which is further in the future than the tolerated delay of %d milliseconds.",
			expiredTime(issued.Time()), expiredTime(now.Time()), IteratorLife.Milliseconds())
	}
	return b[9:], nil
}

func invalidToken() error { return fault.New(codeInvalid, "Invalid NextToken.") }
