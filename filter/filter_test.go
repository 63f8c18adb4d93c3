package filter_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shardmill/shardmill/filter"
)

const anyMetadata = `{"kinesisSchemaVersion":"1.0","partitionKey":"customer-1"}`

// match reports whether data matches one of patterns, and that its explanation agrees.
func match(t *testing.T, data string, patterns ...string) bool {
	t.Helper()
	f, err := filter.Compile(patterns)
	if err != nil {
		t.Fatal(err)
	}
	got := f.Matcher().Match([]byte(anyMetadata), []byte(data))
	if why := f.Explain([]byte(anyMetadata), []byte(data)); (why == nil) != got {
		t.Errorf("%s matches %s: %v, explained by %v", data, patterns, got, why)
	}
	return got
}

// cases says what matches a pattern and what does not.
type cases struct{ yes, no []string }

func (c cases) run(t *testing.T, pattern string) {
	t.Helper()
	for _, data := range c.yes {
		if !match(t, data, pattern) {
			t.Errorf("%s does not match %s", data, pattern)
		}
	}
	for _, data := range c.no {
		if match(t, data, pattern) {
			t.Errorf("%s matches %s", data, pattern)
		}
	}
}

// values makes records with one field from its values; "" is a record without the field.
func values(list ...string) (out []string) {
	for _, v := range list {
		if v == "" {
			out = append(out, `{"other":1}`)
		} else {
			out = append(out, `{"v":`+v+`}`)
		}
	}
	return out
}

