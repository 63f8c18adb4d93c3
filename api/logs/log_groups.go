package logs

import (
	"context"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
)

type groupInput struct {
	LogGroupName *string
}

type createLogGroupInput struct {
	groupInput
	KmsKeyID                  *string `json:"kmsKeyId"`
	LogGroupClass             *string
	DeletionProtectionEnabled bool
	Tags                      map[string]string
}

// createLogGroup makes a group. Source: CloudWatch Logs API Reference, CreateLogGroup. Encryption by KMS, classes other
// than STANDARD and deletion protection are refused by name.
func (h *Handler) createLogGroup(_ context.Context, c wire.Caller, in *createLogGroupInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	v.tags(in.Tags)
	if err := v.err(); err != nil {
		return nil, err
	}
	switch {
	case in.KmsKeyID != nil:
		return nil, unsupported("kmsKeyId")
	case in.LogGroupClass != nil && *in.LogGroupClass != "STANDARD":
		return nil, absent.Parameter(logstore.CodeInvalid, "the logGroupClass "+clip(*in.LogGroupClass))
	case in.DeletionProtectionEnabled:
		return nil, unsupported("deletionProtectionEnabled")
	}
	return nil, h.store.CreateGroup(group(c, *in.LogGroupName), in.Tags)
}

// deleteLogGroup deletes a group with its streams and events. Source: CloudWatch Logs API Reference, DeleteLogGroup.
func (h *Handler) deleteLogGroup(_ context.Context, c wire.Caller, in *groupInput) (any, error) {
	var v violations
	v.group(in.LogGroupName)
	if err := v.err(); err != nil {
		return nil, err
	}
	return nil, h.store.DeleteGroup(group(c, *in.LogGroupName))
}

type describeLogGroupsInput struct {
	LogGroupNamePrefix, LogGroupNamePattern, NextToken *string
	AccountIdentifiers, LogGroupIdentifiers            []string
	IncludeLinkedAccounts                              bool
	LogGroupClass                                      *string
	Limit                                              *int64
}

type groupAnswer struct {
	LogGroupName      string `json:"logGroupName"`
	CreationTime      int64  `json:"creationTime"`
	RetentionInDays   int    `json:"retentionInDays,omitempty"`
	MetricFilterCount int    `json:"metricFilterCount"`
	ARN               string `json:"arn"`
	StoredBytes       int64  `json:"storedBytes"`
	LogGroupClass     string `json:"logGroupClass"`
	LogGroupARN       string `json:"logGroupArn"`
}

type describeLogGroupsAnswer struct {
	LogGroups []groupAnswer `json:"logGroups"`
	NextToken string        `json:"nextToken,omitempty"`
}

// describeLogGroups lists groups by name. Source: CloudWatch Logs API Reference, DescribeLogGroups.
func (h *Handler) describeLogGroups(_ context.Context, c wire.Caller, in *describeLogGroupsInput) (any, error) {
	var v violations
	v.text("logGroupNamePrefix", in.LogGroupNamePrefix, false, maxName, groupNames, groupPattern)
	if in.LogGroupNamePattern != nil && *in.LogGroupNamePattern != "" {
		v.text("logGroupNamePattern", in.LogGroupNamePattern, false, maxName, groupNames, groupPattern)
	}
	limit := v.limit(in.Limit, 50)
	if err := v.err(); err != nil {
		return nil, err
	}
	switch {
	case in.LogGroupNamePrefix != nil && in.LogGroupNamePattern != nil:
		return nil, invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.")
	case in.IncludeLinkedAccounts:
		return nil, unsupported("includeLinkedAccounts")
	case len(in.AccountIdentifiers) > 0:
		return nil, unsupported("accountIdentifiers")
	case len(in.LogGroupIdentifiers) > 0:
		return nil, unsupported("logGroupIdentifiers")
	}
	var all []logstore.GroupInfo
	for _, g := range h.store.Groups(c.Account, c.Region) {
		if in.LogGroupNamePrefix != nil && !strings.HasPrefix(g.Group.Name, *in.LogGroupNamePrefix) ||
			in.LogGroupNamePattern != nil && !strings.Contains(
				strings.ToLower(g.Group.Name), strings.ToLower(*in.LogGroupNamePattern),
			) ||
			in.LogGroupClass != nil && *in.LogGroupClass != "STANDARD" {
			continue
		}
		all = append(all, g)
	}
	all, next, err := page(all, limit, in.NextToken, false, func(g logstore.GroupInfo) string { return g.Group.Name })
	if err != nil {
		return nil, err
	}
	out := describeLogGroupsAnswer{LogGroups: make([]groupAnswer, 0, len(all)), NextToken: next}
	for _, g := range all {
		name := g.Group.ARN()
		out.LogGroups = append(out.LogGroups, groupAnswer{
			LogGroupName: g.Group.Name, CreationTime: g.Created.UnixMilli(), RetentionInDays: g.Retention,
			StoredBytes: g.Bytes,
			ARN:         name + ":*", LogGroupARN: name, LogGroupClass: "STANDARD",
		})
	}
	return out, nil
}
