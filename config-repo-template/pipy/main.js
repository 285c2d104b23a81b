// The proxy: every request goes through the plugins that config/proxy.json names, in that order.

import settings from './settings.js'
import admin from './admin.js'
import { start } from './scrape.js'
import connectionOf from './connection.js'
import redirect from './redirect.js'
import { certificateFor } from './certificates.js'

var { tls, answerBuffer, headerSize, connections, idleTimeout } = settings

var plugins = settings.plugins.map(name => pipy.import(`./plugins/${name}.js`).default)

var $connection
var $ctx

var requests = pipeline($=>$
  .demuxHTTP({ bufferSize: answerBuffer, maxHeaderSize: headerSize }).to($=>$
    .pipe(plugins, ({ head }) => ($ctx = { connection: $connection, head, time: Date.now() }))
  )
  .pipe(() => $connection.broken ? 'broken' : 'whole', {
    whole: $=>$.insert(() => $connection.ended()),
    broken: $=>$.replaceData().replaceMessageEnd(() => new StreamEnd),
  })
)

var limits = { idleTimeout, maxPortConnections: connections || -1 }

var opened = (inbound, tls) => void ($connection = connectionOf(inbound, tls))

pipy.listen(settings.listen, limits, tls.listen && tls.redirect
  ? $=>$.serveHTTP(redirect)
  : $=>$.onStart(inbound => opened(inbound, false)).pipe(requests)
)

if (tls.listen) {
  pipy.listen(tls.listen, limits, $=>$
    .onStart(inbound => opened(inbound, true))
    .acceptTLS({ certificate: certificateFor, alpn: ['h2', 'http/1.1'] }).to(requests)
  )
}

pipy.listen(settings.admin, $=>$.serveHTTP(admin))

start()
