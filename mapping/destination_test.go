package mapping

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/arn"
)

// What a mapping can announce discarded records to: standard queues, standard topics and buckets, whether they exist or
// not (contract 5.7, O17). Short account ids fold to the caller's.
func TestDestinationsOfAMapping(t *testing.T) {
	t.Parallel()
	china := Caller{Account: me.Account, Region: "cn-north-1"}
	inChina := "arn:aws-cn:sns:cn-north-1:" + me.Account + ":t"
	for _, c := range []struct {
		name   string
		caller Caller
		in     string
		want   string // "": refused
		hint   bool
	}{
		{"a queue", me, mine("sqs", "q-1_A"), mine("sqs", "q-1_A"), false},
		{"a topic", me, mine("sns", "t"), mine("sns", "t"), false},
		{"a topic under a short account id", me, "arn:aws:sns:us-east-1:123456789:t", "arn:aws:sns:us-east-1:" + me.Account + ":t", true},
		{"a topic in China", china, inChina, inChina, false},
		{"a bucket", me, "arn:aws:s3:::my.bucket-1", "arn:aws:s3:::my.bucket-1", false},
		{"a bucket in China", china, "arn:aws-cn:s3:::b-1", "arn:aws-cn:s3:::b-1", false},
		{"none", me, "", "", false},

		{"a subscription", me, "arn:aws:sns:us-east-1:111122223333:t:3f7a1c5e-0000-4000-8000-000000000000", "", false},
		{"a topic without a region", me, "arn:aws:sns::111122223333:t", "", false},
		{"a topic without an account", me, "arn:aws:sns:us-east-1::t", "", false},
		{"a topic of another partition", me, "arn:aws-cn:sns:us-east-1:111122223333:t", "", false},
		{"a queue of another partition", me, "arn:aws-us-gov:sqs:us-east-1:111122223333:q", "", false},
		{"a queue without a name", me, "arn:aws:sqs:us-east-1:111122223333:", "", false},
		{"a bucket with an account", me, "arn:aws:s3::111122223333:my-bucket", "", false},
		{"a bucket with a region", me, "arn:aws:s3:us-east-1::my-bucket", "", false},
		{"an object", me, "arn:aws:s3:::my-bucket/failures", "", false},
		{"an access point", me, "arn:aws:s3:us-east-1:111122223333:accesspoint/a", "", false},
		{"a bucket of another partition", me, "arn:aws-cn:s3:::my-bucket", "", false},
		{"a bucket name in capitals", me, "arn:aws:s3:::My-Bucket", "", false},
		{"a bucket name of two letters", me, "arn:aws:s3:::ab", "", false},
	} {
		got, hint, err := c.caller.destination(c.in)
		refused := err != nil && fault.CodeOf(err) == fault.CodeInvalidParameter &&
			strings.Contains(err.Error(), "DestinationConfig.OnFailure.Destination "+c.in+" is not the ARN of a")
		if got != c.want || (hint != "") != c.hint || c.want == "" && c.in != "" && !refused {
			t.Errorf("%s: %q, hint %q, %v", c.name, got, hint, err)
		}
	}
}

// mine returns the ARN of something of the caller's account and region.
func mine(service, name string) string {
	return "arn:aws:" + service + ":" + me.Region + ":" + me.Account + ":" + name
}

