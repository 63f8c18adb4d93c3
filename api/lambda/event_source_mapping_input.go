package lambda

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
)

// mappingMembers reads the members of a JSON object by AWS's rules: names are exact, null counts as absent, members
// that the model does not have are ignored, and a member of the wrong type is a SerializationException. The first such
// fault stays in err; later reads return nothing.
type mappingMembers struct {
	of  map[string]json.RawMessage
	err error
}

// readMappingMembers takes a request body apart. An empty body is an object without members.
func readMappingMembers(body []byte) (*mappingMembers, error) {
	d := &mappingMembers{}
	if len(bytes.TrimSpace(body)) == 0 {
		return d, nil
	}
	if err := faithful(body); err != nil {
		return nil, err
	}
	if jsonKind(body) != '{' && json.Valid(body) {
		return nil, typeFault("Unexpected token at the start of the request body, which must be a structure.")
	}
	if err := json.Unmarshal(body, &d.of); err != nil {
		return nil, fault.New(
			fault.CodeInvalidRequestContent, "Could not parse request body into json: %s", err,
		).WithStatus(400)
	}
	return d, nil
}

func typeFault(message string) error {
	return fault.New(fault.CodeSerialization, "%s", message).WithStatus(400)
}

// jsonKind returns the first byte of a JSON value, which identifies its type: { [ " t f n, or 0 for a number.
func jsonKind(v []byte) byte {
	v = bytes.TrimLeft(v, " \t\r\n")
	if len(v) == 0 || v[0] == '-' || (v[0] >= '0' && v[0] <= '9') {
		return 0
	}
	return v[0]
}

// member returns a member's raw value; ok is false when it is absent, null, or an earlier one was at fault.
func (d *mappingMembers) member(name string) (v json.RawMessage, ok bool) {
	v, ok = d.of[name]
	return v, ok && d.err == nil && jsonKind(v) != 'n'
}

// wrong records that v cannot be a target. AWS names Java's classes.
func (d *mappingMembers) wrong(v []byte, target string) {
	switch jsonKind(v) {
	case '{':
		d.err = typeFault("Start of structure or map found where not expected.")
	case '[':
		d.err = typeFault("Start of list found where not expected")
	case '"':
		d.err = typeFault("class java.lang.String can not be converted to " + target)
	case 't', 'f':
		d.err = typeFault("class java.lang.Boolean can not be converted to " + target)
	default:
		d.err = typeFault(
			"class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be converted to " + target,
		)
	}
}

func (d *mappingMembers) text(name string) *string {
	v, ok := d.member(name)
	if !ok {
		return nil
	}
	var s string
	if jsonKind(v) != '"' || json.Unmarshal(v, &s) != nil {
		d.wrong(v, "an String")
		return nil
	}
	return &s
}

// integer cuts fractions off and stops at 32 bits, as AWS does before it checks bounds.
func (d *mappingMembers) integer(name string) *int64 {
	f := d.number(name, "an Integer")
	if f == nil {
		return nil
	}
	return new(int64(min(max(math.Floor(*f), math.MinInt32), math.MaxInt32)))
}

func (d *mappingMembers) number(name, target string) *float64 {
	v, ok := d.member(name)
	if !ok {
		return nil
	}
	if jsonKind(v) != 0 {
		d.wrong(v, target)
		return nil
	}
	// a JSON number always parses; beyond the range it is an infinity, which bounds catch
	f, _ := strconv.ParseFloat(string(v), 64)
	return &f
}

func (d *mappingMembers) boolean(name string) *bool {
	v, ok := d.member(name)
	if !ok {
		return nil
	}
	switch jsonKind(v) {
	case 't', 'f':
		return new(jsonKind(v) == 't')
	case '"':
		var s string
		_ = json.Unmarshal(v, &s)
		d.err = typeFault("'" + strings.ToUpper(s) + "' can not be converted to an Boolean")
	default:
		d.wrong(v, "an Boolean")
	}
	return nil
}

// timestamp reads epoch seconds. Instants that milliseconds cannot hold stop at the end of the year 9999, which is as
// good.
func (d *mappingMembers) timestamp(name string) *record.Millis {
	f := d.number(name, "milliseconds since epoch")
	if f == nil {
		return nil
	}
	const year9999 = 253_402_300_799
	return new(record.Millis(math.Round(min(max(*f, 0), year9999) * 1000)))
}

// structure reads an object; nil when it is absent.
func (d *mappingMembers) structure(name string) *mappingMembers {
	v, ok := d.member(name)
	if !ok {
		return nil
	}
	in := &mappingMembers{}
	if jsonKind(v) == '[' {
		d.err = typeFault("Start of list found where not expected")
		return nil
	}
	if jsonKind(v) != '{' || json.Unmarshal(v, &in.of) != nil {
		d.err = typeFault("Expected null")
		return nil
	}
	return in
}

