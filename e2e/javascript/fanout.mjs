// What a user of the AWS SDK for JavaScript does to read a shard by enhanced fan-out, over HTTP/2 as is its default: registers a consumer, subscribes, and takes
// the events as they come. Puts a record after each event, until three are read. The endpoint comes from AWS_ENDPOINT_URL. Prints their data, and what a second
// subscription is told.
import {
  DeregisterStreamConsumerCommand, DescribeStreamConsumerCommand, DescribeStreamSummaryCommand, KinesisClient, PutRecordCommand, RegisterStreamConsumerCommand,
  ResourceInUseException, SubscribeToShardCommand,
} from "@aws-sdk/client-kinesis";

const [StreamName] = process.argv.slice(2);
const kinesis = new KinesisClient();
const put = (n) => kinesis.send(new PutRecordCommand({ StreamName, PartitionKey: "k", Data: Buffer.from(`javascript ${n}`) }));
const { StreamDescriptionSummary: { StreamARN } } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName }));
const { Consumer: { ConsumerARN } } = await kinesis.send(new RegisterStreamConsumerCommand({ StreamARN, ConsumerName: "javascript" }));
for (;;) {
  const { ConsumerDescription } = await kinesis.send(new DescribeStreamConsumerCommand({ ConsumerARN }));
  if (ConsumerDescription.ConsumerStatus === "ACTIVE") break;
}
const subscribe = () => kinesis.send(new SubscribeToShardCommand({
  ConsumerARN, ShardId: "shardId-000000000000", StartingPosition: { Type: "LATEST" },
}));
const { EventStream } = await subscribe();
let again = "";
try {
  await subscribe();
} catch (e) {
  again = e instanceof ResourceInUseException && e.message;
}
await put(0);
const data = [];
let last = "", behind = 0;
for await (const { SubscribeToShardEvent: event } of EventStream) {
  data.push(...event.Records.map((r) => Buffer.from(r.Data).toString()));
  last = event.ContinuationSequenceNumber;
  behind = event.MillisBehindLatest;
  if (data.length === 3) break;
  await put(data.length);
}
await kinesis.send(new DeregisterStreamConsumerCommand({ ConsumerARN }));
console.log(JSON.stringify({ data, behind, last, again }));
process.exit(0); // the subscription has minutes to live
