// Node.js runtime of shardmill: loads a handler and works for the Lambda Runtime API.
//
// Nothing but Node's own modules. Error documents, fault types, the context object, the order in which a handler file is looked for and log lines follow
// AWS's own Node.js runtime interface client; class and method names that show in stack traces are its, too.

import fs from 'node:fs';
import module from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { Writable, finished } from 'node:stream';
import { pathToFileURL } from 'node:url';
import util from 'node:util';

const BASE = '/2018-06-01/runtime/';
// A log message of several lines goes out as one line: EVENT, then the text with its line breaks as BREAK. The other end puts them back.
const EVENT = '\x1e';
const BREAK = '\x1f';
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');
const TENANT_ID = Symbol.for('aws.lambda.runtime.tenantId');
const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const SURROUNDINGS = Symbol.for('shardmill.surroundings');
const BEFORE_EXIT = Symbol.for('aws.lambda.beforeExit'); // what to do when the event loop is empty; tools that trace functions wrap it
const CONTEXT_HEADERS = { clientContext: 'client-context', identity: 'cognito-identity' };

const require = module.createRequire(import.meta.url);
const surroundings = process[SURROUNDINGS] ?? {}; // of surroundings.cjs, which ran before
delete process[SURROUNDINGS];
// Whether the server itself is at the other end: a wrapper may have put a proxy before it.
const direct = process.env.SHARDMILL_RUNTIME_API === process.env.AWS_LAMBDA_RUNTIME_API;
delete process.env.SHARDMILL_RUNTIME_API;
// From nodejs24.x on, AWS's runtime awaits its handler, and knows no callbacks, no done, succeed and fail, and no wait for an empty event loop.
const modern = Number(/nodejs(\d+)/.exec(process.env.AWS_EXECUTION_ENV || '')?.[1] || 0) >= 24;

class Fault extends Error {}
const fault = (name, change = () => {}) => {
  const kind = class extends Fault {
    constructor(message, ...more) {
      super(message);
      change(this, message, ...more);
    }
  };
  kind.prototype.name = `Runtime.${name}`;
  return kind;
};
const ImportModuleError = fault('ImportModuleError');
const HandlerNotFound = fault('HandlerNotFound');
const MalformedHandlerName = fault('MalformedHandlerName');
const MalformedStreamingHandler = fault('MalformedStreamingHandler');
const InvalidStreamingOperation = fault('InvalidStreamingOperation');
const CallbackHandlerDeprecated = fault('CallbackHandlerDeprecated');
const JSONStringifyError = fault('JSONStringifyError');
const NodeJsExit = fault('NodeJsExit');
const UserCodeSyntaxError = fault('UserCodeSyntaxError', (fault, original) => {
  if (modern) fault.stack = original.stack;
});
const UnhandledPromiseRejection = fault('UnhandledPromiseRejection', (fault, reason, promise) => Object.assign(fault, { reason, promise }));

// What the runtime itself needs stays what it was when the function's code replaces it, as tests do with timers and clocks.
const { setImmediate } = globalThis;
const monotonic = performance.now.bind(performance);
const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);

// writeAll returns when the system has all bytes, also where a pipe or a connection is full for the moment.
function writeAll(fd, bytes) {
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(fs.writeSync(fd, bytes));
    } catch (e) {
      if (e.code !== 'EAGAIN') throw e;
      pause();
    }
  }
}

// RuntimeAPI is one keep-alive connection with answers in the order of the calls, headers read by hand: the http module costs three times as much per
// invocation. What is sent is with the system when call returns, so that a process that ends in the same breath, by whatever means, has answered.
// The connection holds the event loop only while an answer is awaited, so that an empty loop means that the handler has nothing left to do.
class RuntimeAPI {
  constructor(address) {
    const colon = address.lastIndexOf(':');
    this.address = address;
    this.waiting = [];
    this.parts = [];
    this.size = 0;
    this.want = 1; // bytes without which there is no use in looking
    this.socket = net.connect(Number(address.slice(colon + 1)), address.slice(0, colon));
    this.socket.setNoDelay(true);
    this.socket.unref();
    this.socket.on('data', (chunk) => this.receive(chunk));
    this.socket.on('error', () => process.exit(0)); // the daemon is gone
    this.socket.on('close', () => process.exit(0));
  }