// Every operator, by the Lambda Developer Guide's table of filter syntax and the EventBridge User Guide's of comparison
// operators. A rule of a field v; the values of v that match and those that do not.
func TestOperators(t *testing.T) {
	t.Parallel()
	for rule, c := range map[string]cases{
		`["a"]`:             {values(`"a"`, `"\u0061"`, `["x","a"]`, `[["a"]]`), values(`"A"`, `"ab"`, `""`, `1`, `{"a":"a"}`, ``)},
		`["é"]`:             {values(`"é"`, `"\u00e9"`, `"\u00E9"`), values(`"e\u0301"`, `"É"`)}, // no normalisation
		`["a","b"]`:         {values(`"a"`, `"b"`), values(`"c"`)},
		`["\ud83d\ude00"]`:  {values(`"\ud83d\ude00"`, `"😀"`), values(`"\ud83d"`)},
		`["a\"\\\n"]`:       {values(`"a\"\\\n"`, `"a\u0022\u005c\u000a"`), values(`"a"`)},
		`[{"exactly":"a"}]`: {values(`"a"`), values(`"A"`)},
		// S-105: "[null] against null, absent, "". Then yes, no, no. [""] against "". Then yes."
		`[null]`:  {values(`null`, `[null]`), values(``, `""`, `"null"`, `0`, `{}`)},
		`[""]`:    {values(`""`), values(``, `null`, `" "`)},
		`[true]`:  {values(`true`), values(`false`, `"true"`, `1`)},
		`[false]`: {values(`false`), values(`true`, `null`, ``)},
		// a bare number compares as it is written
		`[300]`:   {values(`300`), values(`300.0`, `3.0e2`, `"300"`, `3`)},
		`[300.0]`: {values(`300.0`), values(`300`)},
		`[123456789012345678901234567890]`: {
			values(`123456789012345678901234567890`), values(`123456789012345678901234567891`),
		},
		`[{"prefix":"ab"}]`:                          {values(`"ab"`, `"abc"`), values(`"a"`, `"Ab"`, `"xab"`, `5`)},
		`[{"prefix":""}]`:                            {values(`""`, `"x"`), values(`5`, ``)},
		`[{"prefix":{"equals-ignore-case":"äB"}}]`:   {values(`"ÄbC"`, `"\u00c4B"`), values(`"a"`, `"xäb"`)},
		`[{"suffix":"ab"}]`:                          {values(`"ab"`, `"xab"`), values(`"b"`, `"aB"`)},
		`[{"suffix":{"equals-ignore-case":".PNG"}}]`: {values(`"a.png"`, `".Png"`), values(`"png"`, `"a.pngx"`)},
		`[{"equals-ignore-case":"Straße"}]`:          {values(`"STRAßE"`, `"straße"`), values(`"strasse"`, `"Straß"`)},
		// S-104: `anything-but ["a","b"] against "c", "a", absent, 5. Then yes, no, no, yes`
		`[{"anything-but":["a","b"]}]`: {
			values(`"c"`, `5`, `null`, `true`, `["a","c"]`), values(`"a"`, `"\u0061"`, ``, `{}`, `[]`, `["a","b"]`),
		},
		`[{"anything-but":"a"}]`:                          {values(`"b"`), values(`"a"`)},
		`[{"anything-but":5}]`:                            {values(`6`, `"5"`, `5.0`), values(`5`)},
		`[{"anything-but":[5,6]}]`:                        {values(`7`), values(`6`)},
		`[{"anything-but":{"prefix":"ab"}}]`:              {values(`"b"`, `5`), values(`"abc"`, ``)},
		`[{"anything-but":{"prefix":["a","b"]}}]`:         {values(`"c"`), values(`"ax"`, `"bx"`)},
		`[{"anything-but":{"suffix":"ab"}}]`:              {values(`"b"`), values(`"xab"`)},
		`[{"anything-but":{"equals-ignore-case":"ab"}}]`:  {values(`"b"`), values(`"AB"`)},
		`[{"anything-but":{"equals-ignore-case":["a"]}}]`: {values(`"b"`), values(`"A"`)},
		`[{"anything-but":{"wildcard":"a*b"}}]`:           {values(`"b"`), values(`"axxb"`)},
		`[{"anything-but":{"wildcard":["a*","*b"]}}]`:     {values(`"xx"`), values(`"ax"`, `"xb"`)},
		// S-102: `numeric [">",10,"<=",20] against 10, 10.0001, 20, "15". Then no, yes, yes, no.`
		`[{"numeric":[">",10,"<=",20]}]`: {values(`10.0001`, `20`, `2e1`, `[1,15]`), values(`10`, `"15"`, `20.0001`, ``)},
		`[{"numeric":["=",300]}]`:        {values(`300`, `300.0`, `3.0e2`), values(`301`, `"300"`)},
		`[{"numeric":["<",0]}]`:          {values(`-1e-300`, `-1e999`), values(`0`, `-0`)},
		`[{"numeric":["<=",0]}]`:         {values(`0`, `-0`), values(`1`)},
		`[{"numeric":[">=",1e3]}]`:       {values(`1000`, `1e999`), values(`999.9`)},
		// two numbers that are one as doubles
		`[{"numeric":["=",9007199254740993]}]`: {values(`9007199254740992`), values(`9007199254740995`)},
		// S-103: "exists:true on an object-valued field → no match; exists:false on it → match; on an absent field
		// → match"
		`[{"exists":true}]`:          {values(`1`, `null`, `""`, `[0]`), values(`{}`, `{"a":1}`, ``, `[]`, `[{}]`)},
		`[{"exists":false}]`:         {values(`{}`, `{"a":1}`, ``, `[]`, `[{"a":1}]`), values(`1`, `null`, `[{},0]`)},
		`[{"exists":false},"a"]`:     {values(``, `"a"`), values(`"b"`)},
		`[{"wildcard":"a*c"}]`:       {values(`"ac"`, `"abc"`, `"accc"`), values(`"a"`, `"ab"`, `"xac"`)},
		`[{"wildcard":"*"}]`:         {values(`""`, `"x"`), values(`1`)},
		`[{"wildcard":"*a*b*"}]`:     {values(`"ab"`, `"xaxbx"`), values(`"ba"`)},
		`[{"wildcard":"ab*ba"}]`:     {values(`"abba"`), values(`"aba"`)},
		`[{"wildcard":"a\\*b\\\\"}]`: {values(`"a*b\\"`), values(`"axb\\"`)},
		`[{"cidr":"10.0.0.0/24"}]`:   {values(`"10.0.0.255"`), values(`"10.0.1.0"`, `"10.0.0"`, `"x"`, `1`)},
		`[{"cidr":"10.0.0.7/24"}]`:   {values(`"10.0.0.255"`), values(`"10.0.1.0"`)},
		`[{"cidr":"2001:db8::/32"}]`: {values(`"2001:db8:1::1"`, `"2001:DB8::"`), values(`"2001:db9::1"`, `"10.0.0.1"`)},
	} {
		c.run(t, `{"data":{"v":`+rule+`}}`)
	}
}

