// The admin listener: /__health for probes, /__config for what was loaded.

import answer from './answer.js'
import { summary } from './fleet.js'

var pages = {
  '/__health': { status: 'ok' },
  '/__config': summary,
}

export default function ({ head }) {
  var page = pages[head.path.split('?')[0]]
  return page ? answer(200, page) : answer(404, { error: 'no such page' })
}
