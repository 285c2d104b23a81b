// The proxy: every request goes through the plugins that config/proxy.json names, in that order.

import settings from './settings.js'
import admin from './admin.js'

var plugins = settings.plugins.map(name => pipy.import(`./plugins/${name}.js`).default)

var $client
var $ctx

pipy.listen(settings.listen, { idleTimeout: settings.timeouts.client }, $=>$
  .onStart(inbound => void ($client = inbound.remoteAddress))
  .demuxHTTP().to($=>$
    .onStart(() => void ($ctx = { client: $client }))
    .pipe(plugins, () => $ctx)
  )
)

pipy.listen(settings.admin, $=>$.serveHTTP(admin))
