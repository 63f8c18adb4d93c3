"""Puts, reads, lists and deletes objects with boto3 as its users do, and prints what it saw."""
import io
import json
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

s3 = boto3.client("s3")
bucket = sys.argv[1]
saw = {}

s3.put_object(Bucket=bucket, Key="a b/ä+", Body=b"body", Metadata={"colour": "blue"}, ContentType="text/plain")
got = s3.get_object(Bucket=bucket, Key="a b/ä+")
saw["body"], saw["metadata"], saw["checksum"] = got["Body"].read().decode(), got["Metadata"], got["ChecksumCRC32"]

large = bytes(range(256)) * 40_000
s3.upload_fileobj(io.BytesIO(large), bucket, "large", Config=TransferConfig(multipart_chunksize=6 << 20))
back = io.BytesIO()
s3.download_fileobj(bucket, "large", back)
saw["large"] = back.getvalue() == large
saw["range"] = list(s3.get_object(Bucket=bucket, Key="large", Range="bytes=255-257")["Body"].read())
s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copy/large")

pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
saw["keys"] = [o["Key"] for page in pages for o in page.get("Contents", [])]
listed = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
saw["groups"] = [p["Prefix"] for p in listed["CommonPrefixes"]]


def code(call, **arguments):
    try:
        call(Bucket=bucket, **arguments)
    except ClientError as e:
        return e.response["Error"]["Code"], e.response["ResponseMetadata"]["RetryAttempts"]


saw["refused"] = [
    code(s3.get_object, Key="none"), code(s3.head_object, Key="none"),
    code(s3.put_object, Key="large", IfNoneMatch="*", Body=b""),
    code(s3.put_bucket_versioning, VersioningConfiguration={"Status": "Enabled"}), code(s3.get_bucket_policy),
]
s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in saw["keys"]]})
saw["left"] = s3.list_objects_v2(Bucket=bucket)["KeyCount"]
print(json.dumps(saw, ensure_ascii=False))
