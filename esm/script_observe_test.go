package esm_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/shardmill/shardmill/esm"
)

// ofBatches reports whether an observation tells what becomes of a batch, and not what a machine waits for, reads or
// saves.
func ofBatches(o esm.Observe) bool {
	switch o.(type) {
	case *esm.Started, *esm.Adopted, *esm.Nudged, *esm.Stopped, *esm.Parked, *esm.Stands, *esm.Missed, *esm.ReadAsked,
		*esm.ReadDone, *esm.ReadBroke, *esm.ReadVoid, *esm.BufferFilled, *esm.BufferFreed, *esm.WaitBegan,
		*esm.WaitEnded, *esm.Gathered, *esm.SlotFreed, *esm.SaveAsked, *esm.SaveEnded:
		return false
	case *esm.Rebuilt, *esm.Refiltered, *esm.RecordsLost, *esm.BatchCut, *esm.AttemptStarted, *esm.AttemptEnded,
		*esm.AttemptCancelled,
		*esm.BatchSettled, *esm.Bisected, *esm.RestLeft, *esm.Vanished, *esm.Discarded, *esm.NoticeSent,
		*esm.NoticeDelivered, *esm.NoticeFailed, *esm.Dropped, *esm.WindowEnded, *esm.StateReset, *esm.StateDropped:
	}
	return true
}

// observeText prints an observation.
func observeText(o esm.Observe) string {
	var b strings.Builder
	b.WriteString(esm.KindOf(o))
	put := func(format string, args ...any) { fmt.Fprintf(&b, " "+format, args...) }
	if about := esm.BatchOf(o); about != nil {
		if about.Number != 0 {
			put("batch=%d", about.Number)
		}
		if about.ID.Purpose != esm.ForRecords {
			put("%s", about.ID.Purpose)
		}
		put("records=%s count=%d", span(about.First, about.Last), about.Count)
	}
	switch o := o.(type) {
	case *esm.Started:
		put("low=%d batches=%d", o.Low, o.Batches)
	case *esm.Adopted:
		put("batch-size=%d factor=%d", o.Config.BatchSize, o.Config.Factor)
	case *esm.Nudged:
		put("lanes=%d", o.Lanes)
	case *esm.Rebuilt:
		put("factor=%d from=%d", o.Factor, o.From)
	case *esm.Refiltered:
		put("filter=%d from=%d dropped=%d", o.Filter, o.From, o.Dropped)
	case *esm.Stopped:
		put("%s", o.Reason)
	case *esm.Parked:
		put("%s", o.Why)
	case *esm.Stands:
		put("%s", o.Phase)
	case *esm.Missed:
		put("count=%d", o.Count)
	case *esm.ReadAsked:
		put("from=%d records=%d bytes=%d%s", o.From, o.MaxRecords, o.MaxBytes, flag(o.Wait, " wait"))
	case *esm.ReadDone:
		put("from=%d next=%d records=%d%s taken=%d %s", o.From, o.Next, o.Records,
			flag(o.Filtered > 0, fmt.Sprintf(" filtered=%d", o.Filtered)), o.Taken, o.End)
	case *esm.ReadBroke:
		put("again=%s", instant(o.Again))
	case *esm.ReadVoid:
	case *esm.BufferFilled:
		put("records=%d of %d bytes=%d of %d", o.Records, o.MaxRecords, o.Bytes, o.MaxBytes)
	case *esm.BufferFreed:
		put("records=%d bytes=%d", o.Records, o.Bytes)
	case *esm.RecordsLost:
		if o.ID.Last == 0 {
			put("records=%s count=%d%s", span(o.First, o.Last), o.Count, flag(o.Unread, " unread"))
		}
	case *esm.WaitBegan:
		put("lane=%d wait=%s%s", o.Lane, o.Reason, flag(!o.Until.IsZero(), " until="+instant(o.Until)))
		if o.Number != 0 {
			put("attempt=%d%s", o.Attempt, flag(o.Attempts > 0, fmt.Sprintf(" of %d", o.Attempts)))
		}
	case *esm.WaitEnded:
		put("lane=%d wait=%s since=%s", o.Lane, o.Reason, instant(o.Since))
	case *esm.Gathered:
		put("lane=%d count=%d of %d", o.Lane, o.Count, o.Most)
	case *esm.SlotFreed:
		put("lane=%d%s", o.Lane, flag(o.Batch == 0, " in vain"))
	case *esm.BatchCut:
		put("flush=%s%s", o.Flush, parentText(o.Parent))
	case *esm.AttemptStarted:
		put("attempt=%d", o.Attempt)
	case *esm.AttemptEnded:
		put("attempt=%d outcome=%s%s", o.Attempt, o.Outcome.Kind,
			flag(o.Outcome.Advice != esm.AdviceNone, " advice="+o.Outcome.Advice.String()))
	case *esm.AttemptCancelled:
		put("attempt=%d", o.Attempt)
	case *esm.BatchSettled:
	case *esm.Vanished:
		b.WriteString(flag(o.Refiltered, " refiltered"))
	case *esm.Bisected:
		put("left=%s right=%s", span(o.Left.First, o.Left.Last), span(o.Right.First, o.Right.Last))
	case *esm.RestLeft:
		b.WriteString(parentText(o.Parent))
	case *esm.Discarded:
		put("condition=%s", o.Condition)
	case *esm.NoticeSent:
		put("condition=%s try=%d", o.Condition, o.Try)
	case *esm.NoticeDelivered:
		put("condition=%s", o.Condition)
	case *esm.NoticeFailed:
		put("condition=%s try=%d %s", o.Condition, o.Try, o.Result)
	case *esm.Dropped:
		put("condition=%s %s", o.Condition, o.Why)
	case *esm.WindowEnded:
		put("window=%s..%s", timeOfDay(o.Window.Start), timeOfDay(o.Window.End))
	case *esm.StateReset:
		put("window=%s..%s", timeOfDay(o.Window.Start), timeOfDay(o.Window.End))
	case *esm.StateDropped:
		put("window=%s..%s", timeOfDay(o.Window.Start), timeOfDay(o.Window.End))
	case *esm.SaveAsked:
		put("low=%d", o.Low)
	case *esm.SaveEnded:
		put("low=%d %s%s", o.Low, o.Result, flag(!o.Again.IsZero(), " again="+instant(o.Again)))
	}
	return b.String()
}

// instant prints a time as scripts count it.
func instant(t time.Time) string { return t.Sub(epoch).String() }

func parentText(p esm.Parent) string {
	if p.Origin == esm.OriginRecords {
		return ""
	}
	return fmt.Sprintf(" %s of=%d", p.Origin, p.Number)
}
