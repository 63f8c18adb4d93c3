package cloudwatch

import (
	"errors"
	"math"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	client "github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
)

// newClient returns a client of AWS's SDK for Go, which uses CBOR, for the service behind the shared port.
func newClient(t *testing.T, b *bench) *client.Client {
	t.Helper()
	server := httptest.NewServer(b.handler)
	t.Cleanup(server.Close)
	return client.New(client.Options{
		BaseEndpoint: aws.String(server.URL), Region: "us-east-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
	})
}

// F-71: the SDK decodes lists of timestamps, which CBOR must tag.
func TestSDKReadsWhatItPut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := newClient(t, b)
	ctx := t.Context()
	at := b.hour()
	for minute := range 3 {
		if _, err := c.PutMetricData(ctx, &client.PutMetricDataInput{Namespace: aws.String(
			"shop",
		), MetricData: []types.MetricDatum{{
			MetricName: aws.String("sold"), Unit: types.StandardUnitCount,
			Timestamp:  aws.Time(at.Add(time.Duration(minute) * time.Minute)),
			Dimensions: []types.Dimension{{Name: aws.String("till"), Value: aws.String("1")}},
			Values:     []float64{1, 2.5}, Counts: []float64{1, 2},
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	till := []types.Dimension{{Name: aws.String("till"), Value: aws.String("1")}}
	pages := client.NewGetMetricDataPaginator(c, &client.GetMetricDataInput{
		StartTime: aws.Time(at), EndTime: aws.Time(at.Add(time.Hour)), ScanBy: types.ScanByTimestampAscending,
		MaxDatapoints: aws.Int32(2),
		MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("m1"), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String("shop"), MetricName: aws.String("sold"), Dimensions: till},
			Period: aws.Int32(60), Stat: aws.String("Sum"),
		}}},
	})
	var times []time.Time
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.MetricDataResults {
			times = append(times, r.Timestamps...)
			for _, v := range r.Values {
				if v != 6 {
					t.Errorf("a minute sums up to %g", v)
				}
			}
		}
	}
	if len(times) != 3 || !times[0].Equal(at) || !times[2].Equal(at.Add(2*time.Minute)) {
		t.Errorf("times %v", times)
	}
	stats, err := c.GetMetricStatistics(ctx, &client.GetMetricStatisticsInput{
		Namespace: aws.String("shop"), MetricName: aws.String("sold"), Dimensions: till, StartTime: aws.Time(at),
		EndTime: aws.Time(at.Add(time.Hour)),
		Period:  aws.Int32(300), ExtendedStatistics: []string{"p99"},
	})
	if err != nil || len(stats.Datapoints) != 1 ||
		math.Abs(stats.Datapoints[0].ExtendedStatistics["p99"]-2.5) > 0.025 ||
		!stats.Datapoints[0].Timestamp.Equal(at) {
		t.Errorf("%+v, %v", stats, err)
	}
	listed, err := c.ListMetrics(ctx, &client.ListMetricsInput{
		Dimensions: []types.DimensionFilter{{Name: aws.String("till")}},
	})
	if err != nil || len(listed.Metrics) != 1 || *listed.Metrics[0].Dimensions[0].Value != "1" {
		t.Errorf("%+v, %v", listed, err)
	}
}

// The SDK finds its error types, and does not try an absent operation again.
func TestSDKUnderstandsErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c := newClient(t, b)
	_, err := c.GetMetricStatistics(t.Context(), &client.GetMetricStatisticsInput{
		Namespace: aws.String("n"), MetricName: aws.String("m"), StartTime: aws.Time(b.hour()),
		EndTime: aws.Time(b.hour().Add(24 * time.Hour)),
		Period:  aws.Int32(1), Statistics: []types.Statistic{types.StatisticSum},
	})
	var known *types.InvalidParameterCombinationException
	if !errors.As(err, &known) || !strings.Contains(known.ErrorMessage(), "86400 datapoints") {
		t.Errorf("%v", err)
	}
	_, err = c.DescribeAlarms(t.Context(), &client.DescribeAlarmsInput{})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "NotImplementedException" ||
		strings.Contains(err.Error(), "attempts") {
		t.Errorf("%v", err)
	}
}

// F-71: on the wire the header is in lower case, for the SDK builds that compare it so.
func TestProtocolHeaderIsInLowerCase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := httptest.NewServer(b.handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("POST /service/GraniteServiceVersion20100801/operation/ListMetrics HTTP/1.1\r\nHost: localhost\r\n" +
		"smithy-protocol: rpc-v2-cbor\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if !strings.HasPrefix(all.String(), "HTTP/1.1 200") ||
		!strings.Contains(all.String(), "\r\nsmithy-protocol: rpc-v2-cbor\r\n") {
		t.Errorf("%q", all.String())
	}
}
