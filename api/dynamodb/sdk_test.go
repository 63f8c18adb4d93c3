package dynamodb

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/api/wire/wiretest"
	"github.com/shardmill/shardmill/companion/table"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// bench is AWS's SDK for Go against the service behind the shared port. The SDK verifies the check sum of every answer.
type bench struct {
	t      *testing.T
	c      *client.Client
	clock  *clock.Clock
	server *httptest.Server
	h      *Handler
}

func setup(t *testing.T) *bench { return setupOn(t, memory.New(memory.Options{}).Local()) }

func setupOn(t *testing.T, local storage.Local) *bench {
	t.Helper()
	c := clock.New(0)
	tables, err := table.New(table.Options{Local: local, Clock: c})
	if err == nil {
		err = tables.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tables.Stop)
	h := New(Options{Tables: tables})
	server := httptest.NewServer(&wire.Router{Services: []wire.Service{Service(h)}})
	t.Cleanup(server.Close)
	return &bench{t, client.New(client.Options{
		BaseEndpoint: aws.String(server.URL), Region: "eu-central-1",
		Credentials:      credentials.NewStaticCredentialsProvider("111122223333", "secret", ""),
		HTTPClient:       &http.Client{Transport: wiretest.WholeBodies{Next: server.Client().Transport}},
		RetryMaxAttempts: 1,
	}), c, server, h}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// events makes the tutorial's table: one hash key, eventId.
func (b *bench) events() *bench { return b.table("events", "eventId:S") }

// table makes a table whose key is written name:type, then perhaps another.
func (b *bench) table(name string, key ...string) *bench {
	b.t.Helper()
	in := &client.CreateTableInput{TableName: &name, BillingMode: types.BillingModePayPerRequest}
	in.AttributeDefinitions, in.KeySchema = keys(key...)
	_, err := b.c.CreateTable(b.t.Context(), in)
	b.must(err)
	return b
}

func keys(key ...string) (defined []types.AttributeDefinition, schema []types.KeySchemaElement) {
	for i, k := range key {
		kind := types.KeyTypeHash
		if i == 1 {
			kind = types.KeyTypeRange
		}
		name, typ := k[:len(k)-2], k[len(k)-1:]
		defined = append(defined, types.AttributeDefinition{
			AttributeName: &name, AttributeType: types.ScalarAttributeType(typ),
		})
		schema = append(schema, types.KeySchemaElement{AttributeName: &name, KeyType: kind})
	}
	return defined, schema
}

type item = map[string]types.AttributeValue

func s(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
func n(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }

func (b *bench) put(table string, i item) {
	b.t.Helper()
	_, err := b.c.PutItem(b.t.Context(), &client.PutItemInput{TableName: &table, Item: i})
	b.must(err)
}

func (b *bench) get(table string, key item) item {
	b.t.Helper()
	out, err := b.c.GetItem(b.t.Context(), &client.GetItemInput{TableName: &table, Key: key})
	b.must(err)
	return out.Item
}
