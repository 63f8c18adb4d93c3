import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.camel.builder.RouteBuilder;
import org.apache.camel.impl.DefaultCamelContext;

/** A route of Apache Camel that reads a stream, and a producer that puts to it. */
class Route {
    public static void main(String[] args) throws Exception {
        String stream = "aws2-kinesis:orders?useDefaultCredentialsProvider=true&region=us-east-1";
        int n = 50;
        var seen = new TreeSet<Integer>();
        var all = new CountDownLatch(n);
        try (var context = new DefaultCamelContext()) {
            context.addRoutes(new RouteBuilder() {
                @Override
                public void configure() {
                    from(stream + "&iteratorType=TRIM_HORIZON&maxResultsPerRequest=20&delay=100").process(e -> {
                        synchronized (seen) {
                            if (seen.add(Integer.parseInt(e.getIn().getBody(String.class)))) {
                                all.countDown();
                            }
                        }
                    });
                }
            });
            context.start();
            try (var template = context.createProducerTemplate()) {
                for (int i = 0; i < n; i++) {
                    template.sendBodyAndHeaders(
                        stream, Integer.toString(i), Map.of("CamelAwsKinesisPartitionKey", "key" + i % 7));
                }
            }
            all.await(30, TimeUnit.SECONDS);
        }
        synchronized (seen) {
            System.out.println("seen: " + seen.size() + ", from " + seen.first() + " to " + seen.last());
        }
    }
}
