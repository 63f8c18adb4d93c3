package sns

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/topic"
)

// entryXML is one entry of a map of texts in an answer.
type entryXML struct {
	Key   string `xml:"key"`
	Value string `xml:"value"`
}

type attributesAnswer struct {
	Entries []entryXML `xml:"Attributes>entry"`
}

func attributesOf(m map[string]string) attributesAnswer {
	var a attributesAnswer
	for _, key := range slices.Sorted(maps.Keys(m)) {
		a.Entries = append(a.Entries, entryXML{key, m[key]})
	}
	return a
}

type topicXML struct {
	TopicArn string
}

// createTopic makes a standard topic. Source: SNS API Reference, CreateTopic.
func (h *Handler) createTopic(ctx context.Context, c wire.Caller, r *request) (any, error) {
	if err := r.need("Name"); err != nil {
		return nil, err
	}
	if r.Get("DataProtectionPolicy") != "" {
		return nil, absent.Parameter(topic.CodeInvalid, "DataProtectionPolicy")
	}
	attributes := r.entries("Attributes")
	name := topic.Name{Account: c.Account, Region: c.Region, Name: r.Get("Name")}
	if attributes["FifoTopic"] == "true" || strings.HasSuffix(name.Name, ".fifo") {
		return nil, absent.Parameter(topic.CodeInvalid, "FIFO topics")
	}
	tags, err := r.tags()
	if err != nil {
		return nil, err
	}
	if err := h.topics.Create(ctx, name, attributes, tags); err != nil {
		return nil, named(err)
	}
	return topicXML{name.ARN()}, nil
}

// deleteTopic deletes a topic with its subscriptions. Source: SNS API Reference, DeleteTopic.
func (h *Handler) deleteTopic(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	return nil, h.topics.Delete(ctx, name)
}

type listTopicsAnswer struct {
	Topics    []topicXML `xml:"Topics>member"`
	NextToken string     `xml:",omitempty"`
}

// listTopics lists the caller's topics in the region. Source: SNS API Reference, ListTopics.
func (h *Handler) listTopics(ctx context.Context, c wire.Caller, r *request) (any, error) {
	behind, err := r.behind()
	if err != nil {
		return nil, err
	}
	names, more, err := h.topics.List(ctx, c.Account, c.Region, behind, pageSize)
	if err != nil {
		return nil, err
	}
	var a listTopicsAnswer
	for _, n := range names {
		a.Topics = append(a.Topics, topicXML{topic.Name{Account: c.Account, Region: c.Region, Name: n}.ARN()})
	}
	if more {
		a.NextToken = next(names[len(names)-1])
	}
	return a, nil
}

// getTopicAttributes shows a topic. Source: SNS API Reference, GetTopicAttributes.
func (h *Handler) getTopicAttributes(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	attributes, err := h.topics.Attributes(ctx, name)
	if err != nil {
		return nil, err
	}
	return attributesOf(attributes), nil
}

// setTopicAttributes changes one attribute of a topic. Source: SNS API Reference, SetTopicAttributes.
func (h *Handler) setTopicAttributes(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	if err := r.need("TopicArn", "AttributeName"); err != nil {
		return nil, err
	}
	name, err := r.topic("TopicArn")
	if err != nil {
		return nil, err
	}
	return nil, named(h.topics.SetAttribute(ctx, name, r.Get("AttributeName"), r.Get("AttributeValue")))
}

// tagResource adds tags to a topic. Source: SNS API Reference, TagResource.
func (h *Handler) tagResource(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := r.topic("ResourceArn")
	if err != nil {
		return nil, err
	}
	tags, err := r.tags()
	if err != nil {
		return nil, err
	}
	return struct{}{}, h.topics.Tag(ctx, name, tags)
}

// untagResource removes tags from a topic. Source: SNS API Reference, UntagResource.
func (h *Handler) untagResource(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := r.topic("ResourceArn")
	if err != nil {
		return nil, err
	}
	return struct{}{}, h.topics.Untag(ctx, name, r.Strings("TagKeys.member"))
}

type tagXML struct {
	Key   string
	Value string
}

type listTagsAnswer struct {
	Tags []tagXML `xml:"Tags>member"`
}

// listTagsForResource lists the tags of a topic. Source: SNS API Reference, ListTagsForResource.
func (h *Handler) listTagsForResource(ctx context.Context, _ wire.Caller, r *request) (any, error) {
	name, err := r.topic("ResourceArn")
	if err != nil {
		return nil, err
	}
	tags, err := h.topics.Tags(ctx, name)
	if err != nil {
		return nil, err
	}
	var a listTagsAnswer
	for _, t := range tags {
		a.Tags = append(a.Tags, tagXML(t))
	}
	return a, nil
}
