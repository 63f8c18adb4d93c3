package dynamodb

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	client "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// games makes a table with a global and a local index.
func (b *bench) games() *bench {
	b.t.Helper()
	in := &client.CreateTableInput{TableName: aws.String("games"), BillingMode: types.BillingModePayPerRequest}
	in.AttributeDefinitions, in.KeySchema = keys("user:S", "game:S")
	in.AttributeDefinitions = append(in.AttributeDefinitions, types.AttributeDefinition{
		AttributeName: aws.String("top"), AttributeType: "N",
	})
	_, global := keys("game:S", "top:N")
	_, local := keys("user:S", "top:N")
	in.GlobalSecondaryIndexes = []types.GlobalSecondaryIndex{
		{
			IndexName: aws.String("byGame"), KeySchema: global,
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		},
	}
	in.LocalSecondaryIndexes = []types.LocalSecondaryIndex{
		{
			IndexName: aws.String("byTop"), KeySchema: local,
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeKeysOnly},
		},
	}
	_, err := b.c.CreateTable(b.t.Context(), in)
	b.must(err)
	for i, user := range []string{"ann", "bob", "cid"} {
		for j, game := range []string{"go", "chess"} {
			b.put("games", item{"user": s(user), "game": s(game), "top": n(fmt.Sprint(10*i + j)), "note": s("n")})
		}
	}
	return b
}

func column(items []item, name string) (out []string) {
	for _, i := range items {
		switch v := i[name].(type) {
		case *types.AttributeValueMemberS:
			out = append(out, v.Value)
		case *types.AttributeValueMemberN:
			out = append(out, v.Value)
		}
	}
	return out
}

func TestQueriesOfIndexesGoByTheirKey(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	pages := client.NewQueryPaginator(b.c, &client.QueryInput{
		TableName: aws.String("games"), IndexName: aws.String("byGame"),
		KeyConditionExpression: aws.String("game = :g AND top > :t"), ScanIndexForward: aws.Bool(false),
		ExpressionAttributeValues: item{":g": s("go"), ":t": n("5")}, Limit: aws.Int32(1),
		ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes,
	})
	var users []string
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		b.must(err)
		users = append(users, column(out.Items, "user")...)
		if *out.ConsumedCapacity.CapacityUnits != 0.5 ||
			*out.ConsumedCapacity.GlobalSecondaryIndexes["byGame"].CapacityUnits != 0.5 ||
			*out.ConsumedCapacity.Table.CapacityUnits != 0 {
			t.Errorf("consumed %+v", out.ConsumedCapacity)
		}
		for _, i := range out.Items {
			if i["note"] != nil {
				t.Errorf("an index of keys shows %v", i)
			}
		}
	}
	if !slices.Equal(users, []string{"cid", "bob"}) {
		t.Errorf("got %v", users)
	}

	out, err := b.c.Query(t.Context(), &client.QueryInput{
		TableName: aws.String("games"), IndexName: aws.String("byTop"), KeyConditionExpression: aws.String("#u = :u"),
		ProjectionExpression:     aws.String("note, game"),
		ExpressionAttributeNames: map[string]string{"#u": "user"}, ExpressionAttributeValues: item{":u": s("bob")},
		ConsistentRead: aws.Bool(true),
	})
	b.must(err)
	same(t, out.Items, []item{{"game": s("go"), "note": s("n")}, {"game": s("chess"), "note": s("n")}})
}

func TestCountShowsNoItems(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	out, err := b.c.Scan(t.Context(), &client.ScanInput{
		TableName: aws.String("games"), Select: types.SelectCount, FilterExpression: aws.String("top < :t"),
		ExpressionAttributeValues: item{":t": n("10")},
	})
	b.must(err)
	if out.Count != 2 || out.ScannedCount != 6 || out.Items != nil {
		t.Errorf("got %+v", out)
	}
}

