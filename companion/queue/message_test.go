package queue

import (
	"strings"
	"testing"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// SQS API Reference, SendMessage; SQS Developer Guide, message metadata.
func TestMessagesAreChecked(t *testing.T) {
	t.Parallel()
	with := func(a ...Attribute) Message { return Message{Body: "x", Attributes: a} }
	text := func(name, kind, value string) Message { return with(Attribute{name, kind, []byte(value)}) }
	for name, c := range map[string]struct {
		m    Message
		code string
	}{
		"one byte":  {Message{Body: "x"}, ""},
		"the limit": {Message{Body: strings.Repeat("x", MaxMessageBytes)}, ""},
		"one byte more": {
			Message{Body: strings.Repeat("x", MaxMessageBytes+1)}, CodeInvalidParameter,
		},
		"attributes count": {
			Message{
				Body: strings.Repeat("x", MaxMessageBytes-10), Attributes: []Attribute{{"Name", "String", []byte("1")}},
			},
			CodeInvalidParameter,
		},
		"attributes fit": {
			Message{
				Body: strings.Repeat("x", MaxMessageBytes-11), Attributes: []Attribute{{"Name", "String", []byte("1")}},
			},
			"",
		},
		"empty":                                {Message{}, CodeMissingParameter},
		"control character":                    {Message{Body: "a\x00"}, CodeInvalidContents},
		"noncharacter":                         {Message{Body: "\uFFFE"}, CodeInvalidContents},
		"broken UTF-8":                         {Message{Body: "\xff"}, CodeInvalidContents},
		"tab, newline, return, beyond the BMP": {Message{Body: "\t\n\r\U0001F600"}, ""},
		"delay too long": {
			Message{Body: "x", Delay: new(901 * time.Second)}, CodeInvalidParameter,
		},
		"delay negative":                 {Message{Body: "x", Delay: new(-time.Second)}, CodeInvalidParameter},
		"deduplication id too long":      {Message{Body: "x", DedupID: strings.Repeat("d", 129)}, CodeInvalidParameter},
		"eleven attributes":              {with(make([]Attribute, 11)...), CodeInvalidParameter},
		"custom type":                    {text("a.b-c_D", "Number.int", "-1.5e3"), ""},
		"number that is none":            {text("n", "Number", "twelve"), CodeInvalidParameter},
		"hexadecimal number":             {text("n", "Number", "0x10"), CodeInvalidParameter},
		"type unknown":                   {text("n", "Float", "1"), CodeInvalidParameter},
		"type missing":                   {text("n", "", "1"), CodeInvalidParameter},
		"value empty":                    {text("n", "String", ""), CodeInvalidParameter},
		"value with a control character": {text("n", "String", "\x01"), CodeInvalidContents},
		"bytes may be anything":          {text("n", "Binary", "\x00\xff"), ""},
		"name empty":                     {text("", "String", "v"), CodeInvalidParameter},
		"name ends with a period":        {text("a.", "String", "v"), CodeInvalidParameter},
		"name with two periods":          {text("a..b", "String", "v"), CodeInvalidParameter},
		"name reserved":                  {text("AWS.x", "String", "v"), CodeInvalidParameter},
		"name with a blank":              {text("a b", "String", "v"), CodeInvalidParameter},
		"name too long":                  {text(strings.Repeat("n", 257), "String", "v"), CodeInvalidParameter},
	} {
		if err := c.m.validate(Defaults()); fault.CodeOf(err) != c.code {
			t.Errorf("%s: got %v, want %q", name, err, c.code)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given Given
		ok    bool
	}{
		"defaults": {Given{}, true},
		"all at the lower bound": {
			Given{
				new(time.Duration(0)), new(time.Duration(0)), new(time.Minute), new(time.Duration(0)), new(1024),
				nil, "",
			},
			true,
		},
		"all at the upper bound": {
			Given{
				new(12 * time.Hour), new(15 * time.Minute), new(14 * 24 * time.Hour), new(20 * time.Second),
				new(1 << 20), nil, "",
			},
			true,
		},
		"visibility timeout":  {Given{VisibilityTimeout: new(43201 * time.Second)}, false},
		"delay":               {Given{Delay: new(901 * time.Second)}, false},
		"retention too short": {Given{Retention: new(59 * time.Second)}, false},
		"retention too long":  {Given{Retention: new(1209601 * time.Second)}, false},
		"wait":                {Given{ReceiveWait: new(21 * time.Second)}, false},
		"size too small":      {Given{MaxMessageBytes: new(1023)}, false},
		"size too large":      {Given{MaxMessageBytes: new(1<<20 + 1)}, false},
	} {
		err := c.given.over(Defaults()).Validate()
		if (err == nil) != c.ok || err != nil && fault.CodeOf(err) != CodeInvalidAttribute {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQueueNamesAreChecked(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"a": true, "A-b_9": true, strings.Repeat("n", 80): true,
		"": false, strings.Repeat("n", 81): false, "a.fifo": false, "a/b": false, "ä": false,
	} {
		if ValidQueueName(name) != ok {
			t.Errorf("%q: want %v", name, ok)
		}
	}
}
