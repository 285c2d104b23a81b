// Tells the target who asked, for what host and how. What a client says of that itself counts only where
// config/proxy.json trusts whoever stands in front.

import settings from '../settings.js'

var $ctx

function replaced(start) {
  var headers = start.head.headers
  var connection = $ctx.connection
  headers['x-forwarded-for'] = connection.client
  headers['x-forwarded-proto'] = connection.scheme
  headers['x-forwarded-host'] = headers.host || ''
  headers['x-forwarded-port'] = connection.port
}

function added(start) {
  var headers = start.head.headers
  var { client, scheme, port } = $ctx.connection
  var chain = headers['x-forwarded-for']
  headers['x-forwarded-for'] = chain ? `${chain}, ${client}` : client
  headers['x-forwarded-proto'] ||= scheme
  headers['x-forwarded-host'] ||= headers.host || ''
  headers['x-forwarded-port'] ||= port
  if (chain) $ctx.client = chain.split(',').pop().trim()
}

export default $=>$
  .onStart(ctx => void ($ctx = ctx))
  .handleMessageStart(settings.trustForwarded ? added : replaced)
  .pipeNext()