// All names must match, one value of each; other fields of the record do not matter.
func TestStructure(t *testing.T) {
	t.Parallel()
	for pattern, c := range map[string]cases{
		// S-98: `filter {"data":{"event_type":["function_1"]}} and two records … exactly one invocation with the match`
		`{"data":{"event_type":["function_1"]}}`: {
			[]string{`{"event_type":"function_1","x":[{}]}`}, []string{`{"event_type":"function_2"}`},
		},
		`{"data":{"a":["x"],"b":{"c":[1]}}}`: {
			[]string{`{"b":{"c":1,"d":2},"a":"x"}`, ` { "a" : "x" , "b" : { "c" : 1 } } `},
			[]string{`{"a":"x"}`, `{"a":"x","b":{"c":2}}`, `{"a":"x","b":1}`, `{"a":"x","b":{}}`},
		},
		// S-106: `"$or":[{"a":[1]},{"b":[2]}] with sibling "c":[3]: needs c=3 and (a=1 or b=2)`
		`{"data":{"$or":[{"a":[1]},{"b":[2]}],"c":[3]}}`: {
			[]string{`{"a":1,"c":3}`, `{"b":2,"c":3}`, `{"a":1,"b":2,"c":3}`, `{"a":0,"b":2,"c":3}`},
			[]string{`{"a":1,"b":2}`, `{"c":3}`, `{"a":2,"b":1,"c":3}`},
		},
		`{"data":{"x":{"$or":[{"a":[1]},{"$or":[{"b":[2]},{"c":[3],"d":[4]}]}]}}}`: {
			[]string{`{"x":{"a":1}}`, `{"x":{"b":2}}`, `{"x":{"c":3,"d":4}}`}, []string{`{"x":{"c":3}}`, `{"a":1}`},
		},
		// "fewer than two members or with matcher keywords as names is treated as an ordinary field name"
		`{"data":{"$or":["a","b"]}}`:                            {[]string{`{"$or":"b"}`}, []string{`{"a":"b"}`, `{}`}},
		`{"data":{"$or":[{"prefix":"a"}]}}`:                     {[]string{`{"$or":"ab"}`}, []string{`{}`}},
		`{"data":{"$or":[{"prefix":"a"},{"numeric":[">",1]}]}}`: {[]string{`{"$or":2}`, `{"$or":"a"}`}, []string{`{"$or":1}`}},
		`{"data":{"$or":{"a":[1]}}}`:                            {[]string{`{"$or":{"a":1}}`}, []string{`{"a":1}`}},
		// S-107: "pattern e.f Anna and e.l Jones → no match; Anna and Smith → match"
		`{"data":{"e":{"f":["Anna"],"l":["Smith"]}}}`: {
			[]string{`{"e":[{"f":"Anna","l":"Smith"},{"f":"Peter","l":"Jones"}]}`, `{"e":[[{"f":"Anna","l":"Smith"}]]}`}, nil,
		},
		`{"data":{"e":{"f":["Anna"],"l":["Jones"]}}}`: {
			nil, []string{`{"e":[{"f":"Anna","l":"Smith"},{"f":"Peter","l":"Jones"}]}`, `{"e":["Anna","Jones"]}`},
		},
		// absence in a list: alone it is about all elements, with another rule about the same element
		`{"data":{"e":{"f":[{"exists":false}]}}}`: {
			[]string{`{"e":[{"g":1},{"g":2}]}`, `{"e":[]}`, `{"e":5}`, `{}`}, []string{`{"e":[{"f":1},{"g":2}]}`},
		},
		`{"data":{"e":{"f":[{"exists":false}],"g":[2]}}}`: {[]string{`{"e":[{"f":1},{"g":2}]}`}, []string{`{"e":[{"f":1,"g":2}]}`, `{}`}},
		// "Dots in names … treat as different"
		`{"data":{"a.b":[1]}}`:     {[]string{`{"a.b":1}`}, []string{`{"a":{"b":1}}`}},
		`{"data":{"a":{"b":[1]}}}`: {[]string{`{"a":{"b":1}}`}, []string{`{"a.b":1}`}},
		// "Duplicate names in one pattern object: last wins"; so it is in a record
		`{"data":{"a":[1],"a":[2]}}`:                      {[]string{`{"a":2}`, `{"a":1,"a":2}`, `{"a":{},"\u0061":2}`}, []string{`{"a":1}`, `{"a":2,"a":1}`}},
		`{"data":{"a":{"b":[1]}},"x":[{"exists":false}]}`: {[]string{`{"a":{"b":1}}`}, []string{`{"a":{"b":1},"a":0}`}},
	} {
		c.run(t, pattern)
	}
}

