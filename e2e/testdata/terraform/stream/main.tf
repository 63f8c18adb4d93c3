# A stream with everything that can be set on one, and a stream with nothing set. AWS_ENDPOINT_URL says where the account is.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "release" {
  type    = string
  default = "one"
}

locals {
  first = var.release == "one"
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "any"
  secret_key                  = "any"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
}

resource "aws_kinesis_stream" "plain" {
  name = "plain"
  stream_mode_details {
    stream_mode = "ON_DEMAND"
  }
}

resource "aws_kinesis_stream" "orders" {
  name                      = "orders"
  shard_count               = local.first ? 2 : 4
  retention_period          = local.first ? 48 : 72
  encryption_type           = local.first ? "KMS" : "NONE"
  kms_key_id                = local.first ? "alias/aws/kinesis" : null
  shard_level_metrics       = local.first ? ["IncomingBytes", "IteratorAgeMilliseconds"] : ["IncomingRecords"]
  enforce_consumer_deletion = true
  tags                      = { team = "orders", release = var.release }
}

resource "aws_kinesis_stream_consumer" "billing" {
  name       = "billing"
  stream_arn = aws_kinesis_stream.orders.arn
}

resource "aws_kinesis_resource_policy" "orders" {
  resource_arn = aws_kinesis_stream.orders.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "reader"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::111122223333:root" }
      Action    = local.first ? ["kinesis:DescribeStreamSummary", "kinesis:ListShards", "kinesis:GetRecords", "kinesis:GetShardIterator"] : ["kinesis:PutRecords"]
      Resource  = aws_kinesis_stream.orders.arn
    }]
  })
}

resource "aws_dynamodb_table" "leases" {
  name         = "leases"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "leaseKey"
  attribute {
    name = "leaseKey"
    type = "S"
  }
  server_side_encryption {
    enabled = true
  }
}
