// Counts the answers, and writes the access log where config/proxy.json asks for one.

import settings from '../settings.js'
import { nowhere } from '../fleet.js'
import { bounds, turnTo } from '../metrics.js'

var logger = loggerTo(settings.accessLog)

var $ctx
var $status
var $size

function loggerTo(place) {
  switch (place) {
    case 'off': return null
    case 'stdout': return new logging.JSONLogger('access').toStdout()
    default: return new logging.JSONLogger('access').toFile(place)
  }
}

function count(start) {
  var backend = $ctx.backend
  var answers = ($ctx.target || backend || nowhere).answers
  $status = start.head.status
  if ($status !== answers.code) turnTo(answers, $status)
  answers.last.count++
  if (backend) {
    var times = backend.times
    var seconds = (Date.now() - $ctx.time) / 1000
    for (var i = 0; seconds > bounds[i]; i++) {} // ends behind the last
    times.counts[i]++
    times.sum += seconds
  }
}

// No query, and no header but the host: those can hold secrets. No status where the client left before an answer.
function entry() {
  var { connection, method, host, path, time, backend, target, retried } = $ctx
  return {
    time: new Date(time).toISOString(),
    client: $ctx.client || connection.client,
    method,
    host,
    path: path.split('?')[0],
    status: $status,
    bytes: $size,
    seconds: (Date.now() - time) / 1000,
    service: backend?.service,
    cluster: target?.cluster,
    target: target?.address,
    retried,
  }
}

export default logger ? (
  $=>$
    .onStart(ctx => {
      var { method, path, headers } = ctx.head
      $ctx = ctx
      $size = 0
      ctx.method = method
      ctx.path = path
      ctx.host = headers.host
    })
    .pipeNext()
    .handleMessageStart(count)
    .handleData(data => $size += data.size)
    .onEnd(() => logger.log(entry()))
) : (
  $=>$
    .onStart(ctx => void ($ctx = ctx))
    .pipeNext()
    .handleMessageStart(count)
)
