// The proxy: every request goes through the plugins that config/proxy.json names, in that order.

import settings from './settings.js'
import admin from './admin.js'
import { start } from './scrape.js'
import connectionOf, { ended } from './connection.js'
import redirect from './redirect.js'
import { certificateFor } from './certificates.js'

var { tls, answerBuffer, headerSize, connections, idleTimeout } = settings

// A pipeline must not be the value of anything that a module keeps: Pipy would never forget that module, and so each
// reload would add a whole configuration to its memory. That is why plugins are functions which add their filters.
var plugins = settings.plugins.map(name => pipy.import(`./plugins/${name}.js`).default)

var $connection
var $name // that a TLS client asks for
var $parts = 0 // that its hello came in

var requests = $=>$
  .demuxHTTP({ bufferSize: answerBuffer, maxHeaderSize: headerSize }).to($=>$
    .pipe(plugins.map(plugin => pipeline(plugin)), ({ head }) => ({ connection: $connection, head, time: Date.now() }))
  )
  .pipe(() => $connection.broken ? 'broken' : 'whole', {
    whole: $=>$.insert(() => ended($connection)),
    broken: $=>$.replaceData().replaceMessageEnd(() => new StreamEnd),
  })

var limits = { idleTimeout, maxPortConnections: connections || -1 }

var opened = (inbound, scheme) => void ($connection = connectionOf(inbound, scheme))

pipy.listen(settings.listen, limits, tls.listen && tls.redirect
  ? $=>$.serveHTTP(redirect)
  : $=>requests($.onStart(inbound => opened(inbound, 'http')))
)

if (tls.listen) {
  pipy.listen(tls.listen, limits, $=>$
    .onStart(inbound => opened(inbound, 'https'))
    // Pipy asks for a certificate when a connection opens, and for another when it knows the name, but cannot replace
    // the first one: so the name has to be known before.
    .handleTLSClientHello(({ serverNames }) => $name = serverNames ? serverNames[0] : '')
    .wait(() => $name !== undefined || ++$parts > 8)
    .acceptTLS({
      certificate: () => certificateFor($name),
      alpn: ['h2', 'http/1.1'],
    }).to(requests)
  )
}

pipy.listen(settings.admin, $=>$.serveHTTP(admin))

start()
