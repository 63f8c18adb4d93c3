// Starts AWS's runtime interface client the way AWS's managed Node.js runtimes do; the argument is where it is installed.
import { pathToFileURL } from 'node:url';

const client = pathToFileURL(`${process.argv[2]}/node_modules/aws-lambda-ric/dist/index.mjs`).href;
process.argv.length = 2;
const { run } = await import(client);
await run(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
