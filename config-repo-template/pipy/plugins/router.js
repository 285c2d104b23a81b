// Finds the backend of a request by host and path; 404 where there is none.

import answer from '../answer.js'
import { router } from '../fleet.js'

var $ctx

export default $=>$
  .onStart(ctx => void ($ctx = ctx))
  .pipe(
    event => {
      if (event instanceof MessageStart) {
        var { path, headers } = event.head
        $ctx.backend = router.find((headers.host || '').toLowerCase(), path) // it minds the case, but not a port
        return $ctx.backend ? 'found' : 'lost'
      }
    }, {
      found: $=>$.pipeNext(),
      lost: $=>$.replaceData().replaceMessage(() => answer(404, { error: 'no route' })),
    }
  )