func TestParallelScanShowsEveryItemOnce(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	var seen []string
	for i := range int32(3) {
		pages := client.NewScanPaginator(b.c, &client.ScanInput{
			TableName: aws.String("games"), Segment: aws.Int32(i), TotalSegments: aws.Int32(3), Limit: aws.Int32(1),
		})
		for pages.HasMorePages() {
			out, err := pages.NextPage(t.Context())
			b.must(err)
			for _, i := range out.Items {
				seen = append(seen, column([]item{i}, "user")[0]+column([]item{i}, "game")[0])
			}
		}
	}
	slices.Sort(seen)
	if want := []string{"annchess", "anngo", "bobchess", "bobgo", "cidchess", "cidgo"}; !slices.Equal(seen, want) {
		t.Errorf("got %v", seen)
	}
}

func TestReturnValues(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	key := item{"eventId": s("1")}
	for _, c := range []struct {
		values types.ReturnValue
		want   item
	}{
		{
			types.ReturnValueAllNew,
			item{
				"eventId": s("1"), "n": n("1"),
				"m": &types.AttributeValueMemberM{Value: item{"a": n("1"), "b": n("0")}},
			},
		},
		{types.ReturnValueUpdatedNew, item{"n": n("2"), "m": &types.AttributeValueMemberM{Value: item{"a": n("2")}}}},
		{types.ReturnValueUpdatedOld, item{"n": n("2"), "m": &types.AttributeValueMemberM{Value: item{"a": n("2")}}}},
		{
			types.ReturnValueAllOld,
			item{
				"eventId": s("1"), "n": n("3"),
				"m": &types.AttributeValueMemberM{Value: item{"a": n("3"), "b": n("0")}},
			},
		},
		{types.ReturnValueNone, nil},
	} {
		if c.values == types.ReturnValueAllNew {
			b.put("events", item{
				"eventId": s("1"), "m": &types.AttributeValueMemberM{Value: item{"a": n("0"), "b": n("0")}},
			})
		}
		out, err := b.c.UpdateItem(t.Context(), &client.UpdateItemInput{
			TableName: aws.String("events"), Key: key, UpdateExpression: aws.String("ADD n :one SET m.a = m.a + :one"),
			ExpressionAttributeValues: item{":one": n("1")}, ReturnValues: c.values,
		})
		b.must(err)
		same(t, out.Attributes, c.want)
	}
	del, err := b.c.DeleteItem(t.Context(), &client.DeleteItemInput{
		TableName: aws.String("events"), Key: key, ReturnValues: types.ReturnValueAllOld,
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	b.must(err)
	if len(del.Attributes) != 3 || *del.ConsumedCapacity.CapacityUnits != 1 {
		t.Errorf("deleted %+v", del)
	}
	same(t, b.get("events", key), item(nil))
}

func TestBatches(t *testing.T) {
	t.Parallel()
	b := setup(t).events().games()
	var requests []types.WriteRequest
	for i := range 25 {
		requests = append(requests, types.WriteRequest{
			PutRequest: &types.PutRequest{Item: item{"eventId": s(fmt.Sprint(i))}},
		})
	}
	requests[24] = types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"eventId": s("none")}}}
	out, err := b.c.BatchWriteItem(t.Context(), &client.BatchWriteItemInput{
		RequestItems:           map[string][]types.WriteRequest{"events": requests},
		ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal,
	})
	b.must(err)
	if len(out.UnprocessedItems) != 0 || *out.ConsumedCapacity[0].CapacityUnits != 25 {
		t.Errorf("wrote %+v", out)
	}
	requests[1] = types.WriteRequest{DeleteRequest: &types.DeleteRequest{Key: item{"eventId": s("0")}}}
	_, err = b.c.BatchWriteItem(t.Context(), &client.BatchWriteItemInput{
		RequestItems: map[string][]types.WriteRequest{"events": requests},
	})
	refused(t, err, "ValidationException", "Provided list of item keys contains duplicates")
	_, err = b.c.BatchWriteItem(t.Context(), &client.BatchWriteItemInput{
		RequestItems: map[string][]types.WriteRequest{"events": requests[2:], "games": requests[:3]},
	})
	refused(t, err, "ValidationException", "Too many items requested for the BatchWriteItem call")

	read, err := b.c.BatchGetItem(t.Context(), &client.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{
			"events": {Keys: []item{{"eventId": s("3")}, {"eventId": s("none")}, {"eventId": s("5")}}},
			"games":  {Keys: []item{{"user": s("ann"), "game": s("go")}}, ProjectionExpression: aws.String("note")},
		},
	})
	b.must(err)
	same(t, read.Responses, map[string][]item{
		"events": {{"eventId": s("3")}, {"eventId": s("5")}}, "games": {{"note": s("n")}},
	})
	_, err = b.c.BatchGetItem(t.Context(), &client.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{
			"events": {Keys: []item{{"eventId": s("3")}, {"eventId": s("3")}}},
		},
	})
	refused(t, err, "ValidationException", "Provided list of item keys contains duplicates")
}

