package mapping

import (
	"fmt"
	"testing"
)

// S-22. Lambda API Reference, ListEventSourceMappings: at most 100 per page; a marker only when more exist.
func TestListPagesThroughAllMappingsOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 250 {
		name := fmt.Sprintf("f%d", i)
		b.functions.names[name] = true
		b.create(t, func(in *CreateInput) { in.FunctionName = &name })
	}

	seen := map[string]bool{}
	in := ListInput{MaxItems: new(int64(10_000))}
	for _, want := range []int{100, 100, 50} {
		page, marker, err := b.List(t.Context(), me, in)
		if err != nil || len(page) != want || (marker == "") != (want == 50) {
			t.Fatalf("page of %d, marker %q, %v; want %d", len(page), marker, err, want)
		}
		for _, m := range page {
			seen[m.UUID] = true
		}
		in.Marker = &marker
	}
	if len(seen) != 250 {
		t.Errorf("%d different mappings, want 250", len(seen))
	}

	page, marker, err := b.List(t.Context(), me, ListInput{MaxItems: new(int64(250)), FunctionName: new("f7")})
	if err != nil || len(page) != 1 || marker != "" {
		t.Errorf("one function: %d mappings, marker %q, %v", len(page), marker, err)
	}
}

func TestMarkerSurvivesTheRemovalOfItsMapping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.create(t)
	b.create(t, func(in *CreateInput) { in.FunctionName = new("g") })
	b.settle(t)
	page, marker, err := b.List(t.Context(), me, ListInput{MaxItems: new(int64(1))})
	if err != nil || len(page) != 1 || marker != page[0].UUID {
		t.Fatalf("%v %q %v", page, marker, err)
	}
	if _, err := b.Delete(t.Context(), me, marker); err != nil {
		t.Fatal(err)
	}
	b.settle(t)

	rest, end, err := b.List(t.Context(), me, ListInput{Marker: &marker})

	if err != nil || len(rest) != 1 || rest[0].UUID == marker || end != "" {
		t.Errorf("%v %q %v", rest, end, err)
	}
}

// Filters match what they mean to the caller; without a match the page is empty, and there is no fault (S-22).
func TestListFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := orders + "2"
	b.streams.add(other)
	b.create(t)
	b.create(t, func(in *CreateInput) { in.FunctionName = new("g") })
	b.create(t, func(in *CreateInput) { in.EventSourceARN = &other })
	b.create(t, func(in *CreateInput) { in.FunctionName = new("g:live") })
	b.create(t, func(in *CreateInput) { in.FunctionName = new("g:1") })
	cases := map[string]struct {
		caller Caller
		in     ListInput
		want   int
	}{
		"everything":       {me, ListInput{}, 5},
		"an empty marker":  {me, ListInput{Marker: new("")}, 5},
		"by function name": {me, ListInput{FunctionName: new("f")}, 2},
		"by function ARN": {
			me, ListInput{FunctionName: new("arn:aws:lambda:us-east-1:000000000000:function:f")}, 2,
		},
		"by partial ARN":              {me, ListInput{FunctionName: new("000000000000:function:f")}, 2},
		"by ARN with a short account": {me, ListInput{FunctionName: new("arn:aws:lambda:us-east-1:123:function:f")}, 2},
		"by qualified function":       {me, ListInput{FunctionName: new("f:$LATEST")}, 0},
		"by alias":                    {me, ListInput{FunctionName: new("g:live")}, 1},
		"by version, as an ARN": {
			me, ListInput{FunctionName: new("arn:aws:lambda:us-east-1:123:function:g:1")}, 1,
		},
		"by an unknown version":               {me, ListInput{FunctionName: new("g:2")}, 0},
		"by name, without its qualified ones": {me, ListInput{FunctionName: new("g")}, 1},
		"by unknown function":                 {me, ListInput{FunctionName: new("absent")}, 0},
		"by stream":                           {me, ListInput{EventSourceARN: new(orders)}, 4},
		"by stream, short account": {
			me, ListInput{EventSourceARN: new("arn:aws:kinesis:us-east-1:123:stream/orders")}, 4,
		},
		"by stream and function":    {me, ListInput{EventSourceARN: &other, FunctionName: new("f")}, 1},
		"by unknown stream":         {me, ListInput{EventSourceARN: new(orders + "3")}, 0},
		"by another kind of source": {me, ListInput{EventSourceARN: new("arn:aws:sqs:us-east-1:000000000000:q")}, 0},
		"another region":            {Caller{me.Account, "eu-west-1"}, ListInput{}, 0},
		"another account":           {Caller{"111111111111", me.Region}, ListInput{}, 0},
	}
	for name, c := range cases {
		page, marker, err := b.List(t.Context(), c.caller, c.in)
		if err != nil || len(page) != c.want || marker != "" {
			t.Errorf("%s: %d mappings, marker %q, %v; want %d", name, len(page), marker, err, c.want)
		}
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := b.List(t.Context(), me, ListInput{MaxItems: new(int64(0))})
	wantFault(
		t, err, validation,
		"1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1",
	)
	_, _, err = b.List(t.Context(), me, ListInput{Marker: new("zzz")})
	wantFault(t, err, parameter, "Marker is not one that ListEventSourceMappings has answered.")
}
