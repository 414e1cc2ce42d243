// Compiles a .ksy file to Python. Usage: node compile.js FILE.ksy DIR
const fs = require('fs');
const path = require('path');
const yaml = require('js-yaml');
const compiler = require('kaitai-struct-compiler');

const [source, dir] = process.argv.slice(2);
compiler.compile('python', yaml.load(fs.readFileSync(source, 'utf8')), null, false).then(files => {
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(dir, name), text);
}).catch(e => {
  console.error(`${source}: ${e.message || e}`);
  process.exit(1);
});
