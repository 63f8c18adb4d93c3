// The pipeline of the demo, built and watched with the unmodified AWS SDK for JavaScript. The endpoint comes from AWS_ENDPOINT_URL. Prints what it saw as JSON.
import { readFileSync } from "node:fs";
import { CloudWatchClient, GetMetricStatisticsCommand } from "@aws-sdk/client-cloudwatch";
import { CreateTableCommand, DynamoDBClient, GetItemCommand, PutItemCommand, waitUntilTableExists } from "@aws-sdk/client-dynamodb";
import { CreateStreamCommand, DescribeStreamSummaryCommand, KinesisClient, PutRecordsCommand, ResourceNotFoundException } from "@aws-sdk/client-kinesis";
import { CreateEventSourceMappingCommand, CreateFunctionCommand, InvokeCommand, LambdaClient, waitUntilFunctionActiveV2 } from "@aws-sdk/client-lambda";
import { CreateQueueCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";

const [zip] = process.argv.slice(2);
const kinesis = new KinesisClient(), lambda = new LambdaClient(), sqs = new SQSClient(), cloudwatch = new CloudWatchClient(), dynamodb = new DynamoDBClient();
const arn = (service, rest) => `arn:aws:${service}:us-east-1:000000000000:${rest}`;
const saw = {};

try {
  await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: "orders" }));
} catch (e) {
  saw.absent = e instanceof ResourceNotFoundException && e.message;
}
await kinesis.send(new CreateStreamCommand({ StreamName: "orders", ShardCount: 1 }));
const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: "failures" }));
await lambda.send(new CreateFunctionCommand({
  FunctionName: "worker", Runtime: "nodejs20.x", Handler: "handler.handler", Role: arn("iam", "role/any").replace("us-east-1", ""), Timeout: 60,
  Code: { ZipFile: readFileSync(zip) },
}));
await waitUntilFunctionActiveV2({ client: lambda, maxWaitTime: 60 }, { FunctionName: "worker" });
await lambda.send(new CreateEventSourceMappingCommand({
  FunctionName: "worker", EventSourceArn: arn("kinesis", "stream/orders"), StartingPosition: "TRIM_HORIZON", BatchSize: 10,
  MaximumRetryAttempts: 0, BisectBatchOnFunctionError: true, DestinationConfig: { OnFailure: { Destination: arn("sqs", "failures") } },
}));
const put = await kinesis.send(new PutRecordsCommand({
  StreamName: "orders",
  Records: ["a", "b", "poison", "c", "d", "e"].map((name) => ({ PartitionKey: "k", Data: Buffer.from(name) })),
}));
saw.failed = put.FailedRecordCount;
const { Messages: [message] } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }));
const notice = JSON.parse(message.Body);
saw.condition = notice.requestContext.condition;
saw.poisonIsThirdRecord = notice.KinesisBatchInfo.batchSize === 1 && notice.KinesisBatchInfo.startSequenceNumber === put.Records[2].SequenceNumber;
const answer = await lambda.send(new InvokeCommand({ FunctionName: "worker", Payload: JSON.stringify({ Records: [] }) }));
saw.answer = JSON.parse(Buffer.from(answer.Payload).toString());

await dynamodb.send(new CreateTableCommand({
  TableName: "items", BillingMode: "PAY_PER_REQUEST", AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }], KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
}));
await waitUntilTableExists({ client: dynamodb, maxWaitTime: 60 }, { TableName: "items" });
await dynamodb.send(new PutItemCommand({ TableName: "items", Item: { id: { S: "1" }, data: { B: Buffer.from("bytes") }, n: { N: "1.50" } } }));
const { Item } = await dynamodb.send(new GetItemCommand({ TableName: "items", Key: { id: { S: "1" } } }));
saw.item = `${Buffer.from(Item.data.B).toString()} ${Item.n.N}`;

const now = Date.now();
const { Datapoints } = await cloudwatch.send(new GetMetricStatisticsCommand({
  Namespace: "AWS/Lambda", MetricName: "Errors", Dimensions: [{ Name: "FunctionName", Value: "worker" }], Statistics: ["Sum"], Period: 3600,
  StartTime: new Date(now - 3600_000), EndTime: new Date(now + 60_000),
}));
saw.errors = Datapoints.reduce((sum, d) => sum + d.Sum, 0);
console.log(JSON.stringify(saw));
