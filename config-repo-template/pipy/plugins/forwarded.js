// Tells the target who asked, for what host and how. What a client says of that itself counts only where
// config/proxy.json trusts whoever stands in front.

import settings from '../settings.js'

var $ctx

export default pipeline($=>$
  .onStart(ctx => void ($ctx = ctx))
  .handleMessageStart(({ head: { headers } }) => {
    var before = settings.trustForwarded ? headers : {}
    var chain = before['x-forwarded-for']
    headers['x-forwarded-for'] = chain ? `${chain}, ${$ctx.client}` : $ctx.client
    headers['x-forwarded-proto'] = before['x-forwarded-proto'] || 'http'
    headers['x-forwarded-host'] = before['x-forwarded-host'] || headers.host || ''
  })
  .pipeNext()
)
