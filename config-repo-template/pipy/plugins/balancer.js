// Sends a request to a target of its backend, and once more to another where that is safe. 503 where there is no
// target, 413 where the body is too large, 502 or 504 where the target fails.

import answer from '../answer.js'
import pick, { other } from '../pick.js'
import { answered, unreached } from '../eject.js'
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

function wayOf(event) {
  if (!(event instanceof MessageStart)) return
  var { backend } = $ctx
  var { limits, retry } = backend.settings
  var { method, headers } = $request = event.head
  var length = headers['content-length']
  if (limits.body && length > limits.body) return 'large'
  $target = pick(backend, $ctx)
  if (!$target) return 'none'
  taken()
  if (backend.rewrite) $request.path = backend.rewrite($request.path)
  // an HTTP/2 request has a scheme, and may have a body without a length
  if (headers['transfer-encoding'] || ($request.scheme && !length && !bodiless[method])) {
    $size = 0
    return 'counted'
  }
  $again = retry && !headers.upgrade && !(length > HELD)
  return $again ? 'twice' : 'once'
}

function taken() {
  var { backend } = $ctx
  $answer = $lost = $next = null
  $ctx.target = $target
  $ctx.share = $target.share
  $target.active++
  if (backend.host) $request.headers.host = hostOf(backend.host, $target)
  // where there is none Pipy makes one of the host, but out of order
  if (backend.mux.version === 2) $request.authority = $request.headers.host
}

// An answer begins. Where a target fails Pipy makes one up; it ends right away.
function came(start) {
  var { head } = start
  if ($ctx.backend.mux.version === 1 ? !head.headerNames : head.statusText) {
    $lost = head
    return []
  }
  $answer = head
  var { status, headers } = head
  if (status >= 500 || $target.unreached || $target.failed) answered($target, status)
  $ctx.backend.stick?.keep?.($ctx, headers)
  return start
}

// An answer that breaks off must not look whole: the client's connection breaks off too.
function over(end) {
  if ($lost) return failed($lost.status, $lost.statusText === 'Connection Refused')
  if (end.tail || !$answer || $ctx.backend.mux.version === 2) return end
  var { headers } = $answer
  return headers['content-length'] || headers['transfer-encoding'] ? $ctx.connection.breakOff(end) : end
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
  $target.share.retried++
  $again = false
  $ctx.retried = true
  $target.active--
  $target = $next
  taken()
  return true
}

var send = pipeline($=>$
  .muxHTTP(() => $target, () => $ctx.backend.mux).to($=>$
    .connect(() => $target.address, () => $ctx.backend.connect)
    .replaceStreamEnd(end => new StreamEnd(typeof end.error === 'string' ? end.error : 'ConnectionReset'))
  )
  .replaceMessageStart(came)
  .replaceMessageEnd(over)
  .replaceStreamEnd(ended)
)

function counted(data) {
  var { body } = $ctx.backend.settings.limits
  $size += data.size
  if (!body || $size <= body) return data
  $large = true
  return new StreamEnd
}

var tooLarge = () => answer(413, { error: 'body too large' })

export default pipeline($=>$
  .onStart(ctx => void ($ctx = ctx))
  .pipe(wayOf, {
    once: send,
    twice: $=>$.repeat(repeated).to(send),
    counted: $=>$
      .replaceData(counted)
      .pipe(send),
    none: $=>$.replaceData().replaceMessage(() => answer(503, { error: 'no target' })),
    large: $=>$.replaceData().replaceMessage(tooLarge),
  })
  .onEnd(() => {
    if ($target) $target.active--
  })
)
