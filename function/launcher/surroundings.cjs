// What surrounds a function on AWS beside the runtime itself, set up before the first line of its code, in its worker threads and forked processes as well:
// standard output that takes everything at once, the clock of the server, nothing to import but the package and what AWS bundles, and calls of the AWS SDK
// for JavaScript v2 that come back to the server. Nothing of this shows among the function's modules.

'use strict';

const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const OFFSET = 'SHARDMILL_CLOCK_OFFSET_MS'; // how far the server's clock is ahead of this machine's
const env = process.env;

// writeAtOnce makes writes to a stream that is a pipe return when the pipe has the bytes: what a function has printed is on its way before its answer is,
// and is not lost when the process ends. Node makes the streams when they are first asked for, and so do we.
function writeAtOnce(name) {
  const was = Object.getOwnPropertyDescriptor(process, name);
  if (!was?.get || !was.configurable) return;
  Object.defineProperty(process, name, {
    ...was,
    get() {
      Object.defineProperty(process, name, was);
      const stream = process[name];
      stream?._handle?.setBlocking?.(true);
      return stream;
    },
  });
}

function named(name, f) {
  return Object.defineProperty(f, 'name', { value: name, configurable: true });
}

// steerClock shows the function the server's clock: Date, its default in Intl, performance.timeOrigin, Temporal. What only measures (performance.now,
// process.hrtime, timers) is left alone. It returns what moves the clock; worker threads share the offset with the thread that started them.
function steerClock() {
  const { getEnvironmentData, setEnvironmentData } = require('node:worker_threads'); // costs 3 ms
  let offset = getEnvironmentData(OFFSET);
  if (!offset) {
    offset = new Float64Array(new SharedArrayBuffer(8));
    offset[0] = Number(env[OFFSET]) || 0;
    setEnvironmentData(OFFSET, offset);
  }
  const Real = Date;
  const realNow = Date.now;
  const now = () => realNow() + offset[0];
  // The prototype stays the same, so that dates which Node itself makes are instances, too.
  const Steered = new Proxy(Real, {
    apply: () => new Real(now()).toString(),
    construct: (target, given, made) => Reflect.construct(target, given.length > 0 ? given : [now()], made),
  });
  const put = (object, name, value) => Object.defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
  put(Real, 'now', named('now', now));
  put(Real.prototype, 'constructor', Steered);
  put(globalThis, 'Date', Steered);

  const format = Intl.DateTimeFormat.prototype;
  const bound = new WeakMap(); // format is the same function each time it is asked for
  const getFormat = Object.getOwnPropertyDescriptor(format, 'format');
  Object.defineProperty(format, 'format', {
    ...getFormat,
    get: named('get format', function () {
      const real = getFormat.get.call(this);
      if (!bound.has(real)) bound.set(real, named('', (date) => real(date === undefined ? now() : date)));
      return bound.get(real);
    }),
  });
  const toParts = format.formatToParts;
  put(format, 'formatToParts', named('formatToParts', function (date) {
    return toParts.call(this, date === undefined ? now() : date);
  }));

  // Versions of Node.js have it in different places.
  const owner = (name) => {
    let object = performance;
    while (object && !Object.getOwnPropertyDescriptor(object, name)) object = Object.getPrototypeOf(object);
    return object;
  };
  const origin = performance.timeOrigin; // read first: some versions put it in its place when it is asked for
  const at = owner('timeOrigin');
  if (at && Object.getOwnPropertyDescriptor(at, 'timeOrigin').configurable) {
    Object.defineProperty(at, 'timeOrigin', { get: named('get timeOrigin', () => origin + offset[0]), enumerable: true, configurable: true });
    const toJSON = performance.toJSON;
    put(owner('toJSON'), 'toJSON', named('toJSON', function () {
      return { ...toJSON.call(this), timeOrigin: this.timeOrigin };
    }));
  }

  const temporal = globalThis.Temporal?.Now;
  if (temporal) {
    const zoned = temporal.zonedDateTimeISO;
    const zonedNow = (zone) => zoned.call(temporal, zone).add({ milliseconds: Math.round(offset[0]) });
    put(temporal, 'instant', named('instant', () => zonedNow('UTC').toInstant()));
    put(temporal, 'zonedDateTimeISO', named('zonedDateTimeISO', (zone) => zonedNow(zone)));
    put(temporal, 'plainDateTimeISO', named('plainDateTimeISO', (zone) => zonedNow(zone).toPlainDateTime()));
    put(temporal, 'plainDateISO', named('plainDateISO', (zone) => zonedNow(zone).toPlainDate()));
    put(temporal, 'plainTimeISO', named('plainTimeISO', (zone) => zonedNow(zone).toPlainTime()));
  }
  return (ms) => {
    if (!Number.isFinite(ms) || ms === offset[0]) return;
    offset[0] = ms;
    env[OFFSET] = String(ms); // for processes that the function starts
  };
}