// dict reads a map from text to text; nil when it is absent.
func (d *mappingMembers) dict(name string) map[string]string {
	in := d.structure(name)
	if in == nil {
		return nil
	}
	out := make(map[string]string, len(in.of))
	for key := range in.of {
		if s := in.text(key); s != nil {
			out[key] = *s
		}
	}
	d.adopt(in)
	return out
}

// list reads a list of raw values; nil when it is absent, empty and not nil when it is empty.
func (d *mappingMembers) list(name string) []json.RawMessage {
	v, ok := d.member(name)
	if !ok {
		return nil
	}
	var l []json.RawMessage
	if jsonKind(v) == '{' {
		d.err = typeFault("Start of structure or map found where not expected.")
		return nil
	}
	if jsonKind(v) != '[' || json.Unmarshal(v, &l) != nil {
		d.err = typeFault("Expected list or null")
		return nil
	}
	return l
}

func (d *mappingMembers) texts(name string) []string {
	raw := d.list(name)
	if raw == nil {
		return nil
	}
	out := make([]string, 0, len(raw))
	for _, v := range raw {
		var s string
		if jsonKind(v) != '"' || json.Unmarshal(v, &s) != nil {
			d.wrong(v, "an String")
			return nil
		}
		out = append(out, s)
	}
	return out
}

// inapplicableToStreams are the members of the model that belong to other kinds of event sources, in its order.
var inapplicableToStreams = []string{
	"Topics", "Queues", "SourceAccessConfigurations", "SelfManagedEventSource", "AmazonManagedKafkaEventSourceConfig",
	"SelfManagedKafkaEventSourceConfig",
	"ScalingConfig", "DocumentDBEventSourceConfig", "LoggingConfig", "ProvisionedPollerConfig",
}

// knobs reads the members that Create and Update share.
func (d *mappingMembers) knobs() mapping.Knobs {
	k := mapping.Knobs{
		FunctionName:          d.text("FunctionName"),
		Enabled:               d.boolean("Enabled"),
		BatchSize:             d.integer("BatchSize"),
		BatchingWindowSeconds: d.integer("MaximumBatchingWindowInSeconds"),
		ParallelizationFactor: d.integer("ParallelizationFactor"),
		MaxRetries:            d.integer("MaximumRetryAttempts"),
		MaxAgeSeconds:         d.integer("MaximumRecordAgeInSeconds"),
		TumblingWindowSeconds: d.integer("TumblingWindowInSeconds"),
		Bisect:                d.boolean("BisectBatchOnFunctionError"),
		ResponseTypes:         d.texts("FunctionResponseTypes"),
		Destination:           d.destination(),
		Filters:               d.filters(),
		KMSKeyARN:             d.text("KMSKeyArn"),
	}
	if in := d.structure("MetricsConfig"); in != nil {
		k.Metrics = in.texts("Metrics")
		d.adopt(in)
	}
	for _, name := range inapplicableToStreams {
		// An empty list or structure says nothing; generators write them, and they are as good as absent.
		if v, ok := d.member(name); ok && !isEmptyValue(v) {
			k.Inapplicable = append(k.Inapplicable, name)
		}
	}
	return k
}

// adopt takes over the fault of an inner structure.
func (d *mappingMembers) adopt(in *mappingMembers) {
	if d.err == nil {
		d.err = in.err
	}
}

// isEmptyValue reports whether v is {} or [].
func isEmptyValue(v json.RawMessage) bool {
	v = bytes.TrimSpace(v)
	return len(v) >= 2 && (v[0] == '{' || v[0] == '[') && len(bytes.TrimSpace(v[1:len(v)-1])) == 0
}

func (d *mappingMembers) destination() *mapping.DestinationConfig {
	in := d.structure("DestinationConfig")
	if in == nil {
		return nil
	}
	out := &mapping.DestinationConfig{OnSuccess: in.structure("OnSuccess") != nil}
	if failure := in.structure("OnFailure"); failure != nil {
		if s := failure.text("Destination"); s != nil {
			out.OnFailure = *s
		} else {
			out.Nowhere = true
		}
		in.adopt(failure)
	}
	d.adopt(in)
	return out
}

// filters reads the patterns of FilterCriteria.
func (d *mappingMembers) filters() []string {
	in := d.structure("FilterCriteria")
	if in == nil {
		return nil
	}
	out := []string{}
	for _, v := range in.list("Filters") {
		if jsonKind(v) != '{' {
			in.wrong(v, "a structure")
			break
		}
		one := &mappingMembers{}
		if err := json.Unmarshal(v, &one.of); err != nil {
			in.err = typeFault("Expected null")
			break
		}
		pattern := ""
		if s := one.text("Pattern"); s != nil {
			pattern = *s
		}
		in.adopt(one)
		out = append(out, pattern)
	}
	d.adopt(in)
	return out
}
