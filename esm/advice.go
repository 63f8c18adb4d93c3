package esm

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/shardmill/shardmill/record"
)

// Advice names something that AWS accepts silently and that is surely a mistake. It does not affect the batch;
// observers may show it to a person.
type Advice uint8

const (
	AdviceNone Advice = iota
	// failed records are reported and the mapping lacks ReportBatchItemFailures: they count as processed
	AdviceUnasked
	AdviceNoReport   // JSON that is no object, where reports are expected: it carries none
	AdviceBareList   // the list of failed records stands alone, not in batchItemFailures: they count as processed
	AdviceEncoded    // the report is a text of JSON, or within one: its records count as processed
	AdviceSpelling   // batchItemFailures is spelt in another way: its records count as processed
	AdviceIdentifier // a report that cannot be followed: the whole batch counts as failed
	AdviceNoState    // an answer in a tumbling window without a state: the whole batch counts as failed
	AdviceBlocked    // a batch fails again and again, and neither a number of retries nor an age ends it
	// a notice was given up because the destination refused it: the shell gives it with Dropped
	AdviceDestination
)

// blockedAfter is how often in a row a batch has failed when it counts as blocking its lane.
const blockedAfter = 5

// adviceUnasked looks for a report in a response that is not evaluated. Most responses lack the word and are not
// parsed.
func adviceUnasked(body []byte) Advice {
	if bytes.Contains(body, []byte(reportMember)) && reports(body) {
		return AdviceUnasked
	}
	return AdviceNone
}

// reports reports whether a response is an object that reports at least one record as failed.
func reports(body []byte) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(body, &members) == nil && hasEntries(members[reportMember])
}

// hasEntries reports whether raw is a list that is not empty.
func hasEntries(raw json.RawMessage) bool {
	var entries []json.RawMessage
	return json.Unmarshal(raw, &entries) == nil && len(entries) > 0
}

// adviceNoObject returns the advice about valid JSON that is no object. What AWS documents as an empty response needs
// none.
func adviceNoObject(body []byte, find func(string) (record.Position, bool)) Advice {
	switch body[0] {
	case 'n': // null
		return AdviceNone
	case '"':
		var text string
		if json.Unmarshal(body, &text) != nil || text == "" {
			return AdviceNone
		}
		if reports([]byte(text)) {
			return AdviceEncoded
		}
	case '[':
		var list []json.RawMessage
		if json.Unmarshal(body, &list) != nil || len(list) == 0 {
			return AdviceNone
		}
		for _, entry := range list {
			if isItem(entry, find) {
				return AdviceBareList
			}
		}
	}
	return AdviceNoReport
}

// isItem reports whether an entry of a list names a record as failed: with a member itemIdentifier, or by its
// identifier alone.
func isItem(entry json.RawMessage, find func(string) (record.Position, bool)) bool {
	var members map[string]json.RawMessage
	if json.Unmarshal(entry, &members) == nil {
		_, ok := members[itemMember]
		return ok
	}
	var id string
	if json.Unmarshal(entry, &id) != nil {
		return false
	}
	_, ok := find(id)
	return ok
}

// adviceMisplaced looks for a report in an object without batchItemFailures: under another spelling, or in the text
// body of an HTTP response.
func adviceMisplaced(members map[string]json.RawMessage) Advice {
	encoded := false
	for name, raw := range members {
		if spelling(name) == spelling(reportMember) && hasEntries(raw) {
			return AdviceSpelling
		}
		var text string
		encoded = encoded || name == "body" && json.Unmarshal(raw, &text) == nil && reports([]byte(text))
	}
	if encoded {
		return AdviceEncoded
	}
	return AdviceNone
}

// spelling returns a form of name that is the same for names that differ only in case, separators or a plural.
func spelling(name string) string {
	return strings.TrimSuffix(strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name)), "s")
}

// advise adds what only the machine knows to the advice about a failure: the batch at hand keeps failing, and nothing
// ends that.
func (s *Shard) advise(seg *segment, o *Outcome) {
	if o.Kind == FunctionError && s.cfg.MaxRetries < 0 && s.cfg.MaxAge == 0 && seg.failures+1 >= blockedAfter {
		o.Advice = AdviceBlocked
	}
}
