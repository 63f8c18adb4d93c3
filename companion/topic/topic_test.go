package topic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// postbox is the queues of a test: it keeps copies by queue, drops repeats by id, and refuses or fails on demand.
type postbox struct {
	mu     sync.Mutex
	got    map[string][]Copy
	ids    map[string]bool
	fail   map[string]error // by queue
	inside int
	most   int // copies under way at the same time, at most
	pause  time.Duration
}

func (p *postbox) Deliver(ctx context.Context, queue, id string, c Copy) error {
	p.mu.Lock()
	p.inside++
	p.most = max(p.most, p.inside)
	p.mu.Unlock()
	if p.pause > 0 {
		select {
		case <-time.NewTimer(p.pause).C:
		case <-ctx.Done():
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inside--
	if err := p.fail[queue]; err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !p.ids[id] {
		p.ids[id] = true
		p.got[queue] = append(p.got[queue], c)
	}
	return nil
}

func (p *postbox) take(queue string) (bodies []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.got[queue] {
		bodies = append(bodies, c.Body)
	}
	delete(p.got, queue)
	return bodies
}

type bench struct {
	t       *testing.T
	local   *storagetest.Crashable
	box     *postbox
	metrics *metric.Store
	*Topics
}

func setup(t *testing.T) *bench {
	local := storagetest.NewCrashable(func() storage.Local { return memory.New(memory.Options{}).Local() })
	b := open(t, local, &postbox{got: map[string][]Copy{}, ids: map[string]bool{}, fail: map[string]error{}})
	b.must(b.Create(t.Context(), orders, nil, nil))
	return b
}

func open(t *testing.T, local *storagetest.Crashable, box *postbox) *bench {
	t.Helper()
	c := clock.New(time.Until(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)))
	metrics, err := metric.New(metric.Options{Local: memory.New(memory.Options{}).Local(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	ts, err := New(Options{
		Local: local, Queues: box, Clock: c, Metrics: metrics,
		Endpoint: func() string { return "http://127.0.0.1:4566" },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ts.Stop)
	return &bench{t: t, local: local, box: box, metrics: metrics, Topics: ts}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) subscribe(queue string, attributes ...string) Subscription {
	b.t.Helper()
	given := map[string]string{}
	for i := 0; i < len(attributes); i += 2 {
		given[attributes[i]] = attributes[i+1]
	}
	s, err := b.Subscribe(b.t.Context(), orders, orders.Account, queueARN(queue), given)
	b.must(err)
	return s
}

func (b *bench) publish(text string) error {
	_, err := b.Publish(b.t.Context(), orders, Message{Body: text})
	return err
}

func (b *bench) total(k metric.Kind) float64 {
	return b.metrics.Of(k, orders.Account, orders.Region, metric.TopicName, orders.Name).Total().Sum
}

func queueARN(name string) string { return "arn:aws:sqs:eu-west-1:111122223333:" + name }

var orders = Name{Account: "111122223333", Region: "eu-west-1", Name: "orders"}

func refused(t *testing.T, what string, err error, code, text string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message, text) {
		t.Errorf("%s: %v, want %s %s", what, err, code, text)
	}
}

// "This action is idempotent, so if the requester already owns a topic with the specified name, that topic's ARN is
// returned without creating a new topic." (SNS API Reference, CreateTopic)
func TestCreatingATopicAgainIsHarmlessUnlessItDiffers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	named := orders
	named.Name = "named"
	b.must(b.Create(ctx, named, map[string]string{"DisplayName": "d"}, []Tag{{"a", "1"}, {"b", "2"}}))

	b.must(b.Create(ctx, named, nil, nil))
	b.must(b.Create(ctx, named, map[string]string{"DisplayName": "d", "KmsMasterKeyId": ""}, []Tag{{"b", "2"}}))
	refused(t, "another name", b.Create(ctx, named, map[string]string{"DisplayName": "e"}, nil), CodeInvalid,
		"Attributes Reason: Topic already exists with different attributes")
	refused(t, "another tag", b.Create(ctx, named, nil, []Tag{{"b", "3"}}), CodeInvalid,
		"Tags Reason: Topic already exists with different tags")
	if got, err := b.Attributes(ctx, named); err != nil || got["DisplayName"] != "d" {
		t.Errorf("%v, %v", got, err)
	}
}

// A name has 1 to 256 letters, digits, hyphens and underscores; nothing else reaches a key of the store.
func TestNamesOfTopics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, ok := range map[string]bool{
		"t": true, strings.Repeat("x", 256): true, "A-z_9": true,
		"": false, strings.Repeat("x", 257): false, "a/b": false, "a b": false, "t.fifo": false, "ü": false,
		"a:b": false,
	} {
		n := orders
		n.Name = name
		err := b.Create(t.Context(), n, nil, nil)
		if ok && err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if !ok {
			refused(t, name, err, CodeInvalid, "Invalid parameter: Topic Name")
			_, err := b.Attributes(t.Context(), n)
			refused(t, name, err, CodeNotFound, "Topic does not exist")
		}
	}
}

// What is published reaches every subscriber before Publish returns, wrapped or raw, and nobody else.
func TestAMessageReachesEverySubscriber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.subscribe("wrapped")
	b.subscribe("raw", "RawMessageDelivery", "true")
	gone := b.subscribe("gone")
	b.must(b.Unsubscribe(t.Context(), orders, gone.ID))
	if _, err := b.Publish(t.Context(), orders, Message{Body: "hello", Subject: "s", Attributes: []Attribute{
		{"n", "Number", []byte("1")},
	}}); err != nil {
		t.Fatal(err)
	}

	if got := b.box.got[queueARN("raw")]; len(got) != 1 || got[0].Body != "hello" || len(got[0].Attributes) != 1 {
		t.Errorf("raw: %+v", got)
	}
	wrapped := b.box.got[queueARN("wrapped")]
	if len(wrapped) != 1 || !strings.Contains(wrapped[0].Body, `"Message" : "hello"`) || wrapped[0].Attributes != nil {
		t.Errorf("wrapped: %+v", wrapped)
	}
	if got := slices.Collect(maps.Keys(b.box.got)); len(got) != 2 {
		t.Errorf("queues %v", got)
	}
	if b.total(metric.MessagesPublished) != 1 || b.total(metric.NotificationsDelivered) != 2 {
		t.Errorf(
			"%g published, %g delivered", b.total(metric.MessagesPublished), b.total(metric.NotificationsDelivered),
		)
	}
}

// The envelope is AWS's, down to its white space. Source: SNS Developer Guide, "HTTP/HTTPS notification JSON format",
// which queues get as well.
func TestTheEnvelopeIsAsOnAWS(t *testing.T) {
	t.Parallel()
	s := Subscription{Topic: orders, ID: "89c2f2cf-3bac-4535-a995-20c5867e67e8"}
	at := time.Date(2026, 1, 5, 13, 0, 0, 1_999_999, time.FixedZone("CET", 3600))
	const want = `{
  "Type" : "Notification",
  "MessageId" : "the-id",
  "TopicArn" : "arn:aws:sns:eu-west-1:111122223333:orders",
  "Subject" : "a \"subject\"",
  "Message" : "<é>\n\u0001\ufffe\uffff�",
  "Timestamp" : "2026-01-05T12:00:00.001Z",
  "SignatureVersion" : "1",
  "Signature" : "bm90IHNpZ25lZCBieSBBV1M=",
  "SigningCertURL" : "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-unsigned.pem",
  "UnsubscribeURL" : "http://here/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:eu-west-1:111122223333:orders:89c2f2cf-3bac-4535-a995-20c5867e67e8",
  "MessageAttributes" : {
    "n" : {"Type":"Number","Value":"1"},
    "b" : {"Type":"Binary","Value":"AP8="}
  }
}`
	got := envelope(s, "the-id", `a "subject"`, "<é>\n\x01\ufffe\uffff\ufffd", []Attribute{
		{"n", "Number", []byte("1")}, {"b", "Binary", []byte("\x00\xff")},
	}, at, "http://here")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if plain := envelope(s, "i", "", "m", nil, at, ""); strings.Contains(plain, "Subject\"") ||
		strings.Contains(plain, "MessageAttributes") {
		t.Errorf("got\n%s", plain)
	}
}

// A queue that will never take its copy, because it was deleted, say, loses it, and it is counted; the others have
// theirs, and the message counts as published.
func TestACopyThatAQueueRefusesIsDroppedAndCounted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.subscribe("there")
	b.subscribe("deleted")
	b.box.fail[queueARN("deleted")] = fmt.Errorf("%w: it does not exist", ErrRefused)
	b.must(b.publish("hello"))

	if got := b.box.take(queueARN("there")); len(got) != 1 {
		t.Errorf("the queue that is there has %q", got)
	}
	if b.total(metric.NotificationsFailed) != 1 || b.total(metric.NotificationsDelivered) != 1 {
		t.Errorf("%g failed, %g delivered", b.total(metric.NotificationsFailed), b.total(metric.NotificationsDelivered))
	}
}

