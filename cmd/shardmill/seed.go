package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/seed"
)

// seeder brings a server to the state that a seed file asks for, with the requests that any client would send.
type seeder struct {
	file   string
	plan   *seed.Plan
	region string
	secret string                           // of the key of the account; see client.signer
	say    func(format string, args ...any) // reports to people what was done

	c      *client
	counts map[string]int // by what was done
}

const seedAccount = "000000000000"

// loadSeed reads and checks a seed file and the code that it names. Nothing is started before that.
func loadSeed(ctx context.Context, file string, say func(string, ...any)) (*seeder, error) {
	region, err := regionOf("")
	if err != nil {
		return nil, err
	}
	content, err := readBounded(file, seed.MaxBytes)
	if err != nil {
		return nil, &failure{code: exitUsage, text: "the seed file cannot be read", err: err}
	}
	s := &seeder{file: file, region: region, say: say}
	if s.plan, err = seed.Parse(file, content, seed.Owner{Account: seedAccount, Region: region}); err != nil {
		return nil, &failure{code: exitUsage, text: err.Error(), hint: "every key is in docs/seed.md"}
	}
	if s.plan.Empty() {
		return nil, &failure{
			code: exitUsage, text: fmt.Sprintf("the seed file %s names nothing to begin with", file),
			hint: "what it may name is in docs/seed.md",
		}
	}
	for i := range s.plan.Functions {
		f := &s.plan.Functions[i]
		err := checkCode(ctx, s.code(f))
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, &failure{
				code: exitUsage,
				text: f.Key("CodeUri").Errorf("the code of the function %s cannot be used: %s", f.Name, err).Error(),
			}
		}
	}
	return s, nil
}

// checkCode finds what would keep code from being packed, without reading the files.
func checkCode(ctx context.Context, name string) error {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist; if a build writes it, build first", name)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if !strings.HasSuffix(name, ".zip") {
			return fmt.Errorf("%s is neither a directory nor a .zip file", name)
		}
		f, err := openFile(name)
		if err == nil {
			err = f.Close()
		}
		return err
	}
	t, err := scanCode(ctx, name, false)
	if err == nil && len(t.files) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	return err
}

// code returns the path of a function's code: relative ones start at the seed file.
func (s *seeder) code(f *seed.Item) string {
	name, _ := f.Input["CodeUri"].(string) // required
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(s.file), name)
}

// apply creates what is missing and updates what differs; what cannot be updated is refused by name. It is
// server.Config.Prepare.
func (s *seeder) apply(ctx context.Context, endpoint string) error {
	if s.c == nil { // a reset calls it again, with the same endpoint
		s.c = newClient(endpoint, seedAccount, s.region)
		s.c.own.secret = s.secret
	}
	s.counts = map[string]int{}
	for _, section := range []struct {
		what  string
		items []seed.Item
		apply func(context.Context, *seed.Item) (string, error)
	}{
		{"stream", s.plan.Streams, s.stream},
		{"table", s.plan.Tables, s.table},
		{"queue", s.plan.Queues, s.queue},
		{"function", s.plan.Functions, s.function},
		{"mapping", s.plan.Mappings, s.mapping},
	} {
		for i := range section.items {
			it := &section.items[i]
			done, err := section.apply(ctx, it)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				return s.failed(it, section.what, err)
			}
			s.counts[done]++
			if done != unchanged {
				s.say("seed: %s %s %s", section.what, title(it), done)
			}
		}
	}
	s.say(
		"seed: %s is in place: %d made, %d updated, %d as they were", s.file, s.counts[made], s.counts[updated],
		s.counts[unchanged],
	)
	return nil
}

// What was done to an item.
const (
	made      = "made"
	updated   = "updated"
	unchanged = "unchanged"
)

// title returns an item's name for people: a mapping has both its ends.
func title(it *seed.Item) string {
	source, ok := it.Input["EventSourceArn"].(string)
	if !ok {
		return it.Name
	}
	return source[strings.LastIndexAny(source, ":/")+1:] + " → " + it.Name
}

// failed adds to an error where in the file it comes from.
func (s *seeder) failed(it *seed.Item, what string, err error) error {
	var at *seed.Error
	if errors.As(err, &at) {
		return &failure{text: at.Error()}
	}
	f := &failure{text: it.At.Errorf("the %s %s: %s", what, title(it), err).Error()}
	var api *apiError
	if errors.As(err, &api) {
		f.hint = api.hint
	}
	return f
}

func isCode(err error, code string) bool {
	var e *apiError
	return errors.As(err, &e) && e.code == code
}

func (s *seeder) stream(ctx context.Context, it *seed.Item) (string, error) {
	var got struct{ StreamDescriptionSummary map[string]any }
	err := s.c.kinesis(ctx, "DescribeStreamSummary", map[string]any{"StreamName": it.Name}, &got)
	if isCode(err, fault.CodeNotFound) {
		in := maps.Clone(it.Input)
		delete(in, "Name")
		in["StreamName"] = it.Name
		return made, s.c.kinesis(ctx, "CreateStream", in, nil)
	}
	if err != nil {
		return "", err
	}
	have := got.StreamDescriptionSummary
	have["ShardCount"] = have["OpenShardCount"]
	delete(have, "Name")
	for _, key := range different(it.Input, have) {
		if key != "Name" {
			return "", it.Key(
				key,
			).Errorf("the stream %s is there with another %s (%v), which a seed file does not change; delete the stream, or write what it has",
				it.Name, key, have[key])
		}
	}
	return unchanged, nil
}

