package wire

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/fault"
)

func TestFormReadsListsInBothSpellings(t *testing.T) {
	t.Parallel()
	body := "Action=X&Dimensions.member.2.Name=b&Dimensions.member.1.Name=a&Dimensions.member.4.Name=after+a+gap&Attribute.1=all&Attribute.10=no"
	r := httptest.NewRequest(http.MethodPost, "/?Version=1", strings.NewReader(body))
	f, err := ReadForm(r, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if f.Action() != "X" || f.Get("Version") != "1" {
		t.Errorf("Action %q, Version %q", f.Action(), f.Get("Version"))
	}
	if diff := cmp.Diff(
		[]string{"Dimensions.member.1", "Dimensions.member.2"}, f.Elements("Dimensions.member"),
	); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"all"}, f.Strings("Attribute")); diff != "" {
		t.Error(diff)
	}
}

// Elements takes one pass over the parameters: with a pass for each element this form would take minutes.
func TestFormWithAHundredThousandElementsIsReadInAMoment(t *testing.T) {
	t.Parallel()
	f := Form{url.Values{}}
	const n = 100_000
	for i := range n {
		f.Set("Tags.member."+strconv.Itoa(i+1)+".Key", "k")
	}
	if got := f.Elements("Tags.member"); len(got) != n || got[n-1] != "Tags.member.100000" {
		t.Errorf("%d elements", len(got))
	}
}

func TestFormIsBoundedBeforeItIsRead(t *testing.T) {
	t.Parallel()
	_, err := ReadForm(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("a", 11))), 10)
	if err == nil || !strings.Contains(err.Error(), "longer than 10 bytes") {
		t.Errorf("got %v", err)
	}
	_, err = ReadForm(httptest.NewRequest(http.MethodPost, "/", strings.NewReader("a=%zz")), 10)
	if err == nil || !strings.Contains(err.Error(), "The form is malformed") {
		t.Errorf("got %v", err)
	}
}

func TestQueryAnswersHaveTheShapeThatClientsParse(t *testing.T) {
	t.Parallel()
	type result struct {
		Names []string `xml:"Names>member"`
	}
	c := Caller{RequestID: "id"}
	const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	w := httptest.NewRecorder()
	WriteQuery(w, c, "urn:n", "ListX", result{[]string{"a", "b"}})
	if want := head +
		`<ListXResponse xmlns="urn:n"><ListXResult><Names><member>a</member><member>b</member></Names></ListXResult>` +
		`<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></ListXResponse>`; w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
	w = httptest.NewRecorder()
	WriteQuery(w, c, "urn:n", "PutX", nil)
	if want := head +
		`<PutXResponse xmlns="urn:n"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></PutXResponse>`; w.Body.String() != want {
		t.Errorf("got %s", w.Body)
	}
	w = httptest.NewRecorder()
	WriteQueryError(w, c, "urn:n", "Throttling", &fault.Error{
		Code: "ThrottlingException", Status: 400, Message: "slow",
	})
	if want := head +
		`<ErrorResponse xmlns="urn:n"><Error><Type>Sender</Type><Code>Throttling</Code><Message>slow</Message></Error><RequestId>id</RequestId></ErrorResponse>`; w.Code != 400 ||
		w.Body.String() != want {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func FuzzReadForm(f *testing.F) {
	f.Add("Action=A&X.member.1=b", "X.member")
	f.Add("X.1.=&X.1", "X")
	f.Fuzz(func(t *testing.T, body, list string) {
		form, err := ReadForm(httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body)), 1000)
		if err != nil {
			return
		}
		if n := len(form.Elements(list)); n > len(form.Values) {
			t.Errorf("%d elements out of %d parameters", n, len(form.Values))
		}
	})
}

// A form that is not UTF-8 is refused, in values and in names, in body and URL.
func TestFormsAreUTF8(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"Action=%ff", "a=1&a=%c3%28", "%ff=a", "a.%ed%a0%80=b"} {
		for url, body := range map[string]string{"/?" + form: "", "/": form} {
			if _, err := ReadForm(
				httptest.NewRequest("POST", url, strings.NewReader(body)), 100,
			); fault.CodeOf(err) != codeMalformedForm {
				t.Errorf("%s with %q: %v", url, body, err)
			}
		}
	}
}
