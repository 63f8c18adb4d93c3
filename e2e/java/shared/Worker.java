import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.leases.LeaseManagementConfig;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * A worker of the Kinesis Client Library, 2 and 3. It prints a line for each thing that it sees, and a checkpoint after
 * each batch of records. The clients are made as the library's guide makes them, with all settings at their defaults;
 * only what an application waits for when a worker dies is shorter. SIGTERM has it leave its shards in order.
 */
class Worker {
    /** Prints a line. Nothing else prints to the standard output. */
    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** Runs until SIGTERM; args are the application, the stream, the worker, and polling or fan-out. */
    static void run(String[] args, Consumer<LeaseManagementConfig> pace) {
        String application = args[0], stream = args[1], worker = args[2];
        KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder());
        var start = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        var c = new ConfigsBuilder(
            new SingleStreamTracker(stream, start), application, kinesis, DynamoDbAsyncClient.create(),
            CloudWatchAsyncClient.create(), worker, Processor::new);
        var leases = c.leaseManagementConfig().failoverTimeMillis(2000).shardSyncIntervalMillis(1000);
        pace.accept(leases);
        var retrieval = c.retrievalConfig();
        switch (args[3]) {
            case "polling" -> retrieval.retrievalSpecificConfig(new PollingConfig(stream, kinesis));
            case "fan-out" -> retrieval.retrievalSpecificConfig(
                new FanOutConfig(kinesis).streamName(stream).applicationName(application));
            default -> throw new IllegalArgumentException(args[3]);
        }
        var scheduler = new Scheduler(
            c.checkpointConfig(), c.coordinatorConfig().parentShardPollIntervalMillis(500), leases,
            c.lifecycleConfig(), c.metricsConfig().metricsBufferTimeMillis(1000), c.processorConfig(), retrieval);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                scheduler.startGracefulShutdown().get();
            } catch (Exception e) {
                say("error " + e);
            }
        }));
        scheduler.run();
    }

    private static class Processor implements ShardRecordProcessor {
        private String shard;

        @Override
        public void initialize(InitializationInput in) {
            shard = in.shardId();
            say("began " + shard + " " + in.extendedSequenceNumber().sequenceNumber());
        }

        @Override
        public void processRecords(ProcessRecordsInput in) {
            for (var r : in.records()) {
                say("record " + shard + " " + StandardCharsets.UTF_8.decode(r.data()));
            }
            if (!in.records().isEmpty()) {
                checkpointed("checkpoint", in.checkpointer()::checkpoint);
            }
        }

        @Override
        public void leaseLost(LeaseLostInput in) {
            say("lost " + shard);
        }

        @Override
        public void shardEnded(ShardEndedInput in) {
            checkpointed("ended", in.checkpointer()::checkpoint);
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput in) {
            checkpointed("left", in.checkpointer()::checkpoint);
        }

        private interface Checkpoint {
            void save() throws Exception;
        }

        private void checkpointed(String what, Checkpoint checkpoint) {
            try {
                checkpoint.save();
                say(what + " " + shard);
            } catch (ShutdownException e) { // the shard went to another worker, which reads on from the checkpoint before
                say("yielded " + shard);
            } catch (Exception e) {
                say("error " + shard + " " + e);
            }
        }
    }
}
