package filter_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// This file is the naive matcher that the fast one is held against: it decodes the record and walks the pattern's own
// JSON. It knows legal patterns only.

func decoded(text []byte) (v any, ok bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return v, json.Valid(text) && utf8.Valid(text) && d.Decode(&v) == nil
}

// passes reports whether a record matches one of the patterns.
func passes(patterns []string, metadata, data string) bool {
	for _, p := range patterns {
		pattern, _ := decoded([]byte(p))
		view, _ := decoded([]byte(metadata))
		record := view.(map[string]any)
		if asksFor(pattern.(map[string]any), "data") {
			v, _ := decoded([]byte(data))
			o, ok := v.(map[string]any)
			if !ok {
				continue
			}
			record["data"] = o
		}
		if matches(pattern.(map[string]any), record) {
			return true
		}
	}
	return false
}

func asksFor(pattern map[string]any, name string) bool {
	for key, v := range pattern {
		if alternatives, ok := choice(key, v); ok {
			if slices.ContainsFunc(alternatives, func(a map[string]any) bool { return asksFor(a, name) }) {
				return true
			}
		} else if key == name {
			return true
		}
	}
	return false
}

func choice(key string, v any) (alternatives []map[string]any, ok bool) {
	list, isList := v.([]any)
	if key != "$or" || !isList || len(list) < 2 {
		return nil, false
	}
	for _, e := range list {
		o, ok := e.(map[string]any)
		if !ok {
			return nil, false
		}
		for key := range o {
			switch key {
			case "prefix", "suffix", "numeric", "exists", "anything-but", "equals-ignore-case", "wildcard", "cidr", "exactly":
				return nil, false
			}
		}
		alternatives = append(alternatives, o)
	}
	return alternatives, true
}

func matches(pattern, record map[string]any) bool {
	for key, want := range pattern {
		if alternatives, ok := choice(key, want); ok {
			if !slices.ContainsFunc(alternatives, func(a map[string]any) bool { return matches(a, record) }) {
				return false
			}
			continue
		}
		v, there := record[key]
		var values []any
		if there {
			values = flatten(v)
		}
		switch want := want.(type) {
		case map[string]any:
			if !matchesBelow(want, values) {
				return false
			}
		case []any:
			if !matchesValue(want, values) {
				return false
			}
		}
	}
	return true
}

func matchesBelow(pattern map[string]any, values []any) bool {
	found, some, all := false, false, true
	for _, v := range values {
		if o, ok := v.(map[string]any); ok {
			m := matches(pattern, o)
			found, some, all = true, some || m, all && m
		}
	}
	switch {
	case !found:
		return matches(pattern, nil)
	case onlyAbsence(pattern):
		return all
	}
	return some
}

func onlyAbsence(pattern map[string]any) bool {
	for key, want := range pattern {
		if alternatives, ok := choice(key, want); ok {
			if slices.ContainsFunc(alternatives, func(a map[string]any) bool { return !onlyAbsence(a) }) {
				return false
			}
			continue
		}
		switch want := want.(type) {
		case map[string]any:
			if !onlyAbsence(want) {
				return false
			}
		case []any:
			if slices.ContainsFunc(want, func(w any) bool { return !wantsAbsence(w) }) {
				return false
			}
		}
	}
	return true
}

func wantsAbsence(want any) bool {
	o, ok := want.(map[string]any)
	return ok && o["exists"] == false
}

func flatten(v any) (out []any) {
	list, ok := v.([]any)
	if !ok {
		return []any{v}
	}
	for _, e := range list {
		out = append(out, flatten(e)...)
	}
	return out
}

func matchesValue(wants, values []any) bool {
	scalars := slices.DeleteFunc(slices.Clone(values), func(v any) bool {
		_, object := v.(map[string]any)
		return object
	})
	for _, want := range wants {
		if wantsAbsence(want) && len(scalars) == 0 {
			return true
		}
		for _, v := range scalars {
			if !wantsAbsence(want) && matchesOne(want, v) {
				return true
			}
		}
	}
	return false
}

func matchesOne(want, v any) bool {
	s, isString := v.(string)
	n, isNumber := v.(json.Number)
	o, ok := want.(map[string]any)
	if !ok {
		return want == v
	}
	for op, arg := range o {
		text, _ := arg.(string)
		sub, isSub := arg.(map[string]any)
		if isSub && (op == "prefix" || op == "suffix") {
			text, op = sub["equals-ignore-case"].(string), op+"-fold"
		}
		switch op {
		case "exists":
			return true
		case "exactly":
			return isString && s == text
		case "equals-ignore-case":
			return isString && strings.EqualFold(s, text)
		case "prefix":
			return isString && strings.HasPrefix(s, text)
		case "suffix":
			return isString && strings.HasSuffix(s, text)
		case "prefix-fold", "suffix-fold":
			for i := range len(s) + 1 {
				part := s[:i]
				if op == "suffix-fold" {
					part = s[i:]
				}
				if isString && utf8.ValidString(part) && strings.EqualFold(part, text) {
					return true
				}
			}
			return false
		case "wildcard":
			return isString && wild(text, s)
		case "cidr":
			p, _ := netip.ParsePrefix(text)
			a, err := netip.ParseAddr(s)
			return isString && err == nil && a.Zone() == "" && p.Contains(a)
		case "numeric":
			return isNumber && between(arg.([]any), n)
		case "anything-but":
			return differs(arg, v)
		}
	}
	return false
}

func differs(arg, v any) bool {
	switch arg := arg.(type) {
	case []any:
		return !slices.Contains(arg, v)
	case map[string]any:
		for op, args := range arg {
			for _, one := range flatten(args) {
				if matchesOne(map[string]any{op: one}, v) {
					return false
				}
			}
		}
		return true
	}
	return arg != v
}

func between(list []any, n json.Number) bool {
	f, _ := strconv.ParseFloat(string(n), 64)
	for i := 0; i < len(list); i += 2 {
		bound, _ := strconv.ParseFloat(string(list[i+1].(json.Number)), 64)
		switch list[i] {
		case "=":
			if f != bound {
				return false
			}
		case "<":
			if f >= bound {
				return false
			}
		case "<=":
			if f > bound {
				return false
			}
		case ">":
			if f <= bound {
				return false
			}
		case ">=":
			if f < bound {
				return false
			}
		}
	}
	return true
}

func wild(pattern, s string) bool {
	switch {
	case pattern == "":
		return s == ""
	case pattern[0] == '*':
		return wild(pattern[1:], s) || s != "" && wild(pattern, s[1:])
	case pattern[0] == '\\':
		return s != "" && s[0] == pattern[1] && wild(pattern[2:], s[1:])
	}
	return s != "" && s[0] == pattern[0] && wild(pattern[1:], s[1:])
}
