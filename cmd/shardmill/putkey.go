package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxKey is how many characters a partition key may have.
const maxKey = 256

// keyer chooses partition keys.
type keyer struct {
	key   string   // of every record; "": by the data
	field []string // where in JSON data the key is; nil: not there
}

// parseField reads --key-field: names of members and indexes of arrays, with dots between them.
func parseField(path string) ([]string, error) {
	field := strings.Split(path, ".")
	for _, name := range field {
		if name == "" {
			return nil, fmt.Errorf("%q is not the way to a field, such as customer.id or items.0.sku", path)
		}
	}
	return field, nil
}

// of returns the partition key of a record. The error ends a sentence that begins with what the record is.
func (k *keyer) of(data []byte) (string, error) {
	if k.field == nil {
		return first(k.key, clipKey(string(data)), "empty"), nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // a key is what the data says, and not a number near to it
	var v any
	if err := d.Decode(&v); err != nil || !utf8.Valid(data) {
		return "", errors.New("is not JSON")
	}
	if _, err := d.Token(); err == nil {
		return "", errors.New("is more than one JSON document")
	}
	path := strings.Join(k.field, ".")
	for _, name := range k.field {
		v = memberOf(v, name)
	}
	var key string
	switch v := v.(type) {
	case nil:
		return "", fmt.Errorf("has no field %s", path)
	case string:
		key = v
	case json.Number:
		key = v.String()
	case bool:
		key = strconv.FormatBool(v)
	default:
		return "", fmt.Errorf("has a field %s that is no text, number or boolean", path)
	}
	if n := utf8.RuneCountInString(key); n < 1 || n > maxKey {
		return "", fmt.Errorf("has a field %s of %s; a partition key has 1 to %d", path, counted(n, "character"), maxKey)
	}
	return key, nil
}

// memberOf returns a member of an object or an array, nil if there is none.
func memberOf(v any, name string) any {
	switch v := v.(type) {
	case map[string]any:
		return v[name]
	case []any:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(v) {
			return v[i]
		}
	}
	return nil
}

// clipKey cuts a partition key to the characters that are allowed.
func clipKey(s string) string {
	n := 0
	for i := range s {
		if n == maxKey {
			return s[:i]
		}
		n++
	}
	return s
}
