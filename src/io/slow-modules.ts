/**
 * Modules of Node, asked for when they are first needed: some take milliseconds to load (together a
 * tenth of what `import 'tersor'` takes), and a page may import what uses them as long as it does
 * not call it.
 */
export const crypto = () => inNode().getBuiltinModule('node:crypto');
export const zlib = () => inNode().getBuiltinModule('node:zlib');
export const fs = () => inNode().getBuiltinModule('node:fs/promises');
export const url = () => inNode().getBuiltinModule('node:url');
export const path = () => inNode().getBuiltinModule('node:path');

function inNode(): typeof process {
  if (typeof process === 'object') return process;
  throw new Error(
    'files and folders need Node; in a browser give a URL, or a source such as fetchSource() ' +
      'or memorySource()',
  );
}
