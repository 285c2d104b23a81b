// The admin listener: /__health for probes, /__config for what was loaded, /metrics for Prometheus.

import answer from './answer.js'
import { summary, servicePage } from './pages.js'
import scrape from './scrape.js'

export default function ({ head }) {
  var path = head.path.split('?')[0]
  switch (path) {
    case '/__health': return answer(200, { status: 'ok' })
    case '/__config': return answer(200, summary())
    case '/metrics': return scrape()
  }
  var page = path.startsWith('/__config/') && servicePage(path.substring(10))
  return page ? answer(200, page) : answer(404, { error: 'no such page' })
}
