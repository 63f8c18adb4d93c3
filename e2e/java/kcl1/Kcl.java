import com.amazonaws.auth.DefaultAWSCredentialsProviderChain;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.cloudwatch.AmazonCloudWatchClientBuilder;
import com.amazonaws.services.kinesis.clientlibrary.exceptions.ShutdownException;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.IRecordProcessorCheckpointer;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.v2.IRecordProcessor;
import com.amazonaws.services.kinesis.clientlibrary.interfaces.v2.IShutdownNotificationAware;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.InitialPositionInStream;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.KinesisClientLibConfiguration;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.ShutdownReason;
import com.amazonaws.services.kinesis.clientlibrary.lib.worker.Worker;
import com.amazonaws.services.kinesis.clientlibrary.types.InitializationInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ProcessRecordsInput;
import com.amazonaws.services.kinesis.clientlibrary.types.ShutdownInput;
import java.nio.charset.StandardCharsets;

/**
 * A worker of version 1, which prints what those of the later ones print. Its SDK does not know AWS_ENDPOINT_URL, so
 * each client is told.
 */
class Kcl {
    static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** args are the application, the stream, the worker, and polling. */
    public static void main(String[] args) {
        String endpoint = System.getenv("AWS_ENDPOINT_URL"), region = System.getenv("AWS_REGION");
        var config = new KinesisClientLibConfiguration(
            args[0], args[1], new DefaultAWSCredentialsProviderChain(), args[2])
            .withKinesisEndpoint(endpoint).withDynamoDBEndpoint(endpoint).withRegionName(region)
            .withInitialPositionInStream(InitialPositionInStream.TRIM_HORIZON)
            .withFailoverTimeMillis(2000).withShardSyncIntervalMillis(1000).withParentShardPollIntervalMillis(500)
            .withMetricsBufferTimeMillis(1000);
        var worker = new Worker.Builder().recordProcessorFactory(Processor::new).config(config)
            .cloudWatchClient(AmazonCloudWatchClientBuilder.standard()
                .withEndpointConfiguration(new EndpointConfiguration(endpoint, region)).build())
            .build();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                worker.startGracefulShutdown().get();
            } catch (Exception e) {
                say("error " + e);
            }
        }));
        worker.run();
    }

    private static class Processor implements IRecordProcessor, IShutdownNotificationAware {
        private String shard;

        @Override
        public void initialize(InitializationInput in) {
            shard = in.getShardId();
            say("began " + shard + " " + in.getExtendedSequenceNumber().getSequenceNumber());
        }

        @Override
        public void processRecords(ProcessRecordsInput in) {
            for (var r : in.getRecords()) {
                say("record " + shard + " " + StandardCharsets.UTF_8.decode(r.getData()));
            }
            if (!in.getRecords().isEmpty()) {
                checkpoint("checkpoint", in.getCheckpointer());
            }
        }

        @Override
        public void shutdown(ShutdownInput in) {
            if (in.getShutdownReason() == ShutdownReason.TERMINATE) {
                checkpoint("ended", in.getCheckpointer());
            } else {
                say("lost " + shard);
            }
        }

        @Override
        public void shutdownRequested(IRecordProcessorCheckpointer checkpointer) {
            checkpoint("left", checkpointer);
        }

        private void checkpoint(String what, IRecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
                say(what + " " + shard);
            } catch (ShutdownException e) { // the shard went to another worker, which reads on from the checkpoint before
                say("yielded " + shard);
            } catch (Exception e) {
                say("error " + shard + " " + e);
            }
        }
    }
}