// A fault of ours is told to the publisher, who sends again: no copy is lost behind an answer that says that all is
// well.
func TestAFaultOfOursIsToldToThePublisher(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.subscribe("one")
	b.subscribe("two")
	disk := fault.New("RequestThrottled", "").WithHint("the disk is full")
	b.box.fail[queueARN("two")] = disk
	err := b.publish("hello")
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != CodeInternal || f.Status != 500 || f.Hint == "" || !errors.Is(err, disk) {
		t.Errorf("got %v", err)
	}
	if b.total(metric.MessagesPublished) != 0 {
		t.Error("it counts as published")
	}

	delete(b.box.fail, queueARN("two"))
	b.must(b.publish("hello"))
	if one, two := b.box.take(queueARN("one")), b.box.take(queueARN("two")); len(one) != 2 || len(two) != 1 {
		t.Errorf("%d and %d copies", len(one), len(two))
	}
}

// A notice that is sent again reaches each subscriber once.
func TestARepeatedNoticeIsOneMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.subscribe("one")
	b.subscribe("two")
	b.box.fail[queueARN("two")] = errors.New("the disk is on fire")
	if err := b.PublishNotice(t.Context(), orders, "id", "text"); err == nil {
		t.Error("a copy that is lost is not told")
	}
	delete(b.box.fail, queueARN("two"))
	b.must(b.PublishNotice(t.Context(), orders, "id", "text"))
	b.must(b.PublishNotice(t.Context(), orders, "id", "text"))
	b.must(b.PublishNotice(t.Context(), orders, "other", "text"))

	if one, two := b.box.take(queueARN("one")), b.box.take(queueARN("two")); len(one) != 2 || len(two) != 2 {
		t.Errorf("%d and %d copies", len(one), len(two))
	}
}

