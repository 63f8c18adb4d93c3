package esm

import "strconv"

// Names for people and logs. They are words, not identifiers, and never change once published.

var outcomeNames = [...]string{
	Success: "success", PartialFailure: "partial-failure", FunctionError: "function-error", Throttle: "throttle",
	ServiceError: "service-error",
}

var endNames = [...]string{More: "more", Tail: "tail", ShardEnd: "shard-end", Withheld: "withheld", Trimmed: "trimmed"}

var deliveryNames = [...]string{DeliveryDone: "done", DeliveryRefused: "refused", DeliveryFault: "fault"}

var dropNames = [...]string{DropNoDestination: "no-destination", DropRefused: "refused"}

var saveNames = [...]string{SaveDone: "done", SaveConflict: "conflict", SaveFault: "fault"}

var finishNames = [...]string{Released: "released", Ended: "ended", Fenced: "fenced"}

var originNames = [...]string{
	OriginRecords: "records", OriginLeft: "left", OriginRight: "right", OriginPartial: "partial",
	OriginExpired: "expired", OriginFit: "fit", OriginWindow: "window",
}

var phaseNames = [...]string{
	PhaseOff: "off", PhaseUnowned: "unowned", PhaseFenced: "fenced", PhaseParents: "parents", PhaseRuns: "runs",
	PhaseEnds: "ends", PhaseEnded: "ended",
}

var flushNames = [...]string{
	FlushFull: "full", FlushPayload: "payload", FlushNow: "now", FlushWindow: "window", FlushBuffer: "buffer",
	FlushEnd: "shard-end", FlushAgain: "again",
	FlushTumbling: "window-end", FlushRestored: "restored",
}

var waitNames = [...]string{
	WaitNone: "none", WaitRecords: "records", WaitWindow: "window", WaitOutcome: "outcome", WaitRetry: "retry",
	WaitSlot: "slot", WaitService: "service",
	WaitDelivery: "delivery", WaitDestination: "destination", WaitSave: "save", WaitReread: "reread", WaitEnd: "end",
	WaitBuffer:   "buffer",
	WaitTumbling: "tumbling-window",
}

var adviceNames = [...]string{
	AdviceNone: "none", AdviceUnasked: "unasked", AdviceNoReport: "no-report", AdviceBareList: "bare-list",
	AdviceEncoded: "encoded", AdviceSpelling: "spelling",
	AdviceIdentifier: "identifier", AdviceNoState: "no-state", AdviceBlocked: "blocked",
	AdviceDestination: "destination",
}

var purposeNames = [...]string{ForRecords: "records", ForEarlyEnd: "early-end", ForFinal: "final"}

// nameOf returns the name of a value, or its type and number if it has none.
func nameOf(names []string, kind string, v uint8) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return kind + "(" + strconv.Itoa(int(v)) + ")"
}

func (k OutcomeKind) String() string    { return nameOf(outcomeNames[:], "OutcomeKind", uint8(k)) }
func (k EndKind) String() string        { return nameOf(endNames[:], "EndKind", uint8(k)) }
func (r DeliveryResult) String() string { return nameOf(deliveryNames[:], "DeliveryResult", uint8(r)) }
func (r DropReason) String() string     { return nameOf(dropNames[:], "DropReason", uint8(r)) }
func (r SaveResult) String() string     { return nameOf(saveNames[:], "SaveResult", uint8(r)) }
func (r FinishReason) String() string   { return nameOf(finishNames[:], "FinishReason", uint8(r)) }
func (r FlushReason) String() string    { return nameOf(flushNames[:], "FlushReason", uint8(r)) }
func (r WaitReason) String() string     { return nameOf(waitNames[:], "WaitReason", uint8(r)) }
func (a Advice) String() string         { return nameOf(adviceNames[:], "Advice", uint8(a)) }
func (p Purpose) String() string        { return nameOf(purposeNames[:], "Purpose", uint8(p)) }
func (p ShardPhase) String() string     { return nameOf(phaseNames[:], "ShardPhase", uint8(p)) }
func (o Origin) String() string         { return nameOf(originNames[:], "Origin", uint8(o)) }

// KindOf returns the name of an observation's kind.
func KindOf(o Observe) string {
	switch o.(type) {
	case *Started:
		return "started"
	case *Adopted:
		return "adopted"
	case *Nudged:
		return "nudged"
	case *Refiltered:
		return "refiltered"
	case *Rebuilt:
		return "rebuilt"
	case *Stopped:
		return "stopped"
	case *Parked:
		return "parked"
	case *Stands:
		return "stands"
	case *Missed:
		return "missed"
	case *ReadAsked:
		return "read-asked"
	case *ReadDone:
		return "read-done"
	case *ReadBroke:
		return "read-broke"
	case *ReadVoid:
		return "read-void"
	case *BufferFilled:
		return "buffer-filled"
	case *BufferFreed:
		return "buffer-freed"
	case *RecordsLost:
		return "lost"
	case *WaitBegan:
		return "wait-began"
	case *WaitEnded:
		return "wait-ended"
	case *Gathered:
		return "gathered"
	case *SlotFreed:
		return "slot-freed"
	case *BatchCut:
		return "batch-cut"
	case *AttemptStarted:
		return "attempt-started"
	case *AttemptEnded:
		return "attempt-ended"
	case *AttemptCancelled:
		return "attempt-cancelled"
	case *BatchSettled:
		return "batch-settled"
	case *Bisected:
		return "bisected"
	case *RestLeft:
		return "rest-left"
	case *Vanished:
		return "vanished"
	case *Discarded:
		return "discarded"
	case *NoticeSent:
		return "notice-sent"
	case *NoticeDelivered:
		return "notice-delivered"
	case *NoticeFailed:
		return "notice-failed"
	case *Dropped:
		return "dropped"
	case *WindowEnded:
		return "window-ended"
	case *StateReset:
		return "state-reset"
	case *StateDropped:
		return "state-dropped"
	case *SaveAsked:
		return "save-asked"
	case *SaveEnded:
		return "save-ended"
	}
	return "unknown"
}
