"""What a boto3 user does with metrics: puts ten values and prints, as JSON, what GetMetricStatistics, GetMetricData and ListMetrics say about them.

python metrics.py ENDPOINT START END
"""
import datetime
import json
import sys

import boto3

endpoint, start, end = sys.argv[1], *(datetime.datetime.fromtimestamp(int(s), datetime.timezone.utc) for s in sys.argv[2:4])
cloudwatch = boto3.client(
    "cloudwatch", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="000000000000", aws_secret_access_key="any"
)
shop = [{"Name": "shop", "Value": "1"}]
cloudwatch.put_metric_data(
    Namespace="tester", MetricData=[{"MetricName": "metric", "Dimensions": shop, "Timestamp": start, "Value": v} for v in range(10)]
)
cloudwatch.put_metric_data(  # long enough that botocore packs it with gzip
    Namespace="tester", MetricData=[{"MetricName": "long", "Timestamp": start, "Values": [float(v) for v in range(150)]} for _ in range(20)]
)

statistics = cloudwatch.get_metric_statistics(
    Namespace="tester", MetricName="metric", Dimensions=shop, StartTime=start, EndTime=end, Period=300,
    Statistics=["Average", "Maximum", "Minimum", "SampleCount", "Sum"],
)
data = cloudwatch.get_metric_data(
    StartTime=start, EndTime=end,
    MetricDataQueries=[{"Id": "m1", "MetricStat": {"Metric": {"Namespace": "tester", "MetricName": "metric", "Dimensions": shop}, "Period": 300, "Stat": "Sum"}}],
)
try:
    cloudwatch.get_metric_statistics(
        Namespace="tester", MetricName="metric", StartTime=start, EndTime=start + datetime.timedelta(days=1), Period=1, Statistics=["Sum"]
    )
    code = "none"
except cloudwatch.exceptions.ClientError as e:
    code = e.response["Error"]["Code"]
points = [
    [int(p["Timestamp"].timestamp()), p["Average"], p["Maximum"], p["Minimum"], p["SampleCount"], p["Sum"], p["Unit"]] for p in statistics["Datapoints"]
]
sums = [[int(t.timestamp()), v] for t, v in zip(data["MetricDataResults"][0]["Timestamps"], data["MetricDataResults"][0]["Values"])]
names = sorted(m["MetricName"] for m in cloudwatch.list_metrics(Namespace="tester")["Metrics"])
print(json.dumps({"points": points, "sums": sums, "names": names, "code": code}))
