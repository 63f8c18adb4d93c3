// What a user of the AWS SDK for JavaScript does to the shards of a stream under traffic: splits one, merges the halves, and asks for one shard more.
// The endpoint comes from AWS_ENDPOINT_URL. Prints the answer to the last.
import {
  InvalidArgumentException, KinesisClient, ListShardsCommand, MergeShardsCommand, SplitShardCommand, UpdateShardCountCommand, waitUntilStreamExists,
} from "@aws-sdk/client-kinesis";

const [StreamName] = process.argv.slice(2);
const kinesis = new KinesisClient();
const start = (s) => BigInt(s.HashKeyRange.StartingHashKey);
const open = async () => {
  const { Shards } = await kinesis.send(new ListShardsCommand({ StreamName, ShardFilter: { Type: "AT_LATEST" } }));
  return Shards.sort((a, b) => (start(a) < start(b) ? -1 : 1));
};

const before = await open();
const middle = (start(before[0]) + BigInt(before[0].HashKeyRange.EndingHashKey)) / 2n;
await kinesis.send(new SplitShardCommand({ StreamName, ShardToSplit: before[0].ShardId, NewStartingHashKey: middle.toString() }));
await waitUntilStreamExists({ client: kinesis, maxWaitTime: 60 }, { StreamName });
const [left, right] = await open();
await kinesis.send(new MergeShardsCommand({ StreamName, ShardToMerge: left.ShardId, AdjacentShardToMerge: right.ShardId }));
let again = "";
try {
  await kinesis.send(new SplitShardCommand({ StreamName, ShardToSplit: left.ShardId, NewStartingHashKey: "9" }));
} catch (e) {
  again = e instanceof InvalidArgumentException && e.message;
}
const answer = await kinesis.send(new UpdateShardCountCommand({ StreamName, TargetShardCount: before.length + 1, ScalingType: "UNIFORM_SCALING" }));
console.log(JSON.stringify({ current: answer.CurrentShardCount, target: answer.TargetShardCount, again }));
