package wire

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// A panic of ours is an answer of the service with the request's id, and an error in the log with that id, the
// operation and where it was. It is counted.
func TestAPanicIsAnsweredAndLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := openPort(t, &Intake{})
		client := p.dial()
		go client.head("Panic", 0, "")

		resp, err := http.ReadResponse(client.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]string
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil || resp.StatusCode != 500 ||
			body["__type"] != "InternalFailure" {
			t.Errorf("%d %v, %v", resp.StatusCode, body, err)
		}
		id := resp.Header.Get("X-Amzn-Requestid")
		said := p.log.String()
		for _, want := range []string{
			"level=ERROR", "request_id=" + id, "service=sqs", "operation=Panic", `panic="out of order"`,
			"intake_test.go",
		} {
			if id == "" || !strings.Contains(said, want) {
				t.Errorf("the log does not say %s:\n%s", want, said)
			}
		}
		if n := p.intake.Usage().Panics; n != 1 || len(said) > maxPanicStack+4<<10 {
			t.Errorf("%d panics counted; %d bytes logged", n, len(said))
		}
	})
}

// A panic in the middle of an answer cuts the connection: half an answer never looks like a whole one. A handler that
// asks for the cut does not count as a panic.
func TestHalfAnAnswerIsCut(t *testing.T) {
	t.Parallel()
	for operation, panics := range map[string]int64{"Half": 1, "Abort": 0} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := openPort(t, &Intake{})
				client := p.dial()
				go client.head(operation, 0, "")

				if whole, err := readAll(client); err == nil {
					t.Errorf("a whole answer: %q", whole)
				}
				if n := p.intake.Usage().Panics; n != panics ||
					strings.Contains(p.log.String(), "panicked") != (panics > 0) {
					t.Errorf("%d panics counted; the log: %s", n, p.log.String())
				}
				if u := p.intake.Usage(); u.Requests != 0 {
					t.Errorf("left behind: %+v", u)
				}
			})
		})
	}
}

func readAll(client *peer) ([]byte, error) {
	resp, err := http.ReadResponse(client.r, nil)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(resp.Body)
}