// S-99: "a data filter and records `not json`, `{"a":1}`, “. Then only the JSON one can match". S-100: "no data filter
// (partitionKey rule only) and non-JSON data. Then evaluated on metadata, not dropped for format". S-101: OR.
func TestRecordsThatAreNotJSON(t *testing.T) {
	t.Parallel()
	const onData, onKey = `{"data":{"a":[{"exists":true}]}}`, `{"partitionKey":["customer-1"]}`
	both := `{"partitionKey":["customer-1"],"data":{"b":[{"exists":false}]}}`
	for _, data := range []string{
		`not json`, ``, `{"a":1`, `{"a":1}}`, `{"a":1}x`, `[{"a":1}]`, `"a"`, `1`, `null`, "{\"a\":\"\xff\"}", `{"a":01}`, " ",
		`{"a":1,"b":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`,
	} {
		for _, p := range []string{
			onData, `{"data":{"b":[{"exists":false}]}}`, both, `{"$or":[` + onKey + `,` + onData + `]}`,
		} {
			if match(t, data, p) {
				t.Errorf("%.40q matches %s", data, p)
			}
		}
		if !match(t, data, onKey) || !match(t, data, onData, onKey) {
			t.Errorf("%.40q is dropped, though a filter without a rule for data matches", data)
		}
	}
	for _, p := range [][]string{{onData}, {both}, {`{"data":{"x":[1]}}`, onData}} {
		if !match(t, `{"a":1}`, p...) {
			t.Errorf("a JSON record does not match %s", p)
		}
	}
	if deep := `{"a":1,"b":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + `}`; !match(t, deep, onData) {
		t.Error("JSON that nests 10,000 deep is JSON")
	}
}

// How deep lists nest is limited, how many there are is not.
func TestListsBesideEachOtherDoNotNest(t *testing.T) {
	t.Parallel()
	if data := `{"a":[` + strings.Repeat(`[1],`, 10_001) + `2]}`; !match(t, data, `{"data":{"a":[2]}}`) {
		t.Error("ten thousand short lists in one are refused")
	}
}

// What the record shows beside data is one flat object without a wrapper.
func TestMetadata(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]bool{
		`{"partitionKey":["customer-1"]}`:                            true,
		`{"partitionKey":[{"prefix":"customer-"}],"data":{"a":[1]}}`: true,
		`{"partitionKey":["customer-2"]}`:                            false,
		`{"kinesis":{"partitionKey":["customer-1"]}}`:                false,
		`{"kinesis":[{"exists":false}]}`:                             true,
	} {
		if got := match(t, `{"a":1}`, pattern); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
	f, err := filter.Compile([]string{`{"data":{"a":[1]}}`, `{"data":{"a":[2]},"kinesis":{"x":[1]}}`})
	if err != nil || !f.Metadata() || fmt.Sprint(f.Names()) != "[kinesis]" || f.Len() != 2 {
		t.Errorf("%v %v %v", err, f.Metadata(), f.Names())
	}
}

// "Illegal patterns (all V15)": each is refused with its place.
func TestIllegalPatterns(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string]string{
		``:                                               "filters[0]: at byte 0: it is not JSON",
		`single-string`:                                  "filters[0]: at byte 0: it is not JSON",  // S-14
		`[{"eventName": ["INSERT"=123}]`:                 "filters[0]: at byte 24: it is not JSON", // S-14
		`[]`:                                             "filters[0]: at byte 0: a pattern is a JSON object, this is an array",
		`"x"`:                                            `filters[0]: at byte 0: a pattern is a JSON object, this is the string "x"`,
		`null`:                                           "filters[0]: at byte 0: a pattern is a JSON object, this is null",
		` {}`:                                            "filters[0]: at byte 1: an object needs at least one name",
		`{"data":{}}`:                                    "filters[0].data: at byte 8: an object needs at least one name",
		`{"data":{"a":[]}}`:                              "filters[0].data.a: at byte 13: a list of values needs at least one",
		`{"data":{"a":1}}`:                               "filters[0].data.a: at byte 13: give a list of values or an object, not the number 1",
		`{"data":{"a":null}}`:                            "filters[0].data.a: at byte 13: give a list of values or an object, not null",
		`{"a":[["x"]]}`:                                  "filters[0].a[0]: at byte 6: a list holds values, not lists",
		`{"a":[{}]}`:                                     "filters[0].a[0]: at byte 6: an object in a list of values has one name",
		`{"a":[1,{"prefix":"x","suffix":"y"}]}`:          "filters[0].a[1]: at byte 8: an object in a list of values has one name, its operator; this has 2",
		`{"a":[{"starts":"x"}]}`:                         `filters[0].a[0].starts: at byte 6: there is no operator "starts"`,
		`{"a":[{"prefix":5}]}`:                           "filters[0].a[0].prefix: at byte 16: give a string, not the number 5",
		`{"a":[{"prefix":{"x":"y"}}]}`:                   "filters[0].a[0].prefix.x: at byte 16: the only operator here is equals-ignore-case",
		`{"a":[{"exists":"true"}]}`:                      `filters[0].a[0].exists: at byte 16: exists is true or false, not the string "true"`,
		`{"a":[{"numeric":5}]}`:                          "filters[0].a[0].numeric: at byte 17: numeric is a list",
		`{"a":[{"numeric":[">"]}]}`:                      "filters[0].a[0].numeric: at byte 17: numeric has one comparison or two",
		`{"a":[{"numeric":[">","5"]}]}`:                  `filters[0].a[0].numeric[1]: at byte 22: give a number, not the string "5"`,
		`{"a":[{"numeric":["!",5]}]}`:                    `filters[0].a[0].numeric[0]: at byte 18: there is no comparison "!"`,
		`{"a":[{"numeric":["<",5,">",3]}]}`:              "filters[0].a[0].numeric[0]: at byte 18: a range begins with > or >=",
		`{"a":[{"numeric":[">",5,">",7]}]}`:              "filters[0].a[0].numeric[2]: at byte 24: a range ends with < or <=",
		`{"a":[{"numeric":["=",5,"<",7]}]}`:              "filters[0].a[0].numeric[0]: at byte 18: a range begins with > or >=",
		`{"a":[{"numeric":[">",5,"<",5]}]}`:              "filters[0].a[0].numeric: at byte 17: the lower bound of a range must be less",
		`{"a":[{"numeric":[">",1,"<",2,"<",3]}]}`:        "filters[0].a[0].numeric: at byte 17: numeric has one comparison or two",
		`{"a":[{"numeric":["<",1e999]}]}`:                "filters[0].a[0].numeric[1]: at byte 22: 1e999 is beyond what can be compared",
		`{"a":[{"anything-but":["x",5]}]}`:               "filters[0].a[0].anything-but: at byte 27: anything-but takes strings or numbers, not both",
		`{"a":[{"anything-but":[true]}]}`:                "filters[0].a[0].anything-but: at byte 23: anything-but takes strings or numbers, not true",
		`{"a":[{"anything-but":null}]}`:                  "filters[0].a[0].anything-but: at byte 22: anything-but takes strings or numbers, not null",
		`{"a":[{"anything-but":[]}]}`:                    "filters[0].a[0].anything-but: at byte 22: anything-but needs at least one value",
		`{"a":[{"anything-but":{"cidr":"10.0.0.0/8"}}]}`: "filters[0].a[0].anything-but.cidr: at byte 22: anything-but takes prefix, suffix",
		`{"a":[{"anything-but":{"prefix":""}}]}`:         "filters[0].a[0].anything-but.prefix: at byte 32: every string has an empty one",
		`{"a":[{"wildcard":"a**b"}]}`:                    "filters[0].a[0].wildcard: at byte 18: one * after the other",
		`{"a":[{"wildcard":"a\\x"}]}`:                    "filters[0].a[0].wildcard: at byte 18: a backslash stands before",
		`{"a":[{"cidr":"10.0.0.1"}]}`:                    `filters[0].a[0].cidr: at byte 14: "10.0.0.1" is not a block of addresses`,
		`{"a":[{"cidr":"10.0.0.0/33"}]}`:                 `filters[0].a[0].cidr: at byte 14: "10.0.0.0/33" is not a block`,
		`{"$or":[{"a":[1]}]}`:                            `filters[0].$or[0].a: at byte 8: there is no operator "a"`,
		`{"$or":[{"a":[1]},{"b":[]}]}`:                   "filters[0].$or[1].b: at byte 23: a list of values needs at least one",
		`{"$or":[{"a":[1]},{}]}`:                         "filters[0].$or[1]: at byte 18: an object needs at least one name",
		`{"a":["\ud83d"]}`:                               "filters[0]: at byte 0: it holds text that is not Unicode",
		// V16: "data filter given as non-JSON (plain string rule) for Kinesis", wherever it is at the top
		`{"data":["plain"]}`: "filters[0].data: at byte 8: data of a stream is matched as JSON",
		`{"data":"plain"}`:   "filters[0].data: at byte 8: give a list of values or an object",
		`{"$or":[{"data":["x"]},{"partitionKey":["x"]}]}`: "filters[0].$or[0].data: at byte 16: data of a stream is matched as JSON",
	} {
		_, err := filter.Compile([]string{pattern})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", pattern, err, want)
		}
	}
	_, err := filter.Compile([]string{`{"data":{"a":[1]}}`, `{"data":{"price":[{"numeric":[">","x"]}]}}`})
	var e *filter.Error
	if !errors.As(err, &e) || e.Filter != 1 || e.Path != "data.price[0].numeric[1]" || e.Offset != 34 {
		t.Errorf("%#v", err)
	}
}

// A rule of data inside other objects is any field, and deep patterns are compiled.
func TestLegalPatterns(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		`{"data":{"data":["x"]}}`, `{"data":{"x":["y"],"$or":[{"a":[1]},{"b":[2]}]}}`, "\n{\t\"a\" : [ 1 , 2 ] }\r\n",
		strings.Repeat(`{"a":`, 1000) + `["x"]` + strings.Repeat("}", 1000),
	} {
		if _, err := filter.Compile([]string{p}); err != nil {
			t.Errorf("%.60s: %v", p, err)
		}
	}
}

// The explanation names for each filter the path, the rule and the value seen.
func TestExplain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pattern, data, want string }{
		{`{"data":{"price":[{"numeric":[">",100]}]}}`, `{"price":99.5}`, `data.price to be [{"numeric":[">",100]}], seen: 99.5`},
		{`{"data":{"a":{"b":["x"]}}}`, `{"a":{}}`, `data.a.b to be ["x"], seen: absent`},
		{`{"data":{"a":{"b":["x"]}}}`, `{"a":5}`, `data.a to be an object, seen: 5`},
		{`{"data":{"a":["x"]}}`, `{"a":{"b":1}}`, `data.a to be ["x"], seen: an object`},
		{`{"data":{"a":["x"]}}`, `{"a":["y","z"]}`, `data.a to be ["x"], seen: a list of 2`},
		{`{"data":{"a":["x"]}}`, `oops`, `data to be a JSON object, seen: not JSON`},
		{`{"data":{"a":["x"]}}`, `[1]`, `data to be a JSON object, seen: a list of 1`},
		{`{"partitionKey":["x"]}`, `oops`, `partitionKey to be ["x"], seen: "customer-1"`},
		{
			`{"data":{"$or":[{"a":[1]},{"b":[2]}]}}`, `{"a":3}`,
			`data to be one of [{"a":[1]},{"b":[2]}], seen: data.a is 3, data.b is absent`,
		},
		{
			`{"data":{"e":{"f":["x"]}}}`, `{"e":[{"f":"y"},{"f":"z"}]}`,
			`data.e.f to be ["x"], seen: "y" (in the first of 2 objects, of which none matches)`,
		},
	} {
		f, err := filter.Compile([]string{c.pattern})
		if err != nil {
			t.Fatal(err)
		}
		why := f.Explain([]byte(anyMetadata), []byte(c.data))
		if len(why) != 1 || why[0].String() != `filters[0] wants `+c.want {
			t.Errorf("%s of %s: %v\nwant %s", c.pattern, c.data, why, c.want)
		}
	}
}