// Topics, their attributes, tags and subscriptions outlive the process.
func TestTopicsAreDurable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.must(b.SetAttribute(ctx, orders, "DisplayName", "d"))
	b.must(b.Tag(ctx, orders, []Tag{{"z", "1"}, {"a", "2"}, {"m", "3"}}))
	b.must(b.Untag(ctx, orders, []string{"m", "none"}))
	s := b.subscribe("q")
	b.must(b.SetSubscriptionAttribute(ctx, orders, s.ID, "RawMessageDelivery", "TRUE"))

	b = open(t, b.local.Kill(), b.box)
	got, err := b.Attributes(ctx, orders)
	if err != nil || got["DisplayName"] != "d" || got["SubscriptionsConfirmed"] != "1" {
		t.Errorf("attributes %v: %v", got, err)
	}
	if tags, err := b.Tags(ctx, orders); err != nil || !slices.Equal(tags, []Tag{{"a", "2"}, {"z", "1"}}) {
		t.Errorf("tags %v: %v", tags, err)
	}
	b.must(b.publish("raw"))
	if got := b.box.take(queueARN("q")); len(got) != 1 || got[0] != "raw" {
		t.Errorf("received %q", got)
	}
}

// A deleted topic takes its subscriptions with it, and no others; one of the same name starts empty.
func TestADeletedTopicLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.subscribe("q")
	other := orders
	other.Name = "orders0" // its keys come right behind
	b.must(b.Create(ctx, other, nil, nil))
	_, err := b.Subscribe(ctx, other, orders.Account, queueARN("q"), nil)
	b.must(err)

	b.must(b.Delete(ctx, orders))
	b.must(b.Delete(ctx, orders)) // harmless
	refused(t, "a deleted topic", b.publish("x"), CodeNotFound, "Topic does not exist")
	b.must(b.Create(ctx, orders, nil, nil))
	b.must(b.publish("x"))
	if got := b.box.take(queueARN("q")); len(got) != 0 {
		t.Errorf("a subscription of the deleted topic got %q", got)
	}
	if all, _, err := b.Subscriptions(ctx, Scope{orders.Account, orders.Region, ""}, "", 10); err != nil ||
		len(all) != 1 {
		t.Errorf("subscriptions %v: %v", all, err)
	}
}

