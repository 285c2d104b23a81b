// Sends a request to a target of its backend, and once more to another where that is safe. 404 where no backend was
// found, 503 where there is no target, 413 where the body is too large, 502 or 504 where the target fails.

import answer from '../answer.js'
import { breakOff } from '../connection.js'
import pick, { other } from '../pick.js'
import { answered, unreached } from '../eject.js'
import { shares } from '../numbered.js'
import { hostOf } from '../rewrite.js'

var HELD = 65536 // the most bytes of a body that are held for a second try

var idempotent = { GET: true, HEAD: true, OPTIONS: true, PUT: true, DELETE: true, TRACE: true }
var bodiless = { GET: true, HEAD: true, OPTIONS: true, DELETE: true, TRACE: true }

var $ctx
var $request // head of the request
var $target
var $answer // head of the target's answer
var $lost // whether there will be none
var $next // the target of the second try
var $again // whether there may be a second try
var $size // of a body that does not say it
var $large // whether that is too large

// Every request comes along here, where each look at a property and each call counts.
function wayOf(start) {
  var backend = $ctx.backend
  if (!backend) return 'lost'
  $request = start.head
  var headers = $request.headers
  var length = headers['content-length']
  if (length && length > backend.largest) return 'large'
  var sequence = backend.sequence
  $target = sequence ? sequence[backend.turn = (backend.turn + 1) % sequence.length] : pick(backend, $ctx)
  if (!$target) return 'none'
  $ctx.target = $target
  $target.active++
  if (backend.changes) change(backend)
  // an HTTP/2 request has a scheme, and may have a body without a length
  if (headers['transfer-encoding'] || ($request.scheme && !length && !bodiless[$request.method])) {
    $size = 0
    return 'counted'
  }
  $again = backend.retry && !headers.upgrade && !(length && length > HELD)
  return $again ? 'twice' : 'once'
}

function change(backend) {
  if (backend.rewrite) $request.path = backend.rewrite($request.path)
  address(backend)
}

function address({ host, http2 }) {
  if (host) $request.headers.host = hostOf(host, $target)
  // where there is none Pipy makes one of the host, but out of order
  if (http2) $request.authority = $request.headers.host
}

// An answer begins. Where a target fails Pipy makes one up; it ends right away.
function came(start) {
  var head = start.head
  if ($ctx.backend.http2 ? head.statusText : !head.headerNames) {
    $lost = head
    return []
  }
  $answer = head
  if (head.status >= 500 || $target.unreached || $target.failed) answered($target, head.status)
  var stick = $ctx.backend.stick
  if (stick && stick.keep) stick.keep($ctx, head.headers)
  return start
}

// An answer that breaks off must not look whole: the client's connection breaks off too.
function over(end) {
  if (end.tail && !$lost) return end
  if ($lost) return failed($lost.status, $lost.statusText === 'Connection Refused')
  if (!$answer || $ctx.backend.http2) return end
  var { headers } = $answer
  return headers['content-length'] || headers['transfer-encoding'] ? breakOff($ctx.connection, end) : end
}

// An HTTP/2 stream just ends where the target fails, and any where the body turned out to be too large.
function ended(end) {
  if ($answer || $lost) return end
  if ($large) return tooLarge()
  var { error } = end
  return failed(error === 'ConnectionTimeout' || error === 'IdleTimeout' ? 504 : 502, error === 'ConnectionRefused')
}

function failed(status, refused) {
  $lost = true
  unreached($target)
  $next = $again && (refused || idempotent[$request.method]) ? other($target) : null
  if ($next) return new StreamEnd
  return answer(status, { error: status === 504 ? 'target took too long' : 'target failed' })
}

function repeated() {
  if (!$next) return false
  shares[$target.share].retried++
  $again = false
  $ctx.retried = true
  $target.active--
  $target = $next
  $answer = $lost = $next = null
  $ctx.target = $target
  $target.active++
  address($ctx.backend)
  return true
}

var send = $=>$
  .muxHTTP(() => $target, () => $ctx.backend.mux).to($=>$
    .connect(() => $target.address, () => $ctx.backend.connect)
    .replaceStreamEnd(end => new StreamEnd(typeof end.error === 'string' ? end.error : 'ConnectionReset'))
  )
  .replaceMessageStart(came)
  .replaceMessageEnd(over)
  .replaceStreamEnd(ended)

function counted(data) {
  $size += data.size
  if ($size <= $ctx.backend.largest) return data
  $large = true
  return new StreamEnd
}

var tooLarge = () => answer(413, { error: 'body too large' })

export default $=>$
  .onStart(ctx => void ($ctx = ctx))
  .pipe(wayOf, {
    once: send,
    twice: $=>$.repeat(repeated).to(send),
    counted: $=>send($.replaceData(counted)),
    lost: $=>$.replaceData().replaceMessage(() => answer(404, { error: 'no route' })),
    none: $=>$.replaceData().replaceMessage(() => answer(503, { error: 'no target' })),
    large: $=>$.replaceData().replaceMessage(tooLarge),
  })
  .onEnd(() => {
    if ($target) $target.active--
  })