func (s *seeder) table(ctx context.Context, it *seed.Item) (string, error) {
	in := maps.Clone(it.Input)
	if in["BillingMode"] == nil && in["ProvisionedThroughput"] == nil {
		in["BillingMode"] = "PAY_PER_REQUEST"
	}
	err := s.c.dynamodb(ctx, "CreateTable", in, nil)
	if !isCode(err, fault.CodeInUse) {
		return made, err
	}
	var got struct{ Table map[string]any }
	if err := s.c.dynamodb(ctx, "DescribeTable", map[string]any{"TableName": it.Name}, &got); err != nil {
		return "", err
	}
	have := got.Table
	have["BillingMode"] = "PROVISIONED" // a description omits it
	if billing, ok := have["BillingModeSummary"].(map[string]any); ok {
		have["BillingMode"] = billing["BillingMode"]
	}
	for _, key := range different(in, have) {
		return "", it.Key(key).Errorf(
			"the table %s is there with another %s, which a seed file does not change; delete the table, or write what it has",
			it.Name, key,
		)
	}
	return unchanged, nil
}

func (s *seeder) queue(ctx context.Context, it *seed.Item) (string, error) {
	attributes := map[string]string{}
	for k, v := range it.Input {
		if n, ok := v.(int64); ok {
			attributes[k] = strconv.FormatInt(n, 10)
		}
	}
	done := unchanged
	if err := s.c.sqs(ctx, "GetQueueUrl", map[string]any{"QueueName": it.Name}, nil); err != nil {
		done = made // else CreateQueue says what is wrong
	}
	// Created again with the same attributes, a queue stays as it is; with others the API refuses and names them.
	return done, s.c.sqs(ctx, "CreateQueue", map[string]any{"QueueName": it.Name, "Attributes": attributes}, nil)
}

const mappingsPath = "/2015-03-31/event-source-mappings"

func (s *seeder) mapping(ctx context.Context, it *seed.Item) (string, error) {
	source, _ := it.Input["EventSourceArn"].(string) // required
	have, err := findMapping(ctx, s.c, it.Name, source)
	if err != nil {
		return "", err
	}
	if have == nil {
		return made, s.c.lambda(ctx, "POST", mappingsPath, it.Input, nil)
	}
	arn, _ := have["EventSourceMappingArn"].(string)
	tagged, err := s.tag(ctx, arn, it)
	if err != nil {
		return "", err
	}
	have["FunctionName"] = it.Name
	have["Enabled"] = have["State"] != "Disabled" && have["State"] != "Disabling"
	want := maps.Clone(it.Input)
	delete(want, "Tags")
	change := map[string]any{}
	for _, key := range different(want, have) {
		if strings.HasPrefix(key, "StartingPosition") {
			return "", it.Key(key).Errorf(
				"the mapping %s is there with another %s, which cannot be changed; delete the mapping, or write what it has",
				title(it), key,
			)
		}
		change[key] = it.Input[key]
	}
	if len(change) == 0 {
		return tagged, nil
	}
	uuid, _ := have["UUID"].(string)
	return updated, s.c.lambda(ctx, "PUT", mappingsPath+"/"+uuid, change, nil)
}

// tag gives a resource that is there the tags of an item that it lacks. Others stay: somebody else may have set them.
func (s *seeder) tag(ctx context.Context, arn string, it *seed.Item) (string, error) {
	want := map[string]any{"Tags": it.Input["Tags"]}
	if want["Tags"] == nil {
		return unchanged, nil
	}
	path := "/2017-03-31/tags/" + url.PathEscape(arn)
	var have map[string]any
	if err := s.c.lambda(ctx, "GET", path, nil, &have); err != nil {
		return "", err
	}
	if len(different(want, have)) == 0 {
		return unchanged, nil
	}
	return updated, s.c.lambda(ctx, "POST", path, want, nil)
}

// findMapping returns the mapping between a source and a function; nil if there is none.
func findMapping(ctx context.Context, c *client, function, source string) (map[string]any, error) {
	q := url.Values{"FunctionName": {function}, "EventSourceArn": {source}}
	var got struct{ EventSourceMappings []map[string]any }
	if err := c.lambda(ctx, "GET", mappingsPath+"?"+q.Encode(), nil, &got); err != nil {
		if isCode(err, fault.CodeNotFound) {
			return nil, nil
		}
		return nil, err
	}
	for _, m := range got.EventSourceMappings {
		if m["State"] != "Deleting" {
			return m, nil
		}
	}
	return nil, nil
}

// different lists the keys of want whose values differ in have, in order. Keys that want does not name are ignored.
func different(want, have map[string]any) []string {
	var keys []string
	plain := inJSON(want)
	for _, k := range slices.Sorted(maps.Keys(plain)) {
		if !shows(have[k], plain[k], k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// shows reports whether everything in want is in have. Lists are compared as sets, because services reorder some of
// them. Environment variables are compared as a whole: an extra one is a difference.
func shows(have, want any, key string) bool {
	if list, ok := want.([]any); ok {
		h, _ := have.([]any) // else it has no elements
		return len(h) == len(list) && !slices.ContainsFunc(list, func(w any) bool {
			return !slices.ContainsFunc(h, func(h any) bool { return shows(h, w, key) })
		})
	}
	w, ok := want.(map[string]any)
	if !ok || key == "Variables" {
		return reflect.DeepEqual(have, want)
	}
	h, ok := have.(map[string]any)
	if !ok {
		return false
	}
	for k := range w {
		if !shows(h[k], w[k], k) {
			return false
		}
	}
	return true
}

// inJSON returns v after a round trip through JSON, so that numbers compare equal.
func inJSON(v map[string]any) map[string]any {
	b, err := json.Marshal(v)
	var out map[string]any
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	if err != nil {
		panic(err) // everything in a seed has a form in JSON
	}
	return out
}