// Lists come in pages, in order, without repeats or gaps.
func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	var want []string
	for i := range 7 {
		n := orders
		n.Name = fmt.Sprintf("t%d", i)
		want = append(want, n.Name)
		b.must(b.Create(ctx, n, nil, nil))
		for k := range 3 {
			_, err := b.Subscribe(ctx, n, orders.Account, queueARN(fmt.Sprint("q", k)), nil)
			b.must(err)
		}
	}
	b.must(b.Delete(ctx, orders))

	var names []string
	for more, behind := true, ""; more; behind = names[len(names)-1] {
		var page []string
		var err error
		page, more, err = b.List(ctx, orders.Account, orders.Region, behind, 3)
		b.must(err)
		names = append(names, page...)
	}
	if !slices.Equal(names, want) {
		t.Errorf("topics %q", names)
	}
	for of, want := range map[Scope]int{
		{orders.Account, orders.Region, ""}: 21, {orders.Account, orders.Region, "t3"}: 3,
		{orders.Account, "eu-west-2", ""}: 0,
	} {
		seen := map[string]bool{}
		for behind, first := "", true; first || behind != ""; first = false {
			page, last, err := b.Subscriptions(ctx, of, behind, 4)
			b.must(err)
			for _, s := range page {
				if seen[s.ID] {
					t.Errorf("%v: %s comes twice", of, s.ARN())
				}
				seen[s.ID] = true
			}
			behind = last
		}
		if len(seen) != want {
			t.Errorf("%v: %d subscriptions, want %d", of, len(seen), want)
		}
	}
}

// A queue is subscribed once; FIFO queues, and what is no queue, are refused in AWS's words.
func TestSubscribing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	s := b.subscribe("q", "RawMessageDelivery", "true", "FilterPolicy", "")
	if again := b.subscribe("q"); again != s {
		t.Errorf("subscribed again as %+v, not %+v", again, s)
	}
	again, err := b.Subscribe(ctx, orders, "444455556666", s.Queue, nil)
	if b.must(err); again != s {
		t.Errorf("subscribed by another account as %+v, not %+v", again, s)
	}
	wrapped := b.subscribe("wrapped")
	for _, c := range []struct{ name, queue, attribute, value, want string }{
		{
			"another form", queueARN("q"), "RawMessageDelivery", "false",
			"Attributes Reason: Subscription already exists with different attributes",
		},
		{
			"another form of one that is wrapped", queueARN("wrapped"), "RawMessageDelivery", "true",
			"Attributes Reason: Subscription already exists with different attributes",
		},
		{
			"a value of neither kind", queueARN("r"), "RawMessageDelivery", "yes",
			"RawMessageDelivery: Invalid value [yes]",
		},
		{"an attribute that nobody has", queueARN("r"), "Color", "red", "Attributes Reason: Unknown attribute: Color"},
		{"a FIFO queue", queueARN("q.fifo"), "", "", "FIFO SQS Queues can not be subscribed to standard SNS topics"},
		{"a topic", "arn:aws:sns:eu-west-1:111122223333:t", "", "", "SQS endpoint ARN"},
		{"a queue URL", "http://127.0.0.1:4566/111122223333/q", "", "", "SQS endpoint ARN"},
		{"a queue of another partition", "arn:aws-cn:sqs:eu-west-1:111122223333:q", "", "", "SQS endpoint ARN"},
		{"a queue without a name", queueARN(""), "", "", "SQS endpoint ARN"},
	} {
		given := map[string]string{}
		if c.attribute != "" {
			given[c.attribute] = c.value
		}
		_, err := b.Subscribe(ctx, orders, orders.Account, c.queue, given)
		refused(t, c.name, err, CodeInvalid, c.want)
	}
	var u *Unsupported
	for _, attribute := range []string{"FilterPolicy", "FilterPolicyScope", "RedrivePolicy", "DeliveryPolicy"} {
		if _, err := b.Subscribe(
			ctx, orders, orders.Account, queueARN("r"), map[string]string{attribute: "{}"},
		); !errors.As(err, &u) {
			t.Errorf("%s: %v", attribute, err)
		}
		if err := b.SetSubscriptionAttribute(ctx, orders, s.ID, attribute, "{}"); !errors.As(err, &u) {
			t.Errorf("%s: %v", attribute, err)
		}
	}
	if all, _, err := b.Subscriptions(ctx, Scope{orders.Account, orders.Region, "orders"}, "", 10); err != nil ||
		len(all) != 2 {
		t.Errorf("a refused subscription was kept: %v, %v", all, err)
	}
	b.must(b.Unsubscribe(ctx, orders, wrapped.ID))
	_, err = b.Subscription(ctx, orders, "89c2f2cf-3bac-4535-a995-20c5867e67e8")
	refused(t, "a subscription that is not there", err, CodeNotFound, "Subscription does not exist")
	b.must(b.Unsubscribe(ctx, orders, "89c2f2cf-3bac-4535-a995-20c5867e67e8")) // harmless
}

