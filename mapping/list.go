package mapping

import (
	"context"
	"slices"
	"strings"
)

// maxPage is how many mappings one page holds, whatever MaxItems says.
const maxPage = 100

// List returns a page of the caller's mappings, in a stable order, and the marker of the next page, "" at the end. A
// filter for something that does not exist matches nothing, which is not a fault. A FunctionName means exactly the
// function that it names, qualifier included. Faults: ValidationException; InvalidParameterValueException for a marker
// that we did not issue.
func (m *Mappings) List(ctx context.Context, c Caller, in ListInput) (page []Mapping, marker string, err error) {
	if err := in.model(); err != nil {
		return nil, "", err
	}
	after := ""
	if in.Marker != nil && *in.Marker != "" {
		after = *in.Marker
		if !uuidForm().MatchString(after) {
			return nil, "", invalid("Marker is not one that ListEventSourceMappings has answered.")
		}
	}
	all, err := m.All(ctx)
	if err != nil {
		return nil, "", err
	}
	want := in.filter(c)
	size := maxPage
	if in.MaxItems != nil {
		size = int(min(*in.MaxItems, maxPage))
	}
	from, found := slices.BinarySearchFunc(all, after, func(mp Mapping, id string) int {
		return strings.Compare(mp.UUID, id)
	})
	if found {
		from++
	}
	for i := from; i < len(all); i++ {
		if !want(&all[i]) {
			continue
		}
		if len(page) == size {
			return page, page[size-1].UUID, nil
		}
		page = append(page, all[i])
	}
	return page, "", nil
}

// filter returns whether a mapping is among those that c asks for.
func (in *ListInput) filter(c Caller) func(*Mapping) bool {
	source, function := "", ""
	if in.EventSourceARN != nil {
		source = *in.EventSourceARN
		if folded, _, err := c.source(source); err == nil {
			source = folded
		}
	}
	if in.FunctionName != nil {
		f, _ := parseFunction(*in.FunctionName)
		function = f.arnFor(c)
	}
	return func(mp *Mapping) bool {
		return mp.Account == c.Account && mp.Region == c.Region &&
			(in.EventSourceARN == nil || mp.EventSourceARN == source) &&
			(in.FunctionName == nil || mp.FunctionARN == function)
	}
}