// packages is where modules may come from. AWS has nothing above /var/task; here, folders above the code may hold what other projects use, and Node of some
// distributions has folders of its own.
function packages() {
  const root = env.LAMBDA_TASK_ROOT || '';
  const roots = new Set([root, '/opt']);
  try {
    roots.add(fs.realpathSync(root));
  } catch {}
  roots.delete('');
  const within = (file) => [...roots].some((dir) => file === dir || file.startsWith(dir + path.sep));
  const listed = (env.NODE_PATH || '').split(path.delimiter).filter(Boolean);
  const above = [];
  for (let dir = path.dirname(root); root !== ''; dir = path.dirname(dir)) {
    above.push(path.join(dir, 'node_modules'));
    if (dir === path.dirname(dir)) break;
  }
  const shut = root !== '' && !env.SHARDMILL_HOST_PACKAGES;
  const bases = listed.filter((dir) => dir.endsWith('/node_modules') && holds(dir)).map((dir) => fs.realpathSync(dir));
  return {
    shut,
    bases, // where import has to look, too
    limits: bases.length > 0 || (shut && above.some((dir) => fs.existsSync(dir))), // import needs our help
    // own reports whether a module is the function's, as opposed to one of those that AWS bundles, which find theirs around them.
    own: (file) => !file || within(file),
    open: (dir) => within(dir) || listed.includes(dir),
    within,
  };
}

const holds = (dir) => {
  try {
    return fs.readdirSync(dir).length > 0;
  } catch {
    return false;
  }
};

