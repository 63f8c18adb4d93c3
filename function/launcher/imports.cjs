// The hooks of import: packages are looked for in NODE_PATH as well, as require does it, and none comes from outside the package otherwise. surroundings.cjs
// installs them, in place where Node can, else in a thread of theirs.

'use strict';

let parents = []; // URLs of files beside the folders of NODE_PATH
let inside = []; // beginnings of URLs that the function's own modules have; none: everything is open

exports.initialize = (given) => {
  ({ parents, inside } = given);
};

const bare = (specifier) => !/^([./#]|\w+:)/.test(specifier);
const leaks = (url, parent) =>
  inside.length > 0 && url.startsWith('file:') && inside.some((dir) => parent?.startsWith(dir)) && !inside.some((dir) => url.startsWith(dir));

function missing(specifier, parent) {
  const name = specifier.split('/', specifier[0] === '@' ? 2 : 1).join('/');
  const error = new Error(`Cannot find package '${name}' imported from ${decodeURI(parent.replace(/^file:\/\//, ''))}`);
  return Object.assign(error, { code: 'ERR_MODULE_NOT_FOUND' });
}

// unseen takes our frames out of the error's stack.
function unseen(error) {
  if (typeof error?.stack === 'string') error.stack = error.stack.split('\n').filter((line) => !line.includes('/imports.cjs:')).join('\n');
  return error;
}

exports.resolve = async (specifier, context, next) => {
  let error;
  try {
    const found = await next(specifier, context);
    if (!bare(specifier) || !leaks(found.url, context.parentURL)) return found;
    error = missing(specifier, context.parentURL);
  } catch (e) {
    if (e.code !== 'ERR_MODULE_NOT_FOUND' || !bare(specifier)) throw unseen(e);
    error = e;
  }
  for (const parentURL of parents) {
    try {
      return await next(specifier, { ...context, parentURL });
    } catch {}
  }
  throw unseen(error);
};

// resolveInPlace is resolve for hooks that do not wait. They hear of require, too, which is none of theirs.
exports.resolveInPlace = (specifier, context, next) => {
  if (context.conditions?.includes('require')) return next(specifier, context);
  let error;
  try {
    const found = next(specifier, context);
    if (!bare(specifier) || !leaks(found.url, context.parentURL)) return found;
    error = missing(specifier, context.parentURL);
  } catch (e) {
    if (e.code !== 'ERR_MODULE_NOT_FOUND' || !bare(specifier)) throw unseen(e);
    error = e;
  }
  for (const parentURL of parents) {
    try {
      return next(specifier, { ...context, parentURL });
    } catch {}
  }
  throw unseen(error);
};
