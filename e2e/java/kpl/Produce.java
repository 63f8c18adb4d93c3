import com.google.common.util.concurrent.ListenableFuture;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

/** Puts records with the Kinesis Producer Library, which knows only TLS, in aggregates as it does unasked. */
class Produce {
    /** args are host, port, stream, the number of records, and the file of the authority to trust; none: any. */
    public static void main(String[] args) throws Exception {
        var config = new KinesisProducerConfiguration()
            .setRegion("us-east-1").setVerifyCertificate(args.length > 4)
            .setKinesisEndpoint(args[0]).setKinesisPort(Long.parseLong(args[1]))
            .setCloudwatchEndpoint(args[0]).setCloudwatchPort(Long.parseLong(args[1]))
            .setStsEndpoint(args[0]).setStsPort(Long.parseLong(args[1]))
            .setMetricsUploadDelay(1000);
        if (args.length > 4) {
            config.setCaCertFile(args[4]);
        }
        var producer = new KinesisProducer(config);
        var puts = new ArrayList<ListenableFuture<UserRecordResult>>();
        for (int i = 0; i < Integer.parseInt(args[3]); i++) {
            var data = ByteBuffer.wrap(Integer.toString(i).getBytes(StandardCharsets.UTF_8));
            puts.add(producer.addUserRecord(args[2], "key" + i % 40, data));
        }
        producer.flushSync();
        int put = 0;
        for (var p : puts) {
            put += p.get().isSuccessful() ? 1 : 0;
        }
        System.out.println("put: " + put);
        Thread.sleep(2500); // until the library has sent its metrics
        producer.destroy();
    }
}