// Beyond 16 MB, here a hundredth of that, the unread keys are returned.
func TestBatchGetLeavesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	b.h.batchBytes = maxBatchReadBytes / 100
	var keys []item
	for i := range 45 {
		k := item{"eventId": s(fmt.Sprint(i))}
		keys = append(keys, k)
		b.put("events", item{"eventId": k["eventId"], "x": s(strings.Repeat("x", 3900))})
	}
	found := 0
	ask := map[string]types.KeysAndAttributes{"events": {Keys: keys, ConsistentRead: aws.Bool(true)}}
	rounds := 0
	for len(ask) > 0 {
		out, err := b.c.BatchGetItem(t.Context(), &client.BatchGetItemInput{RequestItems: ask})
		b.must(err)
		found += len(out.Responses["events"])
		ask = out.UnprocessedKeys
		rounds++
	}
	if found != 45 || rounds != 2 {
		t.Errorf("found %d in %d rounds", found, rounds)
	}
}

func TestTimeToLive(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	ctx := t.Context()
	describe := func() types.TimeToLiveDescription {
		out, err := b.c.DescribeTimeToLive(ctx, &client.DescribeTimeToLiveInput{TableName: aws.String("events")})
		b.must(err)
		return *out.TimeToLiveDescription
	}
	if d := describe(); d.TimeToLiveStatus != "DISABLED" || d.AttributeName != nil {
		t.Errorf("described %+v", d)
	}
	_, err := b.c.UpdateTimeToLive(ctx, &client.UpdateTimeToLiveInput{
		TableName: aws.String("events"),
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: aws.String("ttl"), Enabled: aws.Bool(true),
		},
	})
	b.must(err)
	if d := describe(); d.TimeToLiveStatus != "ENABLED" || *d.AttributeName != "ttl" {
		t.Errorf("described %+v", d)
	}
	b.put("events", item{"eventId": s("1"), "ttl": n(fmt.Sprint(time.Now().Add(time.Hour).Unix()))})
	_, err = b.clock.Advance(ctx, 2*time.Hour, func(context.Context) error { return nil })
	b.must(err)
	same(t, b.get("events", item{"eventId": s("1")}), item(nil))
}

