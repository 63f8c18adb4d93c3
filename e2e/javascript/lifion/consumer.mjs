// A consumer group of lifion-kinesis, which makes its stream, an encrypted table of its own for leases, and reads by polling. Prints how many records it has seen.
import Kinesis from "lifion-kinesis";

const place = { endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION };
const kinesis = new Kinesis({
  ...place, streamName: "orders", createStreamIfNeeded: true, encryption: { type: "KMS", keyId: "alias/aws/kinesis" }, consumerGroup: "billing",
  dynamoDb: place, useAutoCheckpoints: true, useAutoShardAssignment: true, initialPositionInStream: "TRIM_HORIZON", noRecordsPollDelay: 250,
});
const seen = new Set(), n = 20;
const all = new Promise((resolve, reject) => {
  kinesis.on("error", reject);
  kinesis.on("data", ({ records }) => {
    records.forEach((r) => seen.add(r.data.i));
    if (seen.size === n) resolve();
  });
});
await kinesis.startConsumer();
for (let i = 0; i < n; i++) await kinesis.putRecord({ data: { i }, partitionKey: `key${i % 7}` });
await all;
kinesis.stopConsumer();
console.log(`seen: ${seen.size}`);
process.exit(0);
