// Sends a request to a target of its backend; 503 where there is none, 502 or 504 where the target fails.

import answer from '../answer.js'
import settings from '../settings.js'

var { connect, read } = settings.timeouts

var $ctx
var $target

export default pipeline($=>$
  .onStart(ctx => void ($ctx = ctx))
  .pipe(
    event => {
      if (event instanceof MessageStart) {
        $target = $ctx.backend?.pick?.()
        return $target ? 'forward' : 'none'
      }
    }, {
      forward: $=>$
        .muxHTTP(() => $target).to($=>$
          // idle, not read: that one runs on while a connection waits to be used again
          .connect(() => $target.target, { connectTimeout: connect, idleTimeout: read })
          .replaceStreamEnd(end => new StreamEnd(typeof end.error === 'string' ? end.error : 'ConnectionReset'))
        )
        .onEnd(() => $target.free()),
      none: $=>$.replaceData().replaceMessage(() => answer(503, { error: 'no target' })),
    }
  )
)
