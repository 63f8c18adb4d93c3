// Starts kinesalite on a port of its own, and prints that port and the parameters of its operations.
const kinesalite = require('kinesalite')
const fs = require('fs')
const path = require('path')

const folder = path.join(path.dirname(require.resolve('kinesalite')), 'validations')
const types = {}
for (const file of fs.readdirSync(folder)) {
  if (file === 'index.js') continue
  const name = file[0].toUpperCase() + file.slice(1, -3)
  types[name] = require(path.join(folder, file)).types
}
kinesalite({ createStreamMs: 0, updateStreamMs: 0, deleteStreamMs: 0, shardLimit: 20000 }).listen(0, '127.0.0.1', function () {
  console.log(JSON.stringify({ port: this.address().port, types }))
})
