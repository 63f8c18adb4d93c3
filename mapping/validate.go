package mapping

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/internal/tags"
	"github.com/shardmill/shardmill/record"
)

// Knobs holds the members that Create and Update have in common, as they were sent. A nil pointer or slice means that
// the member was not sent. Numbers are in AWS's units, so that a refusal can quote them.
type Knobs struct {
	FunctionName          *string
	Enabled               *bool
	BatchSize             *int64
	BatchingWindowSeconds *int64
	ParallelizationFactor *int64
	MaxRetries            *int64
	MaxAgeSeconds         *int64
	TumblingWindowSeconds *int64
	Bisect                *bool
	ResponseTypes         []string // empty and not nil: none
	Destination           *DestinationConfig
	Filters               []string // patterns
	Metrics               []string
	KMSKeyARN             *string
	// Inapplicable names the members sent that belong to other kinds of event source, in the model's order.
	Inapplicable []string
}

// DestinationConfig replaces the destination of a mapping.
type DestinationConfig struct {
	OnSuccess bool   // an OnSuccess was sent, which no event source mapping has
	OnFailure string // ARN; "": none
	Nowhere   bool   // an OnFailure was sent that names no Destination, not even the empty one that removes it
}

// CreateInput is a CreateEventSourceMapping request.
type CreateInput struct {
	Knobs
	EventSourceARN            *string
	StartingPosition          *string
	StartingPositionTimestamp *record.Millis
	Tags                      map[string]string
}

// UpdateInput is an UpdateEventSourceMapping request. Members that were not sent stay as they are.
type UpdateInput struct{ Knobs }

// ListInput is a ListEventSourceMappings request.
type ListInput struct {
	EventSourceARN *string
	FunctionName   *string
	Marker         *string
	MaxItems       *int64
}

// AWS's patterns, as its answers print them. Ours differ in one point: an account id may have fewer than twelve digits,
// as in tutorials.
const (
	sourcePattern      = `arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}(-gov)?-[a-z]+-\d{1})?:(\d{12})?:(.*)`
	functionPattern    = `(arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?`
	destinationPattern = `$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)`
	kmsPattern         = `(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()`
)

// Patterns are compiled when the first request needs them: together they cost two of the ten milliseconds that a start
// takes.
var (
	arnForm = compiled(
		`^arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9-])+:([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d)?:(\d{1,12})?:(.*)$`,
	)
	kafkaForm    = compiled(`^kafka://[^.][a-zA-Z0-9\-_.]{0,248}$`)
	kmsForm      = compiled(`^(arn:(aws[a-zA-Z-]*)?:[a-z0-9.-]+:.*)?$`)
	functionForm = compiled(`^(?:arn:(aws[a-zA-Z-]*)?:lambda:)?(?:([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d):)?` +
		`(?:(?:(\d{12}):)?(?:function:)?|(\d{1,11}):function:)([a-zA-Z0-9_.-]+)(?::(\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?$`)
)

