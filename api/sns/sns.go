// Package sns serves Amazon SNS (query protocol, version 2010-03-31) in front of companion/topic.
//
// HTTP requests that wire.Router has routed here come in, AWS's answers go out; companion/topic decides what a topic
// does. Operations and parameters that AWS has and this room does not are refused by name. The shapes are those of the
// SNS API Reference; docs/compat/sns.md lists what differs.
package sns

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/topic"
	"github.com/shardmill/shardmill/fault"
)

// Version is the one version of this API.
const Version = "2010-03-31"

const namespace = "http://sns.amazonaws.com/doc/2010-03-31/"

// Bounds of a request: a message of 256 KiB of which every byte is written as %XX, and a policy beside it, and room
// around them; ten messages with some hundred attributes each.
const (
	maxRequestBytes = 3*topic.MaxMessageBytes + 512<<10
	maxFormFields   = 5000
)

// Codes that only the wire gives.
const (
	codeValidation    = "ValidationError"
	codeInvalidAction = "InvalidAction"
	codeBatchEmpty    = "EmptyBatchRequest"
	codeBatchTooMany  = "TooManyEntriesInBatchRequest"
	codeBatchTooLong  = "BatchRequestTooLong"
	codeBatchEntryID  = "InvalidBatchEntryId"
	codeBatchIDsTwice = "BatchEntryIdsNotDistinct"
)

// statuses are those of codes that are not 400.
var statuses = map[string]int{
	topic.CodeNotFound: 404, topic.CodeResourceNotFound: 404, topic.CodeInternal: 500, topic.CodeThrottled: 429,
	topic.CodeSubscriptionLimit: 403, topic.CodeAuthorization: 403,
}

// Options are what the handler needs. Topics is required; a nil Log is silent.
type Options struct {
	Topics *topic.Topics
	Log    *slog.Logger
}

// Handler carries out the operations of SNS.
type Handler struct {
	topics *topic.Topics
	log    *slog.Logger
}

// New returns the handler of the service. It finds the caller with wire.CallerOf. Safe for concurrent use.
func New(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	faults := wire.Faults{
		Internal: topic.CodeInternal, Unavailable: fault.CodeUnavailable, Statuses: statuses,
		Stopped: []error{topic.ErrStopped}, Log: o.Log,
	}
	h := &Handler{o.Topics, o.Log}
	return &wire.Query[*Handler, *request]{
		Of: h, Model: &model, Namespace: namespace, Limit: maxRequestBytes, Read: h.read,
		Fault: faults.Of, Refuse: Refuse, Hint: func(r *request) string { return strings.Join(r.hints, "; ") },
		Unknown: func(action string) *fault.Error {
			return fault.New(codeInvalidAction, "Could not find operation %s for version %s", clip(action), Version)
		},
	}
}

// Service returns this service's row of the shared port; h is what New made.
func Service(h http.Handler) wire.Service {
	return wire.Service{
		Name: "sns", Needs: wire.Header, Dialect: wire.Forms, Handler: h, Refuse: Refuse,
		Codes: wire.Codes{
			Internal: topic.CodeInternal, Unavailable: fault.CodeUnavailable, Unsigned: wire.CodeMissingToken,
		},
	}
}

// Refuse answers a fault.
func Refuse(w http.ResponseWriter, r *http.Request, f *fault.Error) {
	wire.Hint(w.Header(), f.Hint)
	wire.WriteQueryError(w, wire.CallerOf(r.Context()), namespace, f.Code, f)
}

// absent refuses what Amazon SNS has and this room does not.
const absent = wire.Absent("sns")

// operation is a row of the model; a nil answer is one without a result.
type operation = wire.Operation[*Handler, *request]

// model is what Amazon SNS has.
var model = wire.Model[operation]{
	Absent: absent,
	Served: map[string]operation{
		"ConfirmSubscription":       {Serve: (*Handler).confirmSubscription},
		"CreateTopic":               {Serve: (*Handler).createTopic},
		"DeleteTopic":               {Serve: (*Handler).deleteTopic},
		"GetSubscriptionAttributes": {Serve: (*Handler).getSubscriptionAttributes},
		"GetTopicAttributes":        {Serve: (*Handler).getTopicAttributes},
		"ListSubscriptions":         {Serve: (*Handler).listSubscriptions},
		"ListSubscriptionsByTopic":  {Serve: (*Handler).listSubscriptionsByTopic},
		"ListTagsForResource":       {Serve: (*Handler).listTagsForResource},
		"ListTopics":                {Serve: (*Handler).listTopics},
		"Publish":                   {Serve: (*Handler).publish},
		"PublishBatch":              {Serve: (*Handler).publishBatch},
		"SetSubscriptionAttributes": {Serve: (*Handler).setSubscriptionAttributes},
		"SetTopicAttributes":        {Serve: (*Handler).setTopicAttributes},
		"Subscribe":                 {Serve: (*Handler).subscribe},
		"TagResource":               {Serve: (*Handler).tagResource},
		"Unsubscribe":               {Serve: (*Handler).unsubscribe},
		"UntagResource":             {Serve: (*Handler).untagResource},
	},
	Others: `AddPermission CheckIfPhoneNumberIsOptedOut CreatePlatformApplication CreatePlatformEndpoint
		CreateSMSSandboxPhoneNumber DeleteEndpoint DeletePlatformApplication DeleteSMSSandboxPhoneNumber
		GetDataProtectionPolicy GetEndpointAttributes GetPlatformApplicationAttributes GetSMSAttributes
		GetSMSSandboxAccountStatus ListEndpointsByPlatformApplication ListOriginationNumbers
		ListPhoneNumbersOptedOut ListPlatformApplications ListSMSSandboxPhoneNumbers OptInPhoneNumber
		PutDataProtectionPolicy RemovePermission SetEndpointAttributes SetPlatformApplicationAttributes
		SetSMSAttributes VerifySMSSandboxPhoneNumber`,
}

// named turns the refusal of an attribute that AWS has and we do not into a fault that names it.
func named(err error) error {
	var u *topic.Unsupported
	if errors.As(err, &u) {
		return absent.Parameter(topic.CodeInvalid, "the attribute "+u.Attribute)
	}
	return err
}
