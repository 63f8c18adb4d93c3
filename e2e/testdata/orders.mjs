// The handler of the tutorial as an ES module for Node.js: reports the records that cannot be processed, and counts the others in the embedded metric format.
const count = (orders) => ({
  _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: 'Shop', Dimensions: [['service']], Metrics: [{ Name: 'OrdersTaken', Unit: 'Count' }] }] },
  service: 'orders',
  OrdersTaken: orders,
});

export const handler = async (event) => {
  const batchItemFailures = [];
  for (const { kinesis } of event.Records) {
    try {
      const order = JSON.parse(Buffer.from(kinesis.data, 'base64').toString());
      console.log('order %d', order.id);
    } catch (e) {
      console.error('cannot process', kinesis.sequenceNumber, e.message);
      batchItemFailures.push({ itemIdentifier: kinesis.sequenceNumber });
    }
  }
  console.log(JSON.stringify(count(event.Records.length - batchItemFailures.length)));
  return { batchItemFailures };
};
