package engine

import (
	"sync"

	"github.com/shardmill/shardmill/esm"
)

// advices tells people, once for each mapping and kind, what AWS takes without a word. Safe for concurrent use.
type advices struct {
	mu    sync.Mutex
	given map[string]uint64 // by mapping, a bit for each kind; gone with the mapping
}

// advise gives the advice that an attempt came with, unless the mapping has had it.
func (e *Engine) advise(o *Observation, kind esm.Advice) {
	if kind == esm.AdviceNone {
		return
	}
	e.advices.mu.Lock()
	had := e.advices.given[o.Mapping]&(1<<kind) != 0
	e.advices.given[o.Mapping] |= 1 << kind
	e.advices.mu.Unlock()
	if had {
		return
	}
	ref := targetOf(o.FunctionARN).Ref
	text := "mapping " + o.Mapping + " of " + ref.Name + ": " + adviceText(kind)
	if !e.tap.hint(ref, text) { // it comes again with the next attempt that deserves it
		e.advices.mu.Lock()
		e.advices.given[o.Mapping] &^= 1 << kind
		e.advices.mu.Unlock()
		return
	}
	e.o.Log.Warn("hint", "mapping", o.Mapping, "function", ref.Name, "hint", text)
}

// forget lets go of a mapping that is gone.
func (a *advices) forget(mapping string) {
	a.mu.Lock()
	delete(a.given, mapping)
	a.mu.Unlock()
}

// adviceText returns a kind of advice for a person: what happened, why, what to do.
func adviceText(kind esm.Advice) string {
	switch kind {
	case esm.AdviceUnasked:
		return "the function reports batchItemFailures, but FunctionResponseTypes does not hold ReportBatchItemFailures, so the reported records count as processed and are lost. " +
			"Set it: aws lambda update-event-source-mapping --function-response-types ReportBatchItemFailures --uuid UUID"
	case esm.AdviceNoReport:
		return "the function answers with JSON that is not an object, which carries no report of failed records: the whole batch counts as processed. " +
			`To report, return {"batchItemFailures": [{"itemIdentifier": SEQUENCE_NUMBER}]}`
	case esm.AdviceBareList:
		return "the function answers with a bare list of failed records, which AWS does not read: the whole batch counts as processed and they are lost. " +
			`Return it as {"batchItemFailures": [...]}`
	case esm.AdviceEncoded:
		return "the function reports batchItemFailures within a text, which AWS does not read: the whole batch counts as processed and the reported records are lost. " +
			"Return the object itself, not its JSON"
	case esm.AdviceSpelling:
		return "the function reports failed records under a name that AWS does not read: the whole batch counts as processed and they are lost. " +
			"Its name is batchItemFailures, spelt exactly so"
	case esm.AdviceIdentifier:
		return "the function reports batchItemFailures that cannot be followed, so the whole batch counts as failed and comes again. " +
			"It is a list of {\"itemIdentifier\": SEQUENCE_NUMBER}, spelt exactly so, with a kinesis.sequenceNumber of this batch as a text"
	case esm.AdviceNoState:
		return "the mapping has a tumbling window and the function answers without a state, so the whole batch counts as failed and comes again. " +
			`Return {"state": {...}}, an object, with every batch`
	case esm.AdviceBlocked:
		return "a batch fails again and again and holds up its part of the shard until its records expire, because neither MaximumRetryAttempts nor MaximumRecordAgeInSeconds ends it. " +
			"Set one of them, with an on-failure destination for what is given up"
	case esm.AdviceDestination:
		return "records are given up without a notice, because the on-failure destination refused it three times. " +
			"Make the queue, topic or bucket, or give another: aws lambda update-event-source-mapping --destination-config"
	case esm.AdviceNone:
	}
	return ""
}
