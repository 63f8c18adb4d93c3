package cloudwatch

import (
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/shardmill/shardmill/fault"
)

// bind fills an input from what a protocol has parsed: maps and lists of values, or a *node of a form, in which every
// value is text. Members that no input has are ignored, as AWS does; null counts as absent. A value of the wrong type
// is the caller's fault.
func bind(v any, into reflect.Value, path string) error {
	if n, ok := v.(*node); ok && into.Kind() != reflect.Pointer {
		if into.Kind() == reflect.Slice {
			v = n.list()
		} else if into.Kind() != reflect.Struct || isInstant(into.Type()) {
			v = n.text
		}
	}
	if isInstant(into.Type()) {
		return bindInstant(v, into, path)
	}
	switch into.Kind() {
	case reflect.Pointer:
		if v == nil {
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		return bind(v, into.Elem(), path)
	case reflect.Struct:
		return bindStruct(v, into, path)
	case reflect.Slice:
		return bindList(v, into, path)
	case reflect.String:
		s, ok := v.(string)
		if !ok {
			return wrongType(path)
		}
		into.SetString(s)
	case reflect.Bool:
		switch v {
		case true, "true":
			into.SetBool(true)
		case false, "false":
		default:
			return wrongType(path)
		}
	case reflect.Float64:
		f, ok := number(v)
		if !ok {
			return wrongType(path)
		}
		into.SetFloat(f)
	case reflect.Int:
		f, ok := number(v)
		if !ok || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
			return wrongType(path)
		}
		into.SetInt(int64(f))
	default:
		panic("cloudwatch: an input has a field of kind " + into.Kind().String())
	}
	return nil
}

func bindStruct(v any, into reflect.Value, path string) error {
	var member func(name string) any
	switch v := v.(type) {
	case map[string]any:
		member = func(name string) any { return v[name] }
	case *node:
		member = func(name string) any {
			if child := v.children[name]; child != nil {
				return child
			}
			return nil
		}
	default:
		return wrongType(path)
	}
	for i := range into.NumField() {
		field := into.Type().Field(i)
		name := field.Tag.Get("aws")
		if name == "" {
			name = field.Name
		}
		if value := member(name); value != nil {
			if err := bind(value, into.Field(i), under(path, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func bindList(v any, into reflect.Value, path string) error {
	values, ok := v.([]any)
	if !ok {
		return wrongType(path)
	}
	out := reflect.MakeSlice(into.Type(), len(values), len(values))
	for i, value := range values {
		if value == nil {
			return wrongType(element(path, i))
		}
		if err := bind(value, out.Index(i), element(path, i)); err != nil {
			return err
		}
	}
	into.Set(out)
	return nil
}

func isInstant(t reflect.Type) bool { return t == reflect.TypeFor[instant]() }

// bindInstant takes a time of CBOR, seconds since 1970, or ISO 8601.
func bindInstant(v any, into reflect.Value, path string) error {
	var at time.Time
	switch v := v.(type) {
	case time.Time:
		at = v
	case string:
		var ok bool
		if at, ok = parseTime(v); !ok {
			return wrongType(path)
		}
	default:
		f, ok := number(v)
		if !ok || math.Abs(f) > maxSeconds || math.IsNaN(f) {
			return wrongType(path)
		}
		at = time.UnixMilli(int64(math.Round(f * 1000)))
	}
	if s := at.Unix(); s < -maxSeconds || s > maxSeconds {
		return wrongType(path)
	}
	into.Set(reflect.ValueOf(instant(at.UTC())))
	return nil
}

// maxSeconds keeps times where they can be counted in nanoseconds.
const maxSeconds = 9_000_000_000

func parseTime(s string) (time.Time, bool) {
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02",
	} {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// number reads a number of JSON or CBOR, or the text that forms and JSON write for it.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case uint64:
		return float64(v), true
	case int64:
		return float64(v), true
	case string:
		f, err := strconv.ParseFloat(v, 64)
		return f, err == nil && v[0] != '+' && len(v) < 64
	}
	return 0, false
}

func under(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// element names an element of a list as AWS's messages do.
func element(path string, i int) string { return path + ".member." + strconv.Itoa(i+1) }

func wrongType(path string) error {
	if path == "" {
		return fault.New(fault.CodeSerialization, "The request is not a structure.")
	}
	return fault.New(
		fault.CodeSerialization, "The value of %s does not have the type that the operation expects.", path,
	)
}
