// config/proxy.json, with the defaults of schemas/proxy.schema.json for what it leaves out.
// Where it cannot be read the program does not load, and a Pipy that runs keeps the one before.

import { readJSON } from './files.js'

var found = readJSON('config/proxy.json')

export default {
  listen: '0.0.0.0:8080',
  admin: '127.0.0.1:8081',
  trustForwarded: false,
  plugins: ['router', 'forwarded', 'balancer'],
  ...found,
  timeouts: { connect: 3, read: 60, client: 120, ...found.timeouts },
}