  // A call without answered gets no answer; only the server itself grants that.
  call(method, route, answered, body, headers = '') {
    if (answered) {
      this.waiting.push(answered);
      this.socket.ref();
    } else headers += 'Shardmill-Quiet: 1\r\n';
    let head = `${method} ${BASE}${route} HTTP/1.1\r\nHost: ${this.address}\r\n${headers}`;
    if (body !== undefined) head += `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    head += '\r\n';
    if (body === undefined) this.send(Buffer.from(head));
    else if (typeof body === 'string') this.send(Buffer.from(head + body));
    else this.send(Buffer.concat([Buffer.from(head), body]));
  }

  get fd() {
    return this.socket.connecting ? -1 : (this.socket._handle?.fd ?? -1);
  }

  send(bytes) {
    if (this.fd < 0 || this.socket.writableLength > 0) {
      this.socket.write(bytes);
      return;
    }
    try {
      writeAll(this.fd, bytes);
    } catch {
      process.exit(0); // the daemon is gone
    }
  }

  // settle waits in place until every call is answered, a second at most: in a process that ends nothing else may run any more.
  settle() {
    const until = monotonic() + 1000;
    const chunk = Buffer.alloc(4096);
    while (this.waiting.length > 0 && this.fd >= 0 && monotonic() < until) {
      try {
        const n = fs.readSync(this.fd, chunk);
        if (n === 0) return;
        this.receive(Buffer.from(chunk.subarray(0, n)));
      } catch (e) {
        if (e.code !== 'EAGAIN') return;
        pause();
      }
    }
  }

  receive(chunk) {
    this.parts.push(chunk);
    this.size += chunk.length;
    while (this.size >= this.want) {
      const data = this.parts.length === 1 ? this.parts[0] : Buffer.concat(this.parts, this.size);
      this.parts = [data];
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) {
        this.want = this.size + 1;
        return;
      }
      const head = data.toString('utf8', 0, end).split('\r\n');
      const headers = {};
      for (const line of head.slice(1)) {
        const colon = line.indexOf(':');
        headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
      }
      const whole = end + 4 + Number(headers['content-length'] || 0);
      if (this.size < whole) {
        this.want = whole;
        return;
      }
      const body = data.subarray(end + 4, whole);
      const rest = data.subarray(whole);
      this.parts = rest.length > 0 ? [rest] : [];
      this.size = rest.length;
      this.want = 1;
      const answered = this.waiting.shift();
      if (this.waiting.length === 0) this.socket.unref();
      answered(Number(head[0].split(' ')[1]), headers, body);
    }
  }
}

// print puts a line on standard output, or another descriptor, at once.
function print(text, fd = 1) {
  try {
    writeAll(fd, Buffer.from(text));
  } catch (e) {
    if (e.code !== 'EPIPE') throw e;
  }
}

function patchConsole() {
  const writer = (level) => (message, ...more) => {
    const text = `${new Date().toISOString()}\t${globalThis[REQUEST_ID]}\t${level}\t${util.format(message, ...more)}`;
    print(text.includes('\n') ? EVENT + text.replaceAll('\n', BREAK) + '\n' : text + '\n');
  };
  for (const name of ['trace', 'debug', 'info', 'warn', 'error', 'fatal']) console[name] = writer(name.toUpperCase());
  console.log = console.info;
}

function isError(e) {
  return util.types.isNativeError(e) || (e && [e.name, e.message, e.stack].every((s) => typeof s === 'string' && s !== ''));
}

// describe is the error document of whatever was thrown, keys in AWS's order.
function describe(error) {
  const shown = (s) => s?.replace(/\x7f/g, '%7F');
  try {
    if (isError(error)) return { errorType: shown(error.name), errorMessage: shown(error.message), trace: shown(error.stack).split('\n') };
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage: 'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

// logError writes what AWS writes about an error: its properties, own ones included, as JSON. It throws where the value cannot become an error, as there.
function logError(what, thrown) {
  const error = thrown instanceof Error ? thrown : new Error(thrown);
  let text;
  try {
    text = JSON.stringify(error, (_, value) => {
      if (!(value instanceof Error)) return value;
      const shown = Object.assign({ errorType: value.name, errorMessage: value.message, code: value.code }, value);
      if (typeof value.stack === 'string') shown.stack = value.stack.split('\n');
      return shown;
    });
  } catch {
    text = JSON.stringify(describe(error));
  }
  console.error(what, '\t' + text);
}

function stringify(result) {
  let text;
  try {
    text = JSON.stringify(result === undefined ? null : result);
  } catch {
    throw new (modern ? JSONStringifyError : Error)('Unable to stringify response body');
  }
  if (text === undefined) throw new TypeError('Wrong arguments'); // a function, a symbol: what AWS's native client says
  return text;
}

// typeModule reports whether the nearest package.json makes .js files ES modules.
function typeModule(folder) {
  for (; !folder.endsWith('/node_modules'); folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file, 'utf8'))?.type === 'module';
      } catch (e) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, e);
        return false;
      }
    }
    if (folder === path.dirname(folder)) return false;
  }
  return false;
}

const causes = new WeakMap(); // the errors that ours stand for
const causedBy = (cause, error) => {
  causes.set(error, cause);
  return error;
};

async function loadFile(root, folder, name) {
  const base = path.resolve(root, folder, name);
  const required = (extension) => (fs.existsSync(base + extension) ? require(base + extension) : undefined);
  const imported = async (extension) => {
    if (!fs.existsSync(base + extension)) return undefined;
    surroundings.limitImport?.();
    return import(pathToFileURL(base + extension).href);
  };
  surroundings.limitImportOnceUsed?.();
  const es = typeModule(path.dirname(base));
  return (
    required('') ||
    (es ? await imported('.js') : required('.js')) ||
    (await imported('.mjs')) ||
    required('.cjs') ||
    require(require.resolve(name, { paths: [root, path.join(root, folder)] }))
  );
}

async function load(root, handler) {
  if (handler.includes('..')) {
    throw new MalformedHandlerName(`'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const last = path.basename(handler);
  const parts = /^([^.]*)\.(.*)$/.exec(last);
  if (!parts) throw new MalformedHandlerName('Bad handler');
  let loaded;
  try {
    loaded = await loadFile(root, handler.slice(0, handler.indexOf(last)), parts[1]);
  } catch (e) {
    if (e instanceof SyntaxError) throw new UserCodeSyntaxError(e);
    if (e.code === 'MODULE_NOT_FOUND') throw causedBy(e, new ImportModuleError(e));
    throw e;
  }
  const find = (object) => parts[2].split('.').reduce((nested, key) => nested && nested[key], object);
  const found = find(loaded) || (modern && util.types.isModuleNamespaceObject(loaded) && find(loaded.default));
  if (!found) throw new HandlerNotFound(`${handler} is undefined or not exported`);
  if (typeof found !== 'function') throw new HandlerNotFound(`${handler} is not a function`);
  if (found[STREAMING] && found[STREAMING] !== 'response') throw new MalformedStreamingHandler('Only response streaming is supported.');
  if (modern && found.length >= 3 && !found[STREAMING]) {
    throw new CallbackHandlerDeprecated(
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need to modify this function to use a supported' +
        ' handler signature to use Node.js 24 or later. For more information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.',
    );
  }
  return found;
}

// ResponseStream is what a streaming handler writes to. Its content goes out as one piece when it has ended: nothing here reads a part of an answer.
class ResponseStream extends Writable {
  #parts = [];
  #begun = false;
  contentType = 'application/octet-stream';