// AWS's order of states, said once each: UPDATING with an index CREATING, then ACTIVE.
func TestUpdateTableAddsAnIndex(t *testing.T) {
	t.Parallel()
	b := setup(t).games()
	_, schema := keys("note:S")
	out, err := b.c.UpdateTable(t.Context(), &client.UpdateTableInput{
		TableName:            aws.String("games"),
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("note"), AttributeType: "S"}},
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{{
			Create: &types.CreateGlobalSecondaryIndexAction{
				IndexName: aws.String("byNote"), KeySchema: schema,
				Projection: &types.Projection{ProjectionType: types.ProjectionTypeAll},
			},
		}},
	})
	b.must(err)
	if d := out.TableDescription; d.TableStatus != "UPDATING" ||
		d.GlobalSecondaryIndexes[1].IndexStatus != "CREATING" || !*d.GlobalSecondaryIndexes[1].Backfilling {
		t.Errorf("updated %+v", d)
	}
	d, err := b.c.DescribeTable(t.Context(), &client.DescribeTableInput{TableName: aws.String("games")})
	b.must(err)
	if x := d.Table.GlobalSecondaryIndexes[1]; d.Table.TableStatus != "ACTIVE" || x.IndexStatus != "ACTIVE" ||
		*x.ItemCount != 6 {
		t.Errorf("described %+v", x)
	}
	gone, err := b.c.UpdateTable(t.Context(), &client.UpdateTableInput{
		TableName: aws.String("games"),
		GlobalSecondaryIndexUpdates: []types.GlobalSecondaryIndexUpdate{
			{Delete: &types.DeleteGlobalSecondaryIndexAction{IndexName: aws.String("byNote")}},
		},
	})
	b.must(err)
	if x := gone.TableDescription.GlobalSecondaryIndexes; len(x) != 2 || x[1].IndexStatus != "DELETING" {
		t.Errorf("updated %+v", x)
	}
}

func TestTagsAndBackups(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	ctx, arn := t.Context(), aws.String("arn:aws:dynamodb:eu-central-1:111122223333:table/events")
	_, err := b.c.TagResource(ctx, &client.TagResourceInput{
		ResourceArn: arn,
		Tags: []types.Tag{
			{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("2")},
		},
	})
	b.must(err)
	_, err = b.c.UntagResource(ctx, &client.UntagResourceInput{ResourceArn: arn, TagKeys: []string{"a", "none"}})
	b.must(err)
	tags, err := b.c.ListTagsOfResource(ctx, &client.ListTagsOfResourceInput{ResourceArn: arn})
	b.must(err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Key != "b" {
		t.Errorf("tags %v", tags.Tags)
	}
	_, err = b.c.ListTagsOfResource(ctx, &client.ListTagsOfResourceInput{ResourceArn: aws.String(*arn + "2")})
	refused(t, err, "ResourceNotFoundException", "Requested resource not found: ResourcArn: "+*arn+"2 not found")
	backups, err := b.c.DescribeContinuousBackups(ctx, &client.DescribeContinuousBackupsInput{
		TableName: aws.String("events"),
	})
	b.must(err)
	if d := backups.ContinuousBackupsDescription; d.ContinuousBackupsStatus != "DISABLED" ||
		d.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus != "DISABLED" {
		t.Errorf("backups %+v", d)
	}
	_, err = b.c.DescribeContinuousBackups(ctx, &client.DescribeContinuousBackupsInput{TableName: aws.String("none")})
	refused(t, err, "TableNotFoundException", "Table not found: none")
}

func TestListTablesGoesPageByPage(t *testing.T) {
	t.Parallel()
	b := setup(t).table("ccc", "id:S").table("aaa", "id:S").table("bbb", "id:S")
	pages := client.NewListTablesPaginator(b.c, &client.ListTablesInput{Limit: aws.Int32(2)})
	var got []string
	for pages.HasMorePages() {
		out, err := pages.NextPage(t.Context())
		b.must(err)
		got = append(got, out.TableNames...)
	}
	if !slices.Equal(got, []string{"aaa", "bbb", "ccc"}) {
		t.Errorf("got %v", got)
	}
}

// A table may be named by its ARN.
func TestTablesMayBeNamedByARN(t *testing.T) {
	t.Parallel()
	b := setup(t).events()
	b.put("arn:aws:dynamodb:eu-central-1:111122223333:table/events", item{"eventId": s("1")})
	same(t, b.get("events", item{"eventId": s("1")}), item{"eventId": s("1")})
}