// A topic has at most 1,000 subscriptions, so that a Publish ends; 16 copies at most are under way at once.
func TestSubscriptionsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range MaxSubscriptions {
		b.must(b.keep(t.Context(), "test", Subscription{
			Topic: orders, ID: fmt.Sprintf("00000000-0000-4000-8000-%012d", i), Owner: orders.Account,
			Queue: queueARN(fmt.Sprint("q", i)),
		}))
	}
	_, err := b.Subscribe(t.Context(), orders, orders.Account, queueARN("one-more"), nil)
	refused(t, "one more", err, CodeSubscriptionLimit, "1000")

	b.box.pause = time.Millisecond
	b.must(b.publish("x"))
	if len(b.box.got) != MaxSubscriptions || b.box.most > atOnce {
		t.Errorf("%d queues got it, %d at once", len(b.box.got), b.box.most)
	}
}

// SNS's limits and texts for a message.
func TestMessagesAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	attribute := func(name, kind, value string) []Attribute { return []Attribute{{name, kind, []byte(value)}} }
	for _, c := range []struct {
		name string
		m    Message
		code string // "": accepted
		text string
	}{
		{
			"as large as it may be",
			Message{Body: strings.Repeat("x", MaxMessageBytes-3), Attributes: attribute("a", "String", "")[:0]},
			"", "",
		},
		{"a byte more", Message{Body: strings.Repeat("x", MaxMessageBytes+1)}, CodeInvalid, "Message too long"},
		{
			"with its attributes",
			Message{Body: strings.Repeat("x", MaxMessageBytes-7), Attributes: attribute("a", "String", "v")},
			CodeInvalid, "Message too long",
		},
		{"empty", Message{}, CodeInvalid, "Empty message"},
		{"a subject of 100", Message{Body: "m", Subject: strings.Repeat("s", 100)}, "", ""},
		{"of 101", Message{Body: "m", Subject: strings.Repeat("s", 101)}, CodeInvalid, "Subject"},
		{"of two lines", Message{Body: "m", Subject: "a\nb"}, CodeInvalid, "Subject"},
		{"in other letters", Message{Body: "m", Subject: "ä"}, CodeInvalid, "Subject"},
		{"that begins with a space", Message{Body: "m", Subject: " a"}, CodeInvalid, "Subject"},
		{"a text for each protocol", Message{Body: `{"default":"d","sqs":"q"}`, Structured: true}, "", ""},
		{
			"for no protocol",
			Message{Body: `{"sqs":"q"}`, Structured: true},
			CodeInvalid,
			"Message Structure - No default entry in JSON message body",
		},
		{
			"that is none",
			Message{Body: `{"default":{"a":1}}`, Structured: true},
			CodeInvalid,
			"Message Structure - No default entry in JSON message body",
		},
		{
			"that is no JSON",
			Message{Body: `{"default":"d"} }`, Structured: true},
			CodeInvalid,
			"Message Structure - JSON message body failed to parse",
		},
		{
			"a list",
			Message{Body: `["default"]`, Structured: true},
			CodeInvalid,
			"Message Structure - JSON message body failed to parse",
		},
		{
			"attributes",
			Message{
				Body: "m",
				Attributes: []Attribute{
					{"a.b-c_1", "String", []byte("v")},
					{"n", "Number", []byte("-1.5e3")},
					{"l", "String.Array", []byte(`["a",1,null]`)},
					{"b", "Binary", []byte{0}},
				},
			},
			"", "",
		},
		{
			"an attribute twice",
			Message{Body: "m", Attributes: []Attribute{{"a", "String", []byte("v")}, {"a", "String", []byte("v")}}},
			CodeInvalidValue, "'a' is given twice",
		},
		{
			"without a name",
			Message{Body: "m", Attributes: attribute("", "String", "v")},
			CodeInvalidValue,
			"Invalid attribute name",
		},
		{
			"with a name of AWS's",
			Message{Body: "m", Attributes: attribute("AWS.x", "String", "v")},
			CodeInvalidValue,
			"Invalid attribute name",
		},
		{
			"without a type",
			Message{Body: "m", Attributes: attribute("a", "", "v")},
			CodeInvalidValue,
			"non-empty message attribute type",
		},
		{
			"of an unknown type",
			Message{Body: "m", Attributes: attribute("a", "Text", "v")},
			CodeInvalidValue,
			"invalid message attribute type",
		},
		{
			"without a value",
			Message{Body: "m", Attributes: attribute("a", "String", "")},
			CodeInvalidValue,
			"non-empty message attribute value",
		},
		{
			"a number that is none",
			Message{Body: "m", Attributes: attribute("a", "Number", "0x1")},
			CodeInvalidValue,
			"Could not cast message attribute 'a' value to number.",
		},
		{
			"a list that is none",
			Message{Body: "m", Attributes: attribute("a", "String.Array", `[{}]`)},
			CodeInvalidValue, "not an array",
		},
	} {
		_, err := b.Publish(t.Context(), orders, c.m)
		if c.code == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.code != "" {
			refused(t, c.name, err, c.code, c.text)
		}
	}
}

