package pattern

import (
	"errors"
	"strings"
	"testing"
)

// F-77 and the User Guide's examples: which messages a pattern lets through.
func TestPatternsMatch(t *testing.T) {
	t.Parallel()
	const doc = `{"level":"ERROR","status":404,"ratio":0.5,"ok":true,"none":null,"ip":"123.123.4.5","user":{"name":"a b"},"items":[{"id":1},{"id":2}],"odd name":"x"}`
	for pattern, cases := range map[string]struct{ yes, no []string }{
		"": {[]string{"", "anything"}, nil},
		"?ERROR ?Task": {
			[]string{"2026-01-01 x Task timed out after 3.00 seconds\n\n", "[ERROR] y"}, []string{"error", "REPORT"},
		},
		"-REPORT":             {[]string{"START", ""}, []string{"REPORT RequestId: x"}},
		"ERROR 404":           {[]string{"404 is an ERROR"}, []string{"ERROR", "404"}},
		`ERROR -"not found"`:  {[]string{"ERROR: found not"}, []string{"ERROR: not found"}},
		`?"a b" ?c`:           {[]string{"xa bx", "c"}, []string{"ab"}},
		`?x y`:                {[]string{"y"}, []string{"x"}},
		`"say \"hi\" \\ now"`: {[]string{`I say "hi" \ now`}, []string{`say hi`}},
		`{ $.level = "ERROR" }`: {
			[]string{doc, "  " + doc + "\n"},
			[]string{"ERROR", `["ERROR"]`, `{"level":"error"}`, `{"level":`, doc + doc},
		},
		`{$.level=ERR*}`: {[]string{doc}, []string{`{"level":"WARN"}`}},
		`{ $.level = "*RRO*" && $.status >= 400 && $.status < 404.5 }`: {
			[]string{doc}, []string{`{"level":"ERROR","status":500}`},
		},
		`{ $.status = 4.04e2 }`: {[]string{doc}, nil},
		`{ $.status = "404" }`:  {[]string{doc, `{"status":"404"}`}, nil},
		`{ $.status > 500 || ($.ok = true && $.ratio <= 0.5) }`: {
			[]string{doc, `{"status":501}`}, []string{`{"status":500,"ok":true}`},
		},
		`{ $.a = 1 || $.b = 1 && $.c = 1 }`: {
			[]string{`{"a":1}`, `{"b":1,"c":1}`}, []string{`{"b":1}`},
		},
		`{ ($.a = 1 || $.b = 1) && $.c = 1 }`: {[]string{`{"a":1,"c":1}`}, []string{`{"a":1}`}},
		`{ $.ip != 123.123.* }`: {
			[]string{`{"ip":"10.0.0.1"}`}, []string{doc, `{}`},
		},
		`{ $.user.name = "a b" }`: {[]string{doc}, []string{`{"user":"a b"}`}},
		`{ $.items[1].id = 2 }`:   {[]string{doc}, []string{`{"items":[{"id":2}]}`, `{"items":{"1":{"id":2}}}`}},
		`{ $.items[*].id = 2 }`:   {[]string{doc}, []string{`{"items":[]}`}},
		`{ $["odd name"] = x }`:   {[]string{doc}, nil},
		`{ $.none IS NULL && $.ok IS TRUE && $.missing NOT EXISTS }`: {[]string{doc}, []string{`{"none":0,"ok":true}`}},
		`{ $.ok is false }`: {[]string{`{"ok":false}`}, []string{doc}},
		`{ $.user = "*" }`:  {nil, []string{doc}},
	} {
		p, err := Parse(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		for _, m := range cases.yes {
			if !p.Match(m) {
				t.Errorf("%s does not match %s", pattern, m)
			}
		}
		for _, m := range cases.no {
			if p.Match(m) {
				t.Errorf("%s matches %s", pattern, m)
			}
		}
	}
}

// A text that is not understood is refused with the reason, never taken for something else.
func TestWhatIsNoPatternIsRefused(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		"[ip, user]": "space-delimited", "%ERR[0-9]%": "regular expressions", "a %b%": "regular expressions",
		`"open`: "not closed", "?": "empty", `-""`: "empty",
		"{": "selector", "{}": "selector", "{ $ = 1 }": "selector", "{ $. = 1 }": "name is missing",
		"{ $.a }": "comparison", "{ $.a = }": "value is missing", "{ $.a = 1": "&& or ||",
		"{ $.a = 1 } x": "behind", "{ $.a < b }": "compares numbers", `{ $.a >= "1" }`: "compares numbers",
		"{ ($.a = 1 }": "parenthesis", "{ $.a[x] = 1 }": "brackets",
		"{ $.a[1 = 1 }": "brackets", `{ $["a" = 1 }`: "not closed", "{ $.a NOT 1 }": "EXISTS",
		"{ $.a IS 1 }": "NULL, TRUE", "{ $.a = %x% }": "regular expressions", "{ $.a ~ 1 }": "comparison",
		"{ $.a = 1 && }": "selector", strings.Repeat("x", 1025): "longer than 1024",
	} {
		_, err := Parse(pattern)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %s", pattern, err, want)
		}
	}
}

// Any text is either refused or a usable pattern; neither panics.
func FuzzPattern(f *testing.F) {
	f.Add("?ERROR ?Task", "Task timed out")
	f.Add(`{ ($.a[0].b = "x*" || $.c >= 1) && $.d IS NULL }`, `{"a":[{"b":"xy"}],"d":null}`)
	f.Add(`-"a \" b" c`, "c")
	f.Add("{ $.a = 1", "{")
	f.Fuzz(func(t *testing.T, text, message string) {
		p, err := Parse(text)
		if err == nil {
			p.Match(message)
		}
	})
}
