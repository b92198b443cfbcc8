/**
 * Modules of Node that take milliseconds to load, loaded when they are first needed: together a
 * tenth of what `import 'tersor'` takes.
 */
export const crypto = () => process.getBuiltinModule('node:crypto');
export const zlib = () => process.getBuiltinModule('node:zlib');