// Of a text for each protocol, queues get their own.
func TestQueuesGetTheirOwnText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.subscribe("q", "RawMessageDelivery", "true")
	for _, body := range []string{
		`{"default":"d","sqs":"q"}`, `{"default":"d","email":"e"}`, `{"default":"d","sqs":1}`,
	} {
		_, err := b.Publish(t.Context(), orders, Message{Body: body, Structured: true})
		b.must(err)
	}
	if got := b.box.take(queueARN("q")); !slices.Equal(got, []string{"q", "d", "d"}) {
		t.Errorf("received %q", got)
	}
}

// Attributes of a topic that do something here can be set; the others only to what changes nothing.
func TestAttributesOfATopic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	const policy = `{"Version":"2012-10-17","Statement":[]}`
	for attribute, value := range map[string]string{
		"DisplayName": "d", "Policy": policy, "SignatureVersion": "1", "TracingConfig": "PassThrough",
		"KmsMasterKeyId": "",
		"DeliveryPolicy": "", "FifoTopic": "false",
	} {
		if err := b.SetAttribute(ctx, orders, attribute, value); err != nil {
			t.Errorf("%s: %v", attribute, err)
		}
	}
	var u *Unsupported
	for attribute, value := range map[string]string{
		"SignatureVersion": "2", "TracingConfig": "Active", "KmsMasterKeyId": "k", "DeliveryPolicy": "{}",
		"FifoTopic":                 "true",
		"SQSFailureFeedbackRoleArn": "arn:aws:iam::111122223333:role/r",
	} {
		if err := b.SetAttribute(ctx, orders, attribute, value); !errors.As(err, &u) || u.Attribute != attribute {
			t.Errorf("%s: %v", attribute, err)
		}
	}
	refused(
		t, "an unknown attribute", b.SetAttribute(ctx, orders, "Color", "red"), CodeInvalid,
		"Invalid parameter: AttributeName",
	)
	refused(
		t, "an unknown attribute",
		b.Create(ctx, Name{orders.Account, orders.Region, "n"}, map[string]string{"Color": "red"}, nil), CodeInvalid,
		"Unknown attribute: Color",
	)
	refused(t, "no policy", b.SetAttribute(ctx, orders, "Policy", "{}"), CodeInvalid, "Policy")
	refused(t, "two lines", b.SetAttribute(ctx, orders, "DisplayName", "a\nb"), CodeInvalid, "DisplayName")
	refused(
		t, "no topic", b.SetAttribute(ctx, Name{orders.Account, orders.Region, "n"}, "DisplayName", "a"), CodeNotFound,
		"Topic does not exist",
	)
	if got, err := b.Attributes(ctx, orders); err != nil || got["Policy"] != policy || got["DisplayName"] != "d" {
		t.Errorf("%v: %v", got, err)
	}
}

