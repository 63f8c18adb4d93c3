package logstore

import (
	"fmt"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// Group names a log group.
type Group struct{ Account, Region, Name string }

// ARN returns the group's Amazon resource name, without the :* that some operations of AWS append.
func (g Group) ARN() string {
	return arn.New("logs", g.Region, g.Account, "log-group:"+g.Name).String()
}

// Account and region of groups from version 1 of the format, which had only names.
const (
	oldAccount = "000000000000"
	oldRegion  = "us-east-1"
)

// text returns the group as written in frames and keys. None of its parts contains a colon.
func (g Group) text() string { return fault.Cut(g.Account+":"+g.Region+":"+g.Name, maxNameLength) }

func parseGroup(text string) Group {
	if p := strings.SplitN(text, ":", 3); len(p) == 3 {
		return Group{p[0], p[1], p[2]}
	}
	return Group{oldAccount, oldRegion, text}
}

// mark is a place in the sequence of frames.
type mark struct {
	Segment uint64
	Offset  int64
}

func (m mark) before(o mark) bool {
	return m.Segment < o.Segment || m.Segment == o.Segment && m.Offset < o.Offset
}

// Place orders events by time to the millisecond, and events of the same millisecond in the order of writing. The zero
// value is before all events.
type Place struct {
	Millis  int64 // since 1970; not negative
	Segment uint64
	Offset  int64 // of the frame in its segment
	Index   int   // of the event in its frame
}

// Compare returns a negative number if p comes before o, a positive one if after.
func (p Place) Compare(o Place) int {
	for _, d := range []int64{
		p.Millis - o.Millis, int64(p.Segment) - int64(o.Segment), p.Offset - o.Offset, int64(p.Index - o.Index),
	} {
		if d != 0 {
			return int(max(-1, min(1, d)))
		}
	}
	return 0
}

// placeDigits is the length of a place as text, as long as AWS's event ids.
const placeDigits = 56

// String returns the place as 56 digits, whose text order is the order of places.
func (p Place) String() string {
	return fmt.Sprintf("%017d%012d%014d%013d", max(p.Millis, 0), p.Segment, p.Offset, p.Index)
}

// ParsePlace parses what String returned.
func ParsePlace(s string) (p Place, ok bool) {
	if len(s) != placeDigits || strings.Trim(s, "0123456789") != "" {
		return Place{}, false
	}
	_, err := fmt.Sscanf(s, "%17d%12d%14d%13d", &p.Millis, &p.Segment, &p.Offset, &p.Index)
	return p, err == nil
}