  setContentType(type) {
    if (this.#begun) throw new InvalidStreamingOperation('Cannot set content-type, too late.');
    this.contentType = type;
  }

  write(chunk, ...more) {
    const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
    if (!this.#begun) this._onBeforeFirstWrite?.((piece) => this.#parts.push(Buffer.from(piece)));
    this.#begun = true;
    return super.write(plain ? chunk : JSON.stringify(chunk), ...more);
  }

  _write(chunk, encoding, done) {
    this.#parts.push(Buffer.from(chunk));
    done();
  }

  get content() {
    return Buffer.concat(this.#parts);
  }
}

class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType('application/vnd.awslambda.http-integration-response');
    stream._onBeforeFirstWrite = (write) => {
      write(JSON.stringify(prelude));
      write(new Uint8Array(8));
    };
    return stream;
  }
}

function buildContext(headers, context) {
  const header = (name) => headers['lambda-runtime-' + name];
  const env = process.env;
  Object.assign(context, {
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
  });
  for (const [name, from] of Object.entries(CONTEXT_HEADERS)) {
    try {
      context[name] = header(from) && JSON.parse(header(from));
    } catch (e) {
      throw new Error(`Cannot parse ${name[0].toUpperCase()}${name.slice(1)} as json: ${e}`);
    }
  }
  const deadline = Number(header('deadline-ms'));
  return Object.assign(context, {
    invokedFunctionArn: header('invoked-function-arn'),
    awsRequestId: header('aws-request-id'),
    tenantId: header('aws-tenant-id'),
    getRemainingTimeInMillis: () => deadline - Date.now(),
  });
}

class Runtime {
  constructor(api) {
    this.api = api;
    this.id = undefined; // of the invocation under way
    this.latest = undefined; // of that one, or of the one before
    this.initialising = true;
    this.asking = false; // for the next one: the connection says nothing else until it comes
    this.dying = false;
  }

