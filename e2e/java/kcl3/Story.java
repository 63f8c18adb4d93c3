import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.KinesisException;
import software.amazon.awssdk.services.kinesis.model.MetricsName;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.ShardFilterType;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;

/** Calls of AWS's SDK for Java 2 in CBOR, announced to the recorder of make golden one by one. */
class Story {
    public static void main(String[] args) throws Exception {
        try (var kinesis = KinesisClient.create()) {
            tell(kinesis);
        }
    }

    static <T> T call(String name, Supplier<T> of) {
        try {
            var announce = System.getenv("AWS_ENDPOINT_URL") + "/announce?case="
                + URLEncoder.encode(name, StandardCharsets.UTF_8);
            URI.create(announce).toURL().openStream().close();
        } catch (java.io.IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
        try {
            return of.get();
        } catch (KinesisException e) {
            System.out.println(name + ": " + e.getMessage());
            return null;
        }
    }

    static void tell(KinesisClient k) {
        call("two shards", () -> k.createStream(b -> b.streamName("orders").shardCount(2)));
        call("taken", () -> k.createStream(b -> b.streamName("orders").shardCount(1)));
        call("by name", () -> k.describeStream(b -> b.streamName("orders")));
        call("by name", () -> k.describeStreamSummary(b -> b.streamName("orders")));
        call("unknown", () -> k.describeStreamSummary(b -> b.streamName("absent")));
        call("all", () -> k.listStreams());
        call("by filter", () -> k.listShards(b -> b.streamName("orders").shardFilter(f -> f.type(ShardFilterType.AT_LATEST))));
        var every = new byte[256];
        for (int i = 0; i < every.length; i++) {
            every[i] = (byte) i;
        }
        var first = call("bytes", () -> k.putRecord(b -> b.streamName("orders").partitionKey("\u00fc").explicitHashKey("0")
            .data(SdkBytes.fromByteArray(every))));
        call("no stream", () -> k.putRecord(b -> b.streamName("absent").partitionKey("a").data(SdkBytes.fromUtf8String("x"))));
        call("no key", () -> k.putRecord(b -> b.streamName("orders").data(SdkBytes.fromUtf8String("x"))));
        call("three", () -> k.putRecords(b -> b.streamName("orders").records(
            PutRecordsRequestEntry.builder().partitionKey("a").data(SdkBytes.fromUtf8String("one")).build(),
            PutRecordsRequestEntry.builder().partitionKey("b").data(SdkBytes.fromUtf8String("")).build(),
            PutRecordsRequestEntry.builder().partitionKey("c.".repeat(100)).data(SdkBytes.fromUtf8String("3 ".repeat(150)))
                .build())));
        var begin = call("trim horizon", () -> k.getShardIterator(b -> b.streamName("orders").shardId(first.shardId())
            .shardIteratorType(ShardIteratorType.TRIM_HORIZON)));
        var got = call("from the beginning", () -> k.getRecords(b -> b.shardIterator(begin.shardIterator()).limit(100)));
        call("the rest", () -> k.getRecords(b -> b.shardIterator(got.nextShardIterator())));
        var when = call("at a time", () -> k.getShardIterator(b -> b.streamName("orders").shardId(first.shardId())
            .shardIteratorType(ShardIteratorType.AT_TIMESTAMP)
            .timestamp(got.records().get(0).approximateArrivalTimestamp())));
        call("from a time", () -> k.getRecords(b -> b.shardIterator(when.shardIterator())));
        call("forged", () -> k.getRecords(b -> b.shardIterator("AAAA")));
        call("two", () -> k.addTagsToStream(b -> b.streamName("orders").tags(java.util.Map.of("a", "1"))));
        call("all", () -> k.listTagsForStream(b -> b.streamName("orders")));
        call("some", () -> k.enableEnhancedMonitoring(b -> b.streamName("orders")
            .shardLevelMetrics(MetricsName.INCOMING_BYTES)));
        call("one", () -> k.registerStreamConsumer(b -> b.streamARN(arn()).consumerName("reader")));
        call("a half", () -> k.splitShard(b -> b.streamName("orders").shardToSplit(first.shardId()).newStartingHashKey("1000")));
        var end = call("at the end", () -> k.getShardIterator(b -> b.streamName("orders").shardId(first.shardId())
            .shardIteratorType(ShardIteratorType.LATEST)));
        call("at the end", () -> k.getRecords(b -> b.shardIterator(end.shardIterator())));
        call("with consumers", () -> k.deleteStream(b -> b.streamName("orders")));
        call("all of it", () -> k.deleteStream(b -> b.streamName("orders").enforceConsumerDeletion(true)));
    }

    static String arn() {
        return "arn:aws:kinesis:us-east-1:000000000000:stream/orders";
    }
}
