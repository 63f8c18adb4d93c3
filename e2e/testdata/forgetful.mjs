// The handler returns, and a forgotten promise rejects in the same turn: the answer is on its way when the process ends.
let calls = 0;

export const handler = async (event) => {
  console.log(`seen ${event.Records[0].kinesis.partitionKey} ${calls++}`);
  (async () => {
    throw new Error('metrics call failed');
  })();
  return null;
};