  // onEmptyLoop sets what is to be done when the event loop is empty.
  set onEmptyLoop(f) {
    globalThis[BEFORE_EXIT] = f;
  }

  start(handler) {
    if (this.dying) return;
    this.handler = handler;
    if (handler[STREAMING]) this.handle = this.handleOnceStreaming;
    else this.handle = modern ? this.handleOnce : this.handleOnceNonStreaming;
    setImmediate(() => this.next());
  }

  next() {
    if (this.dying) return;
    this.initialising = false;
    this.asking = true;
    this.api.call('GET', 'invocation/next', (status, headers, body) => {
      if (status !== 200) process.exit(1);
      this.asking = false;
      this.id = this.latest = globalThis[REQUEST_ID] = headers['lambda-runtime-aws-request-id'];
      surroundings.moveClock?.(Number(headers['shardmill-clock-offset-ms'] || NaN));
      globalThis[TENANT_ID] = headers['lambda-runtime-aws-tenant-id'];
      const trace = headers['lambda-runtime-trace-id'];
      if (trace) process.env._X_AMZN_TRACE_ID = trace;
      else delete process.env._X_AMZN_TRACE_ID;
      Promise.resolve().then(() => this.handle(headers, body)); // as AWS does: whatever the handler settles at once goes before its ticks
    });
  }

  // respond and fail end the invocation with that id, unless it has ended. They ask for the next one in the next turn of the event loop: what the handler left
  // behind may end the process in this one, and must not take an event with it.
  respond(id, body, type = 'application/json') {
    const answered = direct ? undefined : () => {};
    this.end(id, () => this.api.call('POST', `invocation/${id}/response`, answered, body, `Content-Type: ${type.replace(/[^\x20-\x7e]/g, '?')}\r\n`));
  }

  fail(id, error) {
    this.end(id, () => {
      logError('Invoke Error', error);
      this.postError(`invocation/${id}/error`, error, () => {});
    });
  }

  end(id, post) {
    if (this.dying || id !== this.id) return;
    post();
    this.onEmptyLoop = () => {};
    this.id = undefined;
    setImmediate(() => this.next());
  }

  postError(route, error, answered) {
    const document = describe(error);
    const kind = String(document.errorType).replace(/[^\x20-\x7e]/g, '?');
    let headers = `Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: ${kind}\r\n`;
    const hint = surroundings.advise?.(causes.get(error) ?? error, this.initialising);
    if (hint) headers += `Shardmill-Hint: ${encodeURIComponent(hint)}\r\n`;
    this.api.call('POST', route, answered, JSON.stringify(document), headers);
  }

