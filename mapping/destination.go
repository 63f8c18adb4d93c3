package mapping

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// destinationKind is a kind of on-failure destination.
type destinationKind struct {
	service, noun string
	form          func() *regexp.Regexp // of the resource's name
	global        bool                  // its ARN has neither region nor account
	sends         string                // the call by which notices reach it
}

// destinationKinds are what a mapping of a stream can announce discarded records to. Source: Lambda API Reference,
// OnFailure; Amazon SQS, SNS and S3, rules for names.
var destinationKinds = []destinationKind{
	{service: "sqs", noun: "an SQS queue", form: compiled(`^[A-Za-z0-9_-]{1,80}$`), sends: "SendMessage"},
	{service: "sns", noun: "an SNS topic", form: compiled(`^[A-Za-z0-9_-]{1,256}$`), sends: "Publish"},
	{service: "s3", noun: "an S3 bucket", form: compiled(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`), global: true, sends: "PutObject"},
}

// kindOf returns the kind of a destination's service; nil if there is none.
func kindOf(service string) *destinationKind {
	i := slices.IndexFunc(destinationKinds, func(k destinationKind) bool { return k.service == service })
	if i < 0 {
		return nil
	}
	return &destinationKinds[i]
}

// checkDestinationKind refuses what no mapping of a stream can have as destination: Kafka topics, which mappings of
// Kafka have, functions and event buses, which asynchronous invocations have, and FIFO queues and topics. Like
// OnSuccess, it is refused before the event source and the function are looked at.
func checkDestinationKind(text string) error {
	if text == "" {
		return nil
	}
	a, ok := arn.Parse(text)
	switch {
	case !ok || kindOf(a.Service) == nil:
		return errInapplicable("DestinationConfig").WithHint(
			"%s cannot be an on-failure destination of a stream: give the ARN of a standard queue, a standard topic or a bucket",
			text,
		)
	case (a.Service == "sqs" || a.Service == "sns") && strings.HasSuffix(a.Resource, ".fifo"):
		return errInapplicable("DestinationConfig").WithHint(
			"%s is FIFO, and only a standard queue or topic can be an on-failure destination", text,
		)
	}
	return nil
}

// destination is Caller.destination, and refuses a destination whose service there is none of here: a notice would wait
// for it for ever.
func (m *Mappings) destination(c Caller, text string) (folded, hint string, err error) {
	folded, hint, err = c.destination(text)
	if a, _ := arn.Parse(folded); err == nil && folded != "" && m.lacks != nil {
		if why := m.lacks(a.Service); why != "" {
			return "", "", errUnsupported("DestinationConfig.OnFailure.Destination "+text, why)
		}
	}
	return folded, hint, err
}

// destination returns the ARN of the queue, topic or bucket that a Destination names, with a full account id; "" stays
// "". Whether it exists is not looked at, as on AWS: a notice that finds nothing is counted.
func (c Caller) destination(text string) (folded, hint string, err error) {
	if err := checkDestinationKind(text); err != nil || text == "" {
		return "", "", err
	}
	a, _ := arn.Parse(text)
	kind, region, ok := kindOf(a.Service), a.Region, a.Region == "" && a.Account == ""
	if kind.global {
		region = c.Region
	} else {
		hint, ok = c.fold(&a)
		ok = ok && region != ""
	}
	if !ok || a.Partition != arn.PartitionOf(region) || !kind.form().MatchString(a.Resource) {
		return "", "", invalid("DestinationConfig.OnFailure.Destination %s is not the ARN of %s.", text, kind.noun)
	}
	if !kind.global && a.Region != c.Region {
		return "", "", mayNotSend(a).WithHint("%s is of another region than the mapping, and nothing can open it.", text)
	}
	return a.String(), hint, nil
}

// mayNotSend is AWS's fault for a destination that the function's role may not send to.
func mayNotSend(a arn.ARN) *fault.Error {
	return invalid("The provided execution role does not have permissions to call %s on %s", kindOf(a.Service).sends,
		strings.ToUpper(a.Service))
}

// maySend refuses a destination that the role of a function may not send to; "" is none.
func (m *Mappings) maySend(ctx context.Context, c Caller, functionARN, destination string) error {
	if destination == "" {
		return nil
	}
	a, _ := arn.Parse(destination)
	ok, err := a.Account == "" || a.Account == c.Account, error(nil)
	if m.maySendTo != nil {
		ok, err = m.maySendTo(ctx, c, functionARN, destination)
	}
	if err == nil && !ok {
		err = mayNotSend(a).WithHint("The role of %s needs the resource policy of %s.", functionARN, destination)
	}
	return err
}
