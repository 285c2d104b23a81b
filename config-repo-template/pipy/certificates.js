// The certificates of the TLS listener, by the name that a client asks for: the first one where none fits.

import settings from './settings.js'
import { readFile } from './files.js'

var byName = {}
var loaded = settings.tls.certificates.map(({ names, cert, key }) => {
  var pair = { cert: new crypto.CertificateChain(readFile(cert)), key: new crypto.PrivateKey(readFile(key)) }
  names.forEach(name => byName[name] ??= pair)
  return pair
})

if (settings.tls.listen && loaded.length === 0) throw new Error('tls.certificates is empty')

export function certificateFor(name) {
  var asked = (name || '').toLowerCase()
  return byName[asked] || byName['*' + asked.substring(asked.indexOf('.'))] || loaded[0]
}
