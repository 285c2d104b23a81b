// Finds the backend of a request by host and path.

import { router } from '../fleet.js'

var $ctx

function find(message) {
  var head = message.head
  var host = head.headers.host
  $ctx.backend = router.find(host ? host.toLowerCase() : '', head.path) // it minds the case, but not a port
}

export default $=>$
  .onStart(ctx => void ($ctx = ctx))
  .handleMessageStart(find)
  .pipeNext()
