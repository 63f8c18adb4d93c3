# A pipeline as people write it for AWS. AWS_ENDPOINT_URL says where the account is, and the provider's block how to use it there.

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

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "any"
  secret_key                  = "any"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}

resource "aws_kinesis_stream" "orders" {
  name             = "orders"
  shard_count      = 2
  retention_period = 48
  tags             = { team = "orders" }
}

resource "aws_sqs_queue" "given_up" {
  name                       = "given-up"
  visibility_timeout_seconds = 60
  tags                       = { team = "orders", release = var.release }
}

resource "aws_sns_topic" "given_up" {
  name = "given-up"
}

resource "aws_sns_topic_subscription" "given_up" {
  topic_arn            = aws_sns_topic.given_up.arn
  protocol             = "sqs"
  endpoint             = aws_sqs_queue.given_up.arn
  raw_message_delivery = var.release == "two"
}

resource "aws_s3_bucket" "given_up" {
  bucket        = "given-up"
  force_destroy = true
}

resource "aws_s3_object" "note" {
  bucket  = aws_s3_bucket.given_up.id
  key     = "a/note"
  content = "what was given up is below aws/lambda"
}

resource "aws_lambda_function" "orders" {
  function_name    = "orders"
  role             = "arn:aws:iam::000000000000:role/any"
  runtime          = "python3.12"
  handler          = "handler.handler"
  filename         = "${var.release}.zip"
  source_code_hash = filebase64sha256("${var.release}.zip")
  publish          = true
  tags             = { team = "orders" }

  environment {
    variables = { RELEASE = var.release }
  }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.orders.function_name
  function_version = aws_lambda_function.orders.version
}

resource "aws_lambda_permission" "events" {
  statement_id  = "events"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.orders.function_name
  principal     = "events.amazonaws.com"
}

resource "aws_lambda_event_source_mapping" "orders" {
  event_source_arn                   = aws_kinesis_stream.orders.arn
  function_name                      = aws_lambda_alias.live.arn
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = var.release == "one" ? 100 : 10
  maximum_batching_window_in_seconds = 1
  parallelization_factor             = 2
  maximum_retry_attempts             = 3
  maximum_record_age_in_seconds      = 3600
  bisect_batch_on_function_error     = true
  function_response_types            = ["ReportBatchItemFailures"]
  tags                               = { team = "orders" }

  destination_config {
    on_failure {
      destination_arn = var.release == "one" ? aws_sqs_queue.given_up.arn : aws_s3_bucket.given_up.arn
    }
  }

  filter_criteria {
    filter {
      pattern = jsonencode({ data = { type = [var.release] } })
    }
  }

  metrics_config {
    metrics = ["EventCount"]
  }
}
