// Sends clients that come by HTTP to the TLS listener.

import answer from './answer.js'
import settings from './settings.js'

var port = settings.tls.listen.split(':').pop()
var suffix = port === '443' ? '' : `:${port}`
var known = new RegExp('^([-A-Za-z0-9._]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]+)?$')

export default function ({ head: { path, headers } }) {
  var host = known.exec(headers.host || '')
  return host
    ? answer(308, { error: 'use https' }, { location: `https://${host[1]}${suffix}${path}` })
    : answer(400, { error: 'no host' })
}
