package wire

import (
	"bytes"
	"encoding/hex"
	"maps"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

func message(b []byte, payload string, headers ...string) []byte {
	from := len(b)
	return EndMessage(append(BeginMessage(b, headers...), payload...), from)
}

// 1.8: the two vectors, computed and decoded with botocore.
func TestMessagesHaveTheKnownBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got        []byte
		size       int
		begin, end string
	}{
		{message(nil, "{}", ":message-type", "event", ":event-type", "initial-response",
			":content-type", "application/x-amz-json-1.1"), 114, "0000007200000060ab820d9e", "e16e66e4"},
		{message(nil, "", ":message-type", "event", ":event-type", "initial-response"),
			69, "0000004500000035a382cc73", "b7624dee"},
	} {
		text := hex.EncodeToString(c.got)
		if len(c.got) != c.size || text[:24] != c.begin || text[len(text)-8:] != c.end {
			t.Errorf("%d bytes: %s", len(c.got), text)
		}
	}
}

// The SDK's own decoder reads what is appended to other messages.
func TestTheSDKReadsMessages(t *testing.T) {
	t.Parallel()
	sent := []map[string]string{{}, {":message-type": "exception"}, {"a": "", "ä": "ö"}}
	var b []byte
	for _, headers := range sent {
		var flat []string
		for name, value := range headers {
			flat = append(flat, name, value)
		}
		b = message(b, "payload", flat...)
	}

	read := bytes.NewReader(b)
	for _, want := range sent {
		m, err := eventstream.NewDecoder().Decode(read, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, h := range m.Headers {
			got[h.Name] = h.Value.String()
		}
		if !maps.Equal(got, want) || string(m.Payload) != "payload" {
			t.Errorf("read %v %q, want %v", got, m.Payload, want)
		}
	}
	if read.Len() > 0 {
		t.Errorf("%d bytes are left", read.Len())
	}
}