// Tags have keys that differ, and there are 50 at most.
func TestTagsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	var many []Tag
	for i := range maxTags {
		many = append(many, Tag{fmt.Sprint(i), "v"})
	}
	b.must(b.Tag(ctx, orders, many))
	b.must(b.Tag(ctx, orders, []Tag{{"0", "w"}}))
	refused(t, "one more", b.Tag(ctx, orders, []Tag{{"x", "v"}}), CodeTagLimit, "tag quota of per resource exceeded")
	refused(
		t, "a key twice", b.Tag(ctx, orders, []Tag{{"0", "v"}, {"0", "w"}}), CodeInvalid,
		"Duplicated keys are not allowed.",
	)
	_, err := b.Tags(ctx, Name{orders.Account, orders.Region, "none"})
	refused(t, "no topic", err, CodeResourceNotFound, "Resource does not exist")
	if tags, err := b.Tags(ctx, orders); err != nil || len(tags) != maxTags || tags[0].Value != "w" {
		t.Errorf("%v: %v", tags, err)
	}
}

// A stopped room answers nothing, and stopping waits for what is under way.
func TestAfterStopNothingIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.Stop()
	b.Stop()
	if err := b.publish("x"); !errors.Is(err, ErrStopped) {
		t.Errorf("publish: %v", err)
	}
	if err := b.Delete(t.Context(), orders); !errors.Is(err, ErrStopped) {
		t.Errorf("delete: %v", err)
	}
}

func TestStoppingWaitsForCopiesUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.subscribe("q")
		b.box.pause = time.Minute
		published := make(chan error, 1)
		go func() { published <- b.publish("x") }()
		synctest.Wait()

		b.Stop()

		if got := b.box.take(queueARN("q")); len(got) != 1 {
			t.Errorf("received %q when it had stopped", got)
		}
		b.must(<-published)
	})
}

// What is kept in memory of a topic is bounded by the topics that there are.
func TestADeletedTopicIsNotCountedAnyMore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 3 {
		b.must(b.publish("x"))
		b.must(b.Delete(t.Context(), orders))
		if len(b.meters) != 0 {
			t.Errorf("%d topics are counted", len(b.meters))
		}
		b.must(b.Create(t.Context(), orders, nil, nil))
	}
}

// deleting is a store in which a topic is deleted when it has been looked at.
type deleting struct {
	storage.Local
	found func()
}

func (d deleting) Get(key []byte) ([]byte, bool, error) {
	value, there, err := d.Local.Get(key)
	d.found()
	return value, there, err
}

// A Publish that meets the deletion of its topic leaves nothing of the topic in memory.
func TestAPublishLeavesNothingOfADeletedTopic(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.subscribe("q")
	looks := 0
	b.Topics.o.Local = deleting{b.local, func() {
		if looks++; looks == 1 {
			b.Topics.o.Local = b.local
			b.must(b.Delete(t.Context(), orders))
		}
	}}

	_, err := b.Publish(t.Context(), orders, Message{Body: "m"})

	b.must(err)
	if n := len(b.meters); n != 0 {
		t.Errorf("%d topics are measured", n)
	}
}