func compiled(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// functionRef is a parsed function name. Parts that were not given are "".
type functionRef struct{ partition, region, account, name, qualifier string }

func parseFunction(s string) (f functionRef, ok bool) {
	p := functionForm().FindStringSubmatch(s)
	if p == nil {
		return f, false
	}
	return functionRef{partition: p[1], region: p[2], account: p[3] + p[4], name: p[5], qualifier: p[6]}, true
}

// arnFor returns the ARN that f stands for when c sends it, with a full account id.
func (f functionRef) arnFor(c Caller) string {
	region, account := c.Region, c.Account
	if f.region != "" {
		region = f.region
	}
	if id, _, ok := arn.FoldAccount(f.account, c.Account); ok {
		account = id
	}
	resource := "function:" + f.name
	if f.qualifier != "" {
		resource += ":" + f.qualifier
	}
	return arn.New("lambda", region, account, resource).String()
}

// model records violations of AWS's service model. These come first, whatever else is wrong with a request.
func (k *Knobs) model(v *fault.Violations) {
	if k.FunctionName != nil {
		checkFunctionName(v, *k.FunctionName)
	}
	checkRange(v, "batchSize", k.BatchSize, 1, 10_000)
	for i, p := range k.Filters {
		if len([]rune(p)) > 4096 {
			v.Add(
				fmt.Sprintf("filterCriteria.filters.%d.member.pattern", i+1), p,
				"Member must have length less than or equal to 4096",
			)
		}
	}
	checkRange(v, "maximumBatchingWindowInSeconds", k.BatchingWindowSeconds, 0, 300)
	checkRange(v, "parallelizationFactor", k.ParallelizationFactor, 1, 10)
	if k.Destination != nil {
		checkDestinationForm(v, k.Destination.OnFailure)
	}
	checkRange(v, "maximumRecordAgeInSeconds", k.MaxAgeSeconds, -1, 604_800)
	checkRange(v, "maximumRetryAttempts", k.MaxRetries, -1, 10_000)
	checkRange(v, "tumblingWindowInSeconds", k.TumblingWindowSeconds, 0, 900)
	checkEnumList(v, "functionResponseTypes", k.ResponseTypes, 1, "ReportBatchItemFailures")
	if k.KMSKeyARN != nil && !kmsForm().MatchString(*k.KMSKeyARN) {
		v.Add("kMSKeyArn", *k.KMSKeyARN, "Member must satisfy regular expression pattern: "+kmsPattern)
	}
	checkEnumList(v, "metricsConfig.metrics", k.Metrics, 3, eventCount, "ErrorCount", "KafkaMetrics")
}

// eventCount is the only group of metrics that a stream has; the others are those of Kafka.
const eventCount = "EventCount"

func (in *CreateInput) model() error {
	var v fault.Violations
	if in.EventSourceARN != nil {
		checkSourceForm(&v, *in.EventSourceARN)
	}
	if in.FunctionName == nil {
		v.Null("functionName")
	}
	in.Knobs.model(&v)
	if p := in.StartingPosition; p != nil && !slices.Contains([]string{Latest, AtTimestamp, TrimHorizon}, *p) {
		v.Add("startingPosition", *p, "Member must satisfy enum value set: [LATEST, AT_TIMESTAMP, TRIM_HORIZON]")
	}
	tags.Check(&v, in.Tags)
	return v.Err()
}

func (in *ListInput) model() error {
	var v fault.Violations
	if in.EventSourceARN != nil {
		checkSourceForm(&v, *in.EventSourceARN)
	}
	if in.FunctionName != nil {
		checkFunctionName(&v, *in.FunctionName)
	}
	checkRange(&v, "maxItems", in.MaxItems, 1, 10_000)
	return v.Err()
}

func checkRange(v *fault.Violations, path string, n *int64, lo, hi int64) {
	if n != nil {
		v.Range(path, *n, lo, hi)
	}
}

func checkEnumList(v *fault.Violations, path string, list []string, most int, allowed ...string) {
	shown := "[" + strings.Join(list, ", ") + "]"
	if len(list) > most {
		v.Add(path, shown, fmt.Sprintf("Member must have length less than or equal to %d", most))
	}
	for _, s := range list {
		if !slices.Contains(allowed, s) {
			v.Add(
				path, shown,
				"Member must satisfy constraint: [Member must satisfy enum value set: ["+strings.Join(allowed, ", ")+
					"]]",
			)
			return
		}
	}
}

func checkFunctionName(v *fault.Violations, name string) {
	if name == "" {
		v.Add("functionName", name, "Member must have length greater than or equal to 1")
		return
	}
	if len(name) > 256 {
		v.Add("functionName", name, "Member must have length less than or equal to 256")
	}
	if _, ok := parseFunction(name); !ok {
		v.Add("functionName", name, "Member must satisfy regular expression pattern: "+functionPattern)
	}
}

func checkSourceForm(v *fault.Violations, s string) {
	if !arnForm().MatchString(s) {
		v.Add("eventSourceArn", s, "Member must satisfy regular expression pattern: "+sourcePattern)
	}
}

func checkDestinationForm(v *fault.Violations, s string) {
	const path = "destinationConfig.onFailure.destination"
	if len([]rune(s)) > 350 {
		v.Add(path, s, "Member must have length less than or equal to 350")
	}
	if s != "" && !arnForm().MatchString(s) && !kafkaForm().MatchString(s) {
		v.Add(path, s, "Member must satisfy regular expression pattern: "+destinationPattern)
	}
}

// applicable refuses members that no mapping of a stream has. AWS checks this before it looks at the event source or
// the function.
func (k *Knobs) applicable() error {
	if len(k.Inapplicable) > 0 {
		return errInapplicable(k.Inapplicable[0])
	}
	if k.Destination != nil && k.Destination.OnSuccess {
		return errInapplicable("DestinationConfig")
	}
	if k.Destination != nil && k.Destination.Nowhere { // Get answers it for no destination, but AWS does not accept it
		return invalid("The Destination field is required for an OnFailure configuration.")
	}
	if k.Destination != nil {
		return checkDestinationKind(k.Destination.OnFailure)
	}
	return nil
}

// values checks what the model's bounds leave open, against the mapping's settings unless k changes them, and refuses
// by name what AWS has and we do not have yet.
func (k *Knobs) values(has Settings, maxFilters int) error {
	if a := k.MaxAgeSeconds; a != nil && *a >= 0 && *a < 60 {
		return invalid("MaximumRecordAgeInSeconds must be -1 or between 60 and 604800")
	}
	// the state of a window has one owner per shard
	if k.apply(&has); has.TumblingWindow > 0 && has.ParallelizationFactor > 1 {
		return invalid("ParallelizationFactor must be 1 when TumblingWindowInSeconds is set")
	}
	if err := checkFilters(k.Filters, maxFilters); err != nil {
		return err
	}
	for _, name := range k.Metrics {
		if name != eventCount {
			return invalid("Unsupported MetricsConfig metric %s for given event source mapping type.", name)
		}
	}
	if k.FunctionName != nil {
		if f, _ := parseFunction(*k.FunctionName); f.qualifier == "$LATEST.PUBLISHED" {
			return errUnsupported(
				"FunctionName with $LATEST.PUBLISHED", "it names a version of capacity providers, which there are none of.",
			)
		}
	}
	return nil
}

// source returns the Kinesis stream, or the consumer of one, that an EventSourceArn names, with a full account id.
func (c Caller) source(text string) (folded, hint string, err error) {
	a, ok := arn.Parse(text)
	if !ok {
		return "", "", invalid("Unrecognized event source.")
	}
	switch a.Service {
	case "kinesis":
	case "dynamodb", "sqs", "kafka", "mq", "rds":
		return "", "", errUnsupported("EventSourceArn of service "+a.Service, "only Kinesis streams are accepted.")
	default:
		return "", "", invalid("Unrecognized event source.")
	}
	hint, ok = c.fold(&a)
	switch {
	case !ok:
		return "", "", invalid("Stream not found: %s", text)
	case a.Region != c.Region:
		return "", "", invalid("Stream not found: %s", text).WithHint(
			"The request was signed for %s, and a mapping reads a stream of its own region.", c.Region,
		)
	}
	return a.String(), hint, nil
}

// fold replaces an account id of fewer than twelve digits, as tutorials print it, by the caller's. ok is false when
// there is none.
func (c Caller) fold(a *arn.ARN) (hint string, ok bool) {
	id, folded, ok := arn.FoldAccount(a.Account, c.Account)
	if !ok {
		return "", false
	}
	if folded {
		hint = fmt.Sprintf("account %s in an ARN has fewer than 12 digits and was read as %s", a.Account, id)
	}
	a.Account = id
	return hint, true
}

// apply sets in s what was sent. The values have been checked.
func (k *Knobs) apply(s *Settings) {
	if k.BatchSize != nil {
		s.BatchSize = int(*k.BatchSize)
	}
	if k.BatchingWindowSeconds != nil {
		s.BatchingWindow = time.Duration(*k.BatchingWindowSeconds) * time.Second
	}
	if k.ParallelizationFactor != nil {
		s.ParallelizationFactor = int(*k.ParallelizationFactor)
	}
	if k.MaxRetries != nil {
		s.MaxRetries = int(*k.MaxRetries)
	}
	if k.MaxAgeSeconds != nil {
		s.MaxAge = time.Duration(max(*k.MaxAgeSeconds, 0)) * time.Second
	}
	if k.TumblingWindowSeconds != nil {
		s.TumblingWindow = time.Duration(*k.TumblingWindowSeconds) * time.Second
	}
	if k.Bisect != nil {
		s.Bisect = *k.Bisect
	}
	if k.Metrics != nil {
		s.EventCount = len(k.Metrics) > 0
	}
	if k.ResponseTypes != nil {
		s.PartialResponses = len(k.ResponseTypes) > 0
	}
	if k.Filters != nil {
		s.Filters = slices.Clip(k.Filters)
		if len(k.Filters) == 0 {
			s.Filters = nil
		}
	}
	if k.KMSKeyARN != nil {
		s.KMSKeyARN = *k.KMSKeyARN
	}
}

// joinHints joins hints into one line.
func joinHints(hints ...string) string {
	var out []string
	for _, h := range hints {
		if h != "" && !slices.Contains(out, h) {
			out = append(out, h)
		}
	}
	return strings.Join(out, "; ")
}