// A destination of another region is beyond the mapping's scope, and one of another account unless it is asked and says
// yes: the refusal is that of a role that may not send there.
func TestADestinationIsInTheScopeOfItsMapping(t *testing.T) {
	t.Parallel()
	abroad := map[string]string{
		"arn:aws:sqs:eu-west-3:" + me.Account + ":q": "SendMessage on SQS",
		"arn:aws:sns:eu-west-3:" + me.Account + ":t": "Publish on SNS",
	}
	others := map[string]string{
		"arn:aws:sqs:" + me.Region + ":999999999999:q": "SendMessage on SQS",
		"arn:aws:sns:" + me.Region + ":999999999999:t": "Publish on SNS",
		"arn:aws:s3:::bucket":                          "PutObject on S3",
	}
	create := func(b bundle, text string) error {
		_, _, err := b.Create(t.Context(), me, input(func(in *CreateInput) {
			in.Destination = &DestinationConfig{OnFailure: text}
		}))
		return err
	}
	refused := func(err error, call string) {
		t.Helper()
		wantFault(t, err, fault.CodeInvalidParameter,
			"The provided execution role does not have permissions to call "+call)
	}
	for text, call := range abroad {
		refused(create(setup(t), text), call)
	}
	for text, call := range others {
		if a, _ := arn.Parse(text); a.Account != "" {
			refused(create(setup(t), text), call) // nobody can be asked
		}
		says := false
		b := setup(t, func(o *Options) {
			o.MaySend = func(_ context.Context, c Caller, functionARN, to string) (bool, error) {
				if c != me || functionARN != mine("lambda", "function:f") || to != text {
					t.Errorf("%v asks for %s to %s", c, functionARN, to)
				}
				return says, nil
			}
		})
		refused(create(b, text), call)
		m := b.create(t)
		b.settle(t)
		change := UpdateInput{Knobs: Knobs{Destination: &DestinationConfig{OnFailure: text}}}
		_, _, err := b.Update(t.Context(), me, m.UUID, change)
		refused(err, call)

		says = true
		if _, _, err := b.Update(t.Context(), me, m.UUID, change); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		b.settle(t)
		says = false // which another function would have to ask anew
		_, _, err = b.Update(t.Context(), me, m.UUID, UpdateInput{Knobs: Knobs{FunctionName: new("f")}})
		refused(err, call)
	}
}

// Of a stream of another account nothing is told to whom its policy does not let read, not even whether it exists; and
// a function whose role may not read takes no mapping over.
func TestAForeignStreamIsAskedFirst(t *testing.T) {
	t.Parallel()
	const there, absent = "arn:aws:kinesis:us-east-1:999999999999:stream/s", "arn:aws:kinesis:us-east-1:999999999999:stream/x"
	may := false
	b := setup(t, func(o *Options) {
		o.MayRead = func(context.Context, Caller, string, string) (bool, error) { return may, nil }
	})
	b.streams.add(there)
	create := func(stream string) error {
		_, _, err := b.Create(t.Context(), me, input(func(in *CreateInput) { in.EventSourceARN = &stream }))
		return err
	}
	for _, stream := range []string{there, absent} {
		wantFault(t, create(stream), fault.CodeInvalidParameter, cannotAccess(stream))
	}
	may = true
	wantFault(t, create(absent), fault.CodeInvalidParameter, "Stream not found: "+absent)
	if err := create(there); err != nil {
		t.Error(err)
	}
	m := b.create(t)
	may = false
	_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{Knobs: Knobs{FunctionName: new("g")}})
	wantFault(t, err, fault.CodeInvalidParameter, cannotAccess(orders))
}

// "FIFO queue / FIFO topic: unsupported"; Kafka is for mappings of Kafka (O16), "Lambda, EventBridge: not offered for
// ESM". All are refused as OnSuccess is (V18), with a hint that names the reason.
func TestOtherDestinationsAreUnsupported(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"arn:aws:sqs:us-east-1:111122223333:q.fifo", "arn:aws:sns:us-east-1:111122223333:t.fifo", "kafka://topic",
		"arn:aws:lambda:us-east-1:111122223333:function:f", "arn:aws:events:us-east-1:111122223333:event-bus/default",
		"arn:aws:kinesis:us-east-1:111122223333:stream/s",
	} {
		err := (&Knobs{Destination: &DestinationConfig{OnFailure: text}}).applicable()
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.CodeInvalidParameter || !strings.Contains(f.Hint, text) ||
			f.Message != "Unsupported DestinationConfig parameter for given event source mapping type." {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A destination whose service this server does not have is refused: a notice would wait for it for ever.
func TestADestinationOfAServiceThatIsNotHereIsRefused(t *testing.T) {
	t.Parallel()
	m := New(Options{Lacks: func(service string) string {
		if service == "sqs" {
			return ""
		}
		return "this server does not have the service " + service + "."
	}})
	if got, _, err := m.destination(me, mine("sqs", "q")); err != nil || got == "" {
		t.Errorf("a queue: %q, %v", got, err)
	}
	if got, _, err := m.destination(me, ""); err != nil || got != "" {
		t.Errorf("none: %q, %v", got, err)
	}
	const want = "InvalidParameterValueException: DestinationConfig.OnFailure.Destination arn:aws:s3:::bucket is not " +
		"supported: this server does not have the service s3." + seePage
	if _, _, err := m.destination(me, "arn:aws:s3:::bucket"); err == nil || err.Error() != want {
		t.Errorf("a bucket: %v", err)
	}
}
