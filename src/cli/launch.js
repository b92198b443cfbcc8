#!/usr/bin/env node
// The door of the `tersor` command. It looks at Node's version before anything else is loaded, for
// an old Node would fail on the first modern line with an error that says nothing. For the same
// reason this file is plain JavaScript in the syntax of 2018: Node 12 parses it.

const NEEDED = 24;
const found = process.versions.node;

if (parseInt(found, 10) < NEEDED) {
  console.error(
    [
      `tersor needs Node ${NEEDED} or newer; this is Node ${found}.`,
      '',
      'In the repository: run `npm ci`. It brings a right Node along, and the npm scripts use it:',
      '  npm start                 instead of  node src/cli/launch.js start',
      '  npm run tersor -- --help  instead of  node src/cli/launch.js --help',
      `Elsewhere: install Node ${NEEDED} or newer (https://nodejs.org) and run the command again.`,
    ].join('\n'),
  );
  process.exit(1);
} else {
  // Keeps what V8 makes of the code in the system's folder for temporary files (NODE_COMPILE_CACHE
  // names another): the next start need not compile it. Where nothing can be kept it says so in a
  // result that nobody needs.
  process.getBuiltinModule('module').enableCompileCache();
  // From src/ Node strips the types itself; in dist/ the compiler has done it.
  const fromSource = /\/src\/cli\/launch\.js$/.test(import.meta.url);
  import(fromSource ? './main.ts' : './main.js')
    .then((program) => program.main(process.argv.slice(2)))
    .then((code) => {
      if (typeof code === 'number') process.exitCode = code;
    })
    .catch((error) => {
      console.error(error);
      process.exit(1);
    });
}
