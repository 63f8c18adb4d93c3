package dynamodb

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// refused checks an error's code and message.
func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var f smithy.APIError
	if !errors.As(err, &f) || f.ErrorCode() != code || f.ErrorMessage() != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}

func same(t *testing.T, got, want any) {
	t.Helper()
	ignore := cmpopts.IgnoreUnexported(types.AttributeValueMemberS{}, types.AttributeValueMemberN{},
		types.AttributeValueMemberB{}, types.AttributeValueMemberBOOL{},
		types.AttributeValueMemberNULL{}, types.AttributeValueMemberL{}, types.AttributeValueMemberM{},
		types.AttributeValueMemberSS{},
		types.AttributeValueMemberNS{}, types.AttributeValueMemberBS{}, types.ConsumedCapacity{}, types.Capacity{})
	if d := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

// F-66: three records put, three counted; a missing table has its own error.
func TestRecordsPutAreCounted(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	for i := range 3 {
		b.put("events", item{"eventId": s(fmt.Sprint("shardId-000000000000:", i)), "n": n("1.50")})
	}

	out, err := b.c.Scan(t.Context(), &client.ScanInput{TableName: aws.String("events")})
	b.must(err)
	if out.Count != 3 || out.ScannedCount != 3 || len(out.Items) != 3 {
		t.Errorf("count %d of %d, %d items", out.Count, out.ScannedCount, len(out.Items))
	}

	_, err = b.c.PutItem(t.Context(), &client.PutItemInput{
		TableName: aws.String("missing"), Item: item{"eventId": s("1")},
	})
	refused(t, err, "ResourceNotFoundException", "Requested resource not found")
}

// F-67: the key must be in the item, and of its type.
func TestItemsHaveTheirKey(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	put := func(i item) error {
		_, err := b.c.PutItem(t.Context(), &client.PutItemInput{TableName: aws.String("events"), Item: i})
		return err
	}
	refused(
		t, put(item{"n": n("1")}), "ValidationException",
		"One or more parameter values were invalid: Missing the key eventId in the item",
	)
	refused(
		t, put(item{"eventId": n("1")}), "ValidationException",
		"One or more parameter values were invalid: Type mismatch for key eventId expected: S actual: N",
	)
	refused(t, put(item{"eventId": s("")}), "ValidationException",
		"One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: eventId")
	_, err := b.c.GetItem(t.Context(), &client.GetItemInput{
		TableName: aws.String("events"), Key: item{"eventId": n("1")},
	})
	refused(t, err, "ValidationException", "The provided key element does not match the schema")
}

// F-68: updates of one item happen one after the other.
func TestAddInParallelLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			_, err := b.c.UpdateItem(t.Context(), &client.UpdateItemInput{
				TableName: aws.String("events"), Key: item{"eventId": s("1")},
				UpdateExpression: aws.String("ADD cnt :one"), ExpressionAttributeValues: item{":one": n("1")},
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	same(t, b.get("events", item{"eventId": s("1")}), item{"eventId": s("1"), "cnt": n("100")})
}

// F-68: an item that exists fails attribute_not_exists; the failed write changes nothing and can show what stood in its
// way.
func TestConditionThatDoesNotHoldRefusesTheWrite(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	b.put("events", item{"eventId": s("1"), "v": s("first")})
	_, err := b.c.PutItem(t.Context(), &client.PutItemInput{
		TableName: aws.String("events"), Item: item{"eventId": s("1"), "v": s("second")},
		ConditionExpression:                 aws.String("attribute_not_exists(eventId)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	refused(t, err, "ConditionalCheckFailedException", "The conditional request failed")
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		same(t, failed.Item, item{"eventId": s("1"), "v": s("first")})
	}
	same(t, b.get("events", item{"eventId": s("1")}), item{"eventId": s("1"), "v": s("first")})
}

// Waiters of the SDK pass: CREATING and DELETING are said once.
func TestWaitersSeeTablesComeAndGo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	in := &client.CreateTableInput{
		TableName: aws.String("events"),
		ProvisionedThroughput: &types.ProvisionedThroughput{
			ReadCapacityUnits: aws.Int64(5), WriteCapacityUnits: aws.Int64(6),
		},
	}
	in.AttributeDefinitions, in.KeySchema = keys("eventId:S", "at:N")
	made, err := b.c.CreateTable(t.Context(), in)
	b.must(err)
	if d := made.TableDescription; d.TableStatus != "CREATING" ||
		*d.TableArn != "arn:aws:dynamodb:eu-central-1:111122223333:table/events" {
		t.Errorf("made %+v", d)
	}
	describe := &client.DescribeTableInput{TableName: aws.String("events")}
	b.must(client.NewTableExistsWaiter(b.c).Wait(t.Context(), describe, time.Minute))
	_, err = b.c.CreateTable(t.Context(), in)
	refused(t, err, "ResourceInUseException", "Table already exists: events")

	b.put("events", item{"eventId": s("1"), "at": n("1")})
	d, err := b.c.DescribeTable(t.Context(), describe)
	b.must(err)
	if got := d.Table; *got.ItemCount != 1 || *got.TableSizeBytes != 12 ||
		*got.ProvisionedThroughput.WriteCapacityUnits != 6 || got.CreationDateTime.Before(time.Now().Add(-time.Hour)) {
		t.Errorf("described %+v", got)
	}

	gone, err := b.c.DeleteTable(t.Context(), &client.DeleteTableInput{TableName: aws.String("events")})
	b.must(err)
	if gone.TableDescription.TableStatus != "DELETING" {
		t.Errorf("deleted %+v", gone.TableDescription)
	}
	b.must(client.NewTableNotExistsWaiter(b.c).Wait(t.Context(), describe, time.Minute))
	_, err = b.c.DescribeTable(t.Context(), describe)
	refused(t, err, "ResourceNotFoundException", "Requested resource not found: Table: events not found")
}

// Every type comes back as it went in; numbers in their shortest form.
func TestEveryTypeSurvives(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	b.put("events", item{
		"eventId": s("1"), "s": s("😀\x00<&>"), "empty": s(""), "n": n("-0012.3400e1"), "tiny": n("1e-130"),
		"b": &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"t": &types.AttributeValueMemberBOOL{Value: true}, "f": &types.AttributeValueMemberBOOL{},
		"null": &types.AttributeValueMemberNULL{Value: true},
		"ss":   &types.AttributeValueMemberSS{Value: []string{"b", "a"}},
		"ns":   &types.AttributeValueMemberNS{Value: []string{"10", "9", "1.50"}},
		"bs":   &types.AttributeValueMemberBS{Value: [][]byte{{1}, {0}}},
		"l": &types.AttributeValueMemberL{
			Value: []types.AttributeValue{
				n("1"), &types.AttributeValueMemberL{}, &types.AttributeValueMemberM{Value: item{"x": s("y")}},
			},
		},
		"m": &types.AttributeValueMemberM{Value: item{}},
	})
	got := b.get("events", item{"eventId": s("1")})
	same(t, got, item{
		"eventId": s("1"), "s": s("😀\x00<&>"), "empty": s(""), "n": n("-123.4"),
		"tiny": n("0." + fmt.Sprintf("%0129d", 0) + "1"), "b": &types.AttributeValueMemberB{Value: []byte{0, 255}},
		"t": &types.AttributeValueMemberBOOL{Value: true}, "f": &types.AttributeValueMemberBOOL{},
		"null": &types.AttributeValueMemberNULL{Value: true},
		"ss":   &types.AttributeValueMemberSS{Value: []string{"a", "b"}},
		"ns":   &types.AttributeValueMemberNS{Value: []string{"1.5", "9", "10"}},
		"bs":   &types.AttributeValueMemberBS{Value: [][]byte{{0}, {1}}},
		"l": &types.AttributeValueMemberL{
			Value: []types.AttributeValue{
				n("1"), &types.AttributeValueMemberL{}, &types.AttributeValueMemberM{Value: item{"x": s("y")}},
			},
		},
		"m": &types.AttributeValueMemberM{Value: item{}},
	})
}
