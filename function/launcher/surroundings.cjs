// What surrounds a function on AWS beside the runtime itself, set up before the first line of its code: standard output that takes everything at once.
// Nothing of this shows among the function's modules.

'use strict';

const path = require('node:path');

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

delete require.cache[__filename];
// Neither in a worker thread nor in a forked process.
if (process.argv[1] === path.join(__dirname, 'index.mjs')) {
  writeAtOnce('stdout');
  writeAtOnce('stderr');
}
