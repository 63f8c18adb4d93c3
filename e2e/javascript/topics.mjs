// What a user of the AWS SDK for JavaScript does to topics: makes one, subscribes one queue as it is and one raw, publishes, and reads the message from both.
// The endpoint comes from AWS_ENDPOINT_URL. Prints what it saw as JSON.
import { CreateTopicCommand, DeleteTopicCommand, NotFoundException, PublishCommand, SNSClient, SubscribeCommand } from "@aws-sdk/client-sns";
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from "@aws-sdk/client-sqs";

const [Name] = process.argv.slice(2);
const sns = new SNSClient();
const sqs = new SQSClient();
const { TopicArn } = await sns.send(new CreateTopicCommand({ Name }));

async function subscribe(suffix, RawMessageDelivery) {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `${Name}-${suffix}` }));
  const { Attributes } = await sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ["QueueArn"] }));
  await sns.send(new SubscribeCommand({ TopicArn, Protocol: "sqs", Endpoint: Attributes.QueueArn, Attributes: { RawMessageDelivery } }));
  return QueueUrl;
}
async function receive(QueueUrl) {
  return (await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20, MessageAttributeNames: ["All"] }))).Messages?.[0];
}

const wrapped = await subscribe("wrapped", "false");
const raw = await subscribe("raw", "true");
await sns.send(new PublishCommand({
  TopicArn, Subject: "hello", Message: '{"größe": 1}', MessageAttributes: { colour: { DataType: "String", StringValue: "blue" } },
}));
const saw = { wrapped: JSON.parse((await receive(wrapped)).Body) };
const message = await receive(raw);
saw.raw = message.Body;
saw.colour = message.MessageAttributes.colour.StringValue;
await sns.send(new DeleteTopicCommand({ TopicArn }));
try {
  await sns.send(new PublishCommand({ TopicArn, Message: "too late" }));
} catch (e) {
  saw.gone = e instanceof NotFoundException && e.message;
}
console.log(JSON.stringify(saw));