  // die ends the process after an error that nobody caught, telling it to whom it concerns.
  die(what, error, code) {
    logError(what, error);
    if (this.dying) return;
    this.dying = true;
    if (this.initialising) {
      this.postError('init/error', error, () => process.exit(code));
      return;
    }
    // An invocation that has been answered already takes no error, which AWS's native client says in a line of its own.
    const refused = (status) => status >= 400 && print(`[ERROR] [${Date.now()}] LAMBDA_RUNTIME Failed to post handler success response. Http response code: ${status}.\n`, 2);
    if (this.latest !== undefined && !this.asking) this.postError(`invocation/${this.latest}/error`, error, refused);
    if (!this.asking) this.api.settle();
    process.exit(code);
  }

  // neverSettled is what to do when nothing is left that could settle the handler's promise.
  neverSettled(id) {
    this.onEmptyLoop = () =>
      this.fail(
        id,
        new NodeJsExit(
          'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise that was never settled.' +
            ' For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes',
        ),
      );
  }

  // handleOnce is the whole of it from nodejs24.x on.
  async handleOnce(headers, body) {
    const id = this.id;
    this.neverSettled(id);
    try {
      const result = stringify(await this.handler(JSON.parse(body), buildContext(headers, {})));
      this.respond(id, result);
    } catch (e) {
      this.fail(id, e);
    }
  }

  // handleOnceNonStreaming takes the first of: the callback, done, succeed or fail of the context, or the promise's end.
  handleOnceNonStreaming(headers, body) {
    const id = this.id;
    let wait = true;
    let over = false;
    const first = (f) => (...given) => {
      if (over) return;
      f(...given);
      over = true;
    };
    const done = (error, result) => {
      if (error !== undefined && error !== null) this.fail(id, error);
      else this.respond(id, stringify(result));
    };
    const callback = first((error, result) => {
      if (!wait || (error !== undefined && error !== null)) done(error, result);
      else this.onEmptyLoop = () => setImmediate(() => done(undefined, result));
    });
    const context = {
      get callbackWaitsForEmptyEventLoop() {
        return wait;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        wait = value;
      },
      succeed: first((result) => done(null, result)),
      fail: first((error) => done(error ?? 'handled')),
      done: first(done),
    };
    const { succeed, fail } = context;
    if (this.handler.constructor?.name === 'AsyncFunction') this.neverSettled(id);
    else this.onEmptyLoop = () => this.respond(id, 'null');
    try {
      const result = this.handler(JSON.parse(body), buildContext(headers, context), callback);
      if (typeof result?.then === 'function') result.then(succeed, fail).catch(fail);
    } catch (e) {
      callback(e);
    }
  }

  async handleOnceStreaming(headers, body) {
    const id = this.id;
    const stream = new ResponseStream();
    this.neverSettled(id);
    try {
      stream.on('error', () => {});
      const result = this.handler(JSON.parse(body), stream, buildContext(headers, {}));
      if (typeof result?.then !== 'function') throw 'Streaming does not support non-async handlers.';
      if ((await result) !== undefined) console.warn('Streaming handlers ignore return values.');
      if (!stream.writableEnded) throw 'Response stream is not finished.';
      await new Promise((resolve, reject) => finished(stream, (e) => (e ? reject(e) : resolve())));
      this.respond(id, stream.content, stream.contentType);
    } catch (e) {
      this.fail(id, e);
    }
  }
}

patchConsole();
const runtime = new Runtime(new RuntimeAPI(process.env.AWS_LAMBDA_RUNTIME_API));
process.on('uncaughtException', (e) => runtime.die('Uncaught Exception', e, 129));
process.on('unhandledRejection', (reason, promise) => {
  runtime.die('Unhandled Promise Rejection', new UnhandledPromiseRejection(reason, promise), 128);
});
runtime.onEmptyLoop = () => {};
process.on('beforeExit', () => globalThis[BEFORE_EXIT]());
if (!['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) {
  globalThis.awslambda = {
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark);
      return handler;
    },
    HttpResponseStream,
  };
}
try {
  runtime.start(await load(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER));
} catch (e) {
  runtime.die('Uncaught Exception', e, 129);
}
