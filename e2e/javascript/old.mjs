// A producer and a reader with version 2 of the AWS SDK for JavaScript, which does not know AWS_ENDPOINT_URL. Prints what it saw as JSON.
import AWS from "aws-sdk";

const kinesis = new AWS.Kinesis({ endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION });
const saw = {};

await kinesis.createStream({ StreamName: "orders", ShardCount: 1 }).promise();
await kinesis.waitFor("streamExists", { StreamName: "orders" }).promise();
await kinesis.putRecord({ StreamName: "orders", PartitionKey: "a", Data: Buffer.from([0, 128, 255]) }).promise();
const put = await kinesis.putRecords({ StreamName: "orders", Records: ["b", "ü"].map((Data) => ({ PartitionKey: Data, Data })) }).promise();
saw.failed = put.FailedRecordCount;
const { Shards: [{ ShardId }] } = await kinesis.listShards({ StreamName: "orders" }).promise();
let { ShardIterator } = await kinesis.getShardIterator({ StreamName: "orders", ShardId, ShardIteratorType: "TRIM_HORIZON" }).promise();
const page = await kinesis.getRecords({ ShardIterator }).promise();
saw.data = page.Records.map((r) => r.Data.toString("hex"));
saw.arrived = page.Records[0].ApproximateArrivalTimestamp instanceof Date;
try {
  await kinesis.describeStream({ StreamName: "absent" }).promise();
} catch (e) {
  saw.absent = `${e.statusCode} ${e.code} ${e.message}`;
}
console.log(JSON.stringify(saw));
