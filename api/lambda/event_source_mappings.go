package lambda

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/mapping"
)

// This file holds what the five operations on event source mappings share: the shape of answers, and the caller.

// eventSourceMapping is AWS's EventSourceMappingConfiguration as it looks for a Kinesis stream: these members and no
// others, always all of them but those that are left out when they are empty. Source: Lambda API Reference,
// EventSourceMappingConfiguration.
type eventSourceMapping struct {
	UUID                           string
	StartingPosition               string
	StartingPositionTimestamp      *epochSeconds `json:",omitempty"`
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	ParallelizationFactor          int
	EventSourceArn                 string
	FunctionArn                    string
	LastModified                   epochSeconds
	LastProcessingResult           string
	State                          mapping.State
	StateTransitionReason          string
	DestinationConfig              mappingDestination
	MaximumRecordAgeInSeconds      int // -1: no limit
	BisectBatchOnFunctionError     bool
	MaximumRetryAttempts           int
	TumblingWindowInSeconds        int
	FunctionResponseTypes          []string
	FilterCriteria                 *filterCriteria      `json:",omitempty"`
	FilterCriteriaError            *filterCriteriaError `json:",omitempty"`
	KMSKeyArn                      string               `json:",omitempty"`
	MetricsConfig                  *mappingMetrics      `json:",omitempty"`
	EventSourceMappingArn          string
}

type filterCriteria struct {
	Filters []struct{ Pattern string }
}

// filterCriteriaError says why the filters of a mapping cannot be used.
type filterCriteriaError struct{ ErrorCode, Message string }

type mappingMetrics struct{ Metrics []string }

type mappingDestination struct {
	OnFailure struct {
		Destination string `json:",omitempty"`
	}
}

// epochSeconds is a timestamp as REST-JSON has it: seconds since 1970 with a fraction.
type epochSeconds time.Time

func (e epochSeconds) MarshalJSON() ([]byte, error) {
	ms := time.Time(e).UnixMilli()
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	return fmt.Appendf(nil, "%s%d.%03d", sign, ms/1000, ms%1000), nil
}

var _ json.Marshaler = epochSeconds{}

func showMapping(m *mapping.Mapping) eventSourceMapping {
	a := eventSourceMapping{
		UUID:                           m.UUID,
		StartingPosition:               m.StartingPosition,
		BatchSize:                      m.BatchSize,
		MaximumBatchingWindowInSeconds: int(m.BatchingWindow / time.Second),
		ParallelizationFactor:          m.ParallelizationFactor,
		EventSourceArn:                 m.EventSourceARN,
		FunctionArn:                    m.FunctionARN,
		LastModified:                   epochSeconds(m.LastModified),
		LastProcessingResult:           m.LastResult,
		State:                          m.State,
		StateTransitionReason:          m.StateReason,
		MaximumRecordAgeInSeconds:      -1,
		BisectBatchOnFunctionError:     m.Bisect,
		MaximumRetryAttempts:           m.MaxRetries,
		TumblingWindowInSeconds:        int(m.TumblingWindow / time.Second),
		FunctionResponseTypes:          []string{},
		EventSourceMappingArn:          m.ARN(),
	}
	if at := m.StartingPositionTimestamp; at != nil {
		a.StartingPositionTimestamp = new(epochSeconds(at.Time()))
	}
	a.DestinationConfig.OnFailure.Destination = m.Destination
	if m.MaxAge > 0 {
		a.MaximumRecordAgeInSeconds = int(m.MaxAge / time.Second)
	}
	if m.EventCount {
		a.MetricsConfig = &mappingMetrics{[]string{"EventCount"}}
	}
	if len(m.Filters) > 0 {
		a.FilterCriteria = &filterCriteria{}
		for _, p := range m.Filters {
			a.FilterCriteria.Filters = append(a.FilterCriteria.Filters, struct{ Pattern string }{p})
		}
		if _, err := m.Filter(); err != nil {
			a.FilterCriteriaError = &filterCriteriaError{
				fault.CodeInvalidParameter, "Invalid filter pattern definition.",
			}
		}
	}
	a.KMSKeyArn = m.KMSKeyARN
	if m.PartialResponses {
		a.FunctionResponseTypes = append(a.FunctionResponseTypes, "ReportBatchItemFailures")
	}
	return a
}

func mappingCaller(c wire.Caller) mapping.Caller {
	return mapping.Caller{Account: c.Account, Region: c.Region}
}
