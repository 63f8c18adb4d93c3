import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.http.Protocol;
import software.amazon.awssdk.http.ProtocolNegotiation;
import software.amazon.awssdk.http.nio.netty.NettyNioAsyncHttpClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.InvalidArgumentException;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/**
 * What a program does with AWS's SDK for Java 2, by its client that blocks and by the one that does not. With -Dalpn=true the latter
 * asks for HTTP/2 in the handshake of TLS; as it is installed it takes for granted that the server speaks it.
 */
class Sdk {
    public static void main(String[] args) {
        try (var kinesis = KinesisClient.create()) {
            blocking(kinesis);
        }
        var settings = KinesisAsyncClient.builder();
        if (Boolean.getBoolean("alpn")) {
            settings.httpClientBuilder(NettyNioAsyncHttpClient.builder()
                .protocol(Protocol.HTTP2).protocolNegotiation(ProtocolNegotiation.ALPN));
        }
        try (var kinesis = settings.build()) {
            async(kinesis);
        }
    }

    static void say(String what, Object value) {
        System.out.println(what + ": " + value);
    }

    static void blocking(KinesisClient kinesis) {
        kinesis.createStream(b -> b.streamName("orders").shardCount(2));
        kinesis.waiter().waitUntilStreamExists(b -> b.streamName("orders"));
        byte[] every = new byte[256];
        for (int i = 0; i < every.length; i++) {
            every[i] = (byte) i;
        }
        var first = kinesis.putRecord(
            b -> b.streamName("orders").partitionKey("a").explicitHashKey("0").data(SdkBytes.fromByteArray(every)));
        say("shard", first.shardId());
        var entries = IntStream.range(0, 3).mapToObj(i -> PutRecordsRequestEntry.builder()
            .partitionKey("\u00fc" + i).explicitHashKey("0").data(SdkBytes.fromUtf8String("record " + i)).build()).toList();
        var rest = kinesis.putRecords(b -> b.streamName("orders").records(entries));
        say("failed", rest.failedRecordCount());
        var records = new ArrayList<Record>();
        var next = kinesis.getShardIterator(b -> b.streamName("orders").shardId(first.shardId())
            .shardIteratorType(ShardIteratorType.AT_SEQUENCE_NUMBER).startingSequenceNumber(first.sequenceNumber()))
            .shardIterator();
        while (records.size() < 4) {
            String iterator = next;
            var page = kinesis.getRecords(b -> b.shardIterator(iterator).limit(3));
            records.addAll(page.records());
            next = page.nextShardIterator();
        }
        say("bytes kept", records.get(0).data().equals(SdkBytes.fromByteArray(every)));
        say("keys kept", records.stream().map(Record::partitionKey).toList()
            .equals(List.of("a", "\u00fc0", "\u00fc1", "\u00fc2")));
        say("arrived", records.get(0).approximateArrivalTimestamp().getEpochSecond() > 1_600_000_000L);
        try {
            kinesis.describeStreamSummary(b -> b.streamName("absent"));
        } catch (ResourceNotFoundException e) {
            var said = e.awsErrorDetails();
            say("absent", e.statusCode() + " " + said.errorCode() + " " + said.errorMessage() + " " + (e.requestId() != null));
        }
        try {
            kinesis.getRecords(b -> b.shardIterator("forged"));
        } catch (InvalidArgumentException e) {
            say("forged", e.awsErrorDetails().errorMessage());
        }
    }

    /** Whether a consumer is sent as many records of a shard as GetRecords has found, beginning with its oldest. */
    static boolean pushed(KinesisAsyncClient kinesis, String shard, int records) {
        String stream = kinesis.describeStreamSummary(b -> b.streamName("orders")).join()
            .streamDescriptionSummary().streamARN();
        String consumer = kinesis.registerStreamConsumer(b -> b.streamARN(stream).consumerName("billing")).join()
            .consumer().consumerARN();
        var left = new AtomicInteger(records);
        var all = new CompletableFuture<Boolean>();
        var count = SubscribeToShardResponseHandler.Visitor.builder().onSubscribeToShardEvent(e -> {
            if (left.addAndGet(-e.records().size()) <= 0) {
                all.complete(left.get() == 0);
            }
        }).build();
        var subscription = kinesis.subscribeToShard(
            b -> b.consumerARN(consumer).shardId(shard).startingPosition(p -> p.type(ShardIteratorType.TRIM_HORIZON)),
            SubscribeToShardResponseHandler.builder().onError(all::completeExceptionally).subscriber(count).build());
        boolean sent = all.join();
        subscription.cancel(true);
        return sent;
    }

    /** Two hundred records at once, each in a call of its own, over the few connections that HTTP/2 needs. */
    static void async(KinesisAsyncClient kinesis) {
        List<CompletableFuture<?>> puts = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            String key = "key " + i;
            puts.add(kinesis.putRecord(b -> b.streamName("orders").partitionKey(key).data(SdkBytes.fromUtf8String(key))));
        }
        CompletableFuture.allOf(puts.toArray(CompletableFuture[]::new)).join();
        int seen = 0, inLast = 0;
        String last = "";
        for (var shard : kinesis.listShards(b -> b.streamName("orders")).join().shards()) {
            String next = kinesis.getShardIterator(b -> b.streamName("orders").shardId(shard.shardId())
                .shardIteratorType(ShardIteratorType.TRIM_HORIZON)).join().shardIterator();
            last = shard.shardId();
            inLast = -seen;
            for (boolean more = true; more;) {
                String iterator = next;
                var page = kinesis.getRecords(b -> b.shardIterator(iterator)).join();
                seen += page.records().size();
                next = page.nextShardIterator();
                more = page.millisBehindLatest() > 0 || !page.records().isEmpty();
            }
            inLast += seen;
        }
        say("seen", seen);
        say("pushed", inLast > 0 && pushed(kinesis, last, inLast));
        kinesis.describeStreamSummary(b -> b.streamName("absent")).handle((answer, e) -> {
            say("cause", e.getCause().getClass().getSimpleName());
            return null;
        }).join();
    }
}