const bare = (specifier) => !/^([./#]|\w+:)/.test(specifier) && !path.isAbsolute(specifier);

// limitRequire leaves out of a search by require what is neither in the package nor in NODE_PATH, and sees version 2 of the SDK coming.
function limitRequire(from) {
  const lookup = Module._resolveLookupPaths;
  Module._resolveLookupPaths = function (request, parent) {
    const file = parent?.filename;
    if (file?.includes(`${path.sep}aws-sdk${path.sep}`)) turnBack(file);
    const dirs = lookup.call(this, request, parent);
    return from.shut && dirs && bare(request) && from.own(file) ? dirs.filter(from.open) : dirs;
  };
}

// limitImport does the same for import, and makes it find packages in NODE_PATH, as require does: on AWS both find the bundled SDK. Before Node had hooks
// that run in place they cost a thread, so they are set up where there is something to be found or to be kept out.
let limited = false;
function limitImport(from) {
  if (limited || !from.limits) return;
  limited = true;
  const root = env.LAMBDA_TASK_ROOT || '';
  const url = (dir) => pathToFileURL(dir).href;
  const given = {
    parents: from.bases.map((dir) => url(path.join(path.dirname(dir), 'any.mjs'))),
    inside: from.shut ? [...new Set([root, fs.realpathSync(root), '/opt'])].map((dir) => url(dir) + '/') : [],
  };
  const hooks = path.join(__dirname, 'imports.cjs');
  if (Module.registerHooks) {
    const imports = require(hooks);
    delete require.cache[hooks];
    imports.initialize(given);
    Module.registerHooks({ resolve: imports.resolveInPlace });
  } else if (Module.register) Module.register(url(hooks), { data: given });
}

// limitImportOnceUsed does so for a function in CommonJS when the first of its files is compiled that calls import. Node looks the compiler up in the prototype;
// so we see the file, and stand in no stack trace.
function limitImportOnceUsed(from) {
  if (limited || !from.limits) return;
  const compile = Module.prototype._compile;
  const put = (object, value) => Object.defineProperty(object, '_compile', { value, writable: true, enumerable: true, configurable: true });
  Object.defineProperty(Module.prototype, '_compile', {
    configurable: true,
    enumerable: true,
    set(value) {
      put(this, value);
    },
    get() {
      if (this.filename && from.own(this.filename)) {
        let source = '';
        try {
          source = fs.readFileSync(this.filename, 'latin1');
        } catch {}
        if (/\bimport\s*\(/.test(source)) {
          put(Module.prototype, compile);
          limitImport(from);
        }
      }
      return compile;
    },
  });
}

// noticeNative remembers the last native module that could not be loaded: libraries catch that error, and throw another that does not say why.
let broken;
function noticeNative() {
  const dlopen = process.dlopen;
  process.dlopen = named('dlopen', function (...given) {
    try {
      return dlopen.apply(this, given);
    } catch (error) {
      Error.captureStackTrace(error, process.dlopen);
      broken = { error, file: String(given[1]) };
      throw error;
    }
  });
}

// advise is advice for a person about an error whose words do not say where the fault is, or undefined. loading: nothing of the function has run yet.
function advise(error, loading) {
  for (let e = error, depth = 0; e instanceof Error && depth < 8; e = e.cause ?? e.reason, depth++) {
    if (['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'].includes(e.code)) return adviseMissing(e);
    if (broken?.error === e) return adviseNative(broken);
  }
  return loading && broken ? adviseNative(broken) : undefined;
}

function adviseMissing(error) {
  const name = /^Cannot find (?:module|package) '((?:@[^/']+\/)?[^/']+)/.exec(error.message)?.[1];
  if (!name || !bare(name) || env.SHARDMILL_HOST_PACKAGES) return undefined;
  for (const dir of (env.NODE_PATH || '').split(path.delimiter)) {
    try {
      const where = JSON.parse(fs.readFileSync(path.join(dir, '..', 'installed.json'), 'utf8'))[name];
      if (where) return `${name} is not part of the code package. It is installed in ${where}, where AWS would not have it: add it to the package, or start shardmill with --host-packages.`;
    } catch {}
  }
  return undefined;
}

const RELEASES = { 93: 16, 102: 17, 108: 18, 111: 19, 115: 20, 120: 21, 127: 22, 131: 23, 137: 24 }; // of Node.js, by NODE_MODULE_VERSION
const PROCESSORS = { 3: 'ia32', 0x28: 'arm', 0x3e: 'x64', 0xb7: 'arm64' }; // by e_machine of ELF

// adviseNative says what a native module was built for. Its first bytes tell the system and the processor, the error of the loader what else is amiss.
function adviseNative({ error, file }) {
  const here = `${process.platform} ${process.arch}`;
  const again = `Install the package's dependencies for ${here} and Node.js ${process.versions.node.split('.')[0]}`;
  let head = Buffer.alloc(20);
  try {
    const fd = fs.openSync(file, 'r');
    fs.readSync(fd, head, 0, 20, 0);
    fs.closeSync(fd);
  } catch {}
  const magic = head.readUInt32BE(0);
  let built;
  if (magic >>> 16 === 0x4d5a) built = 'Windows';
  else if ([0xcffaedfe, 0xcefaedfe, 0xfeedfacf, 0xfeedface, 0xcafebabe].includes(magic)) built = 'macOS';
  else if (magic === 0x7f454c46) built = `linux ${PROCESSORS[head.readUInt16LE(18)] ?? 'on another processor'}`;
  if (built && built !== here && !(built === 'macOS' && process.platform === 'darwin')) return `${file} was built for ${built}, and this is ${here}. ${again}.`;
  const versions = [...error.message.matchAll(/NODE_MODULE_VERSION (\d+)/g)].map((m) => Number(m[1]));
  if (versions.length > 0) {
    const release = RELEASES[versions[0]] ? `Node.js ${RELEASES[versions[0]]}` : `another Node.js (NODE_MODULE_VERSION ${versions[0]})`;
    return `${file} was built for ${release}, and this is Node.js ${process.versions.node}. ${again}.`;
  }
  const symbol = /version `((?:GLIBC|GLIBCXX|CXXABI)_[\d.]+)' not found/.exec(error.message)?.[1];
  if (symbol) return `${file} needs ${symbol}, which is newer than what this system has. Build it on an older system; Amazon Linux 2023 has GLIBC_2.34.`;
  const library = /(\S+): cannot open shared object file/.exec(error.message)?.[1];
  if (library) return `${file} needs ${library}, which is not on this system. Put it into the folder lib of the code package, or use a build for this system. ${again}.`;
  return `${file} cannot be loaded as a native module. ${again}.`;
}

// turnBack sets the endpoint that version 2 of the SDK knows no variable for, unless the client's options or AWS.config have one. file is a module of the
// SDK that asks for another; each of its entry points asks for lib/node_loader first, and so do we, so that the order in which it loads stays the same.
const turned = new Set();
function turnBack(file) {
  const mark = `${path.sep}aws-sdk${path.sep}`;
  const home = file.slice(0, file.lastIndexOf(mark) + mark.length);
  if (turned.has(home)) return;
  turned.add(home);
  try {
    const AWS = Module.createRequire(file)(home + 'lib/node_loader.js');
    const initialize = AWS.Service.prototype.initialize;
    AWS.Service.prototype.initialize = function (config) {
      const id = this.api?.serviceId || this.serviceIdentifier || '';
      const url = env[`AWS_ENDPOINT_URL_${id.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`] || env.AWS_ENDPOINT_URL;
      const configured = [AWS.config, AWS.config[this.serviceIdentifier], config];
      const has = (name) => configured.some((c) => c?.[name] !== undefined && c[name] !== null);
      if (url && !has('endpoint') && env.AWS_IGNORE_CONFIGURED_ENDPOINT_URLS !== 'true') {
        config = { ...config, endpoint: url };
        if (this.serviceIdentifier === 's3' && !configured.some((c) => c?.s3ForcePathStyle)) config.s3ForcePathStyle = true;
      }
      return initialize.call(this, config);
    };
  } catch {} // no SDK, or one that is broken: it says so itself
}

delete require.cache[__filename];
const bootstrapping = process.argv[1] === path.join(__dirname, 'index.mjs'); // neither a worker thread nor a forked process
const from = packages();
const surroundings = { advise, limitImport: () => limitImport(from), limitImportOnceUsed: () => limitImportOnceUsed(from) };
if (env[OFFSET] !== undefined || (!bootstrapping && require('node:worker_threads').getEnvironmentData(OFFSET))) surroundings.moveClock = steerClock();
limitRequire(from);
noticeNative();
if (Module.registerHooks) limitImport(from);
if (bootstrapping) {
  writeAtOnce('stdout');
  writeAtOnce('stderr');
  // The bootstrap takes this away before the function's code runs.
  Object.defineProperty(process, Symbol.for('shardmill.surroundings'), { value: surroundings, configurable: true });
}
