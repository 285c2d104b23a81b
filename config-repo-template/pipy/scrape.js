// /metrics: the numbers of all threads together, as Prometheus reads them.

import { bounds } from './metrics.js'
import { backends, nowhere } from './fleet.js'
import { stateOf } from './pages.js'

var shares = backends.map(backend => backend.shares).flat()

var ofShare = number => add => shares.forEach(
  share => add([share.service, share.cluster], number(share))
)

function requests(add) {
  var each = (service, cluster, { codes }) => Object.entries(codes).forEach(
    ([code, { count }]) => add([service, cluster, code], count)
  )
  each('', '', nowhere.answers)
  backends.forEach(({ service, answers }) => each(service, '', answers))
  shares.forEach(({ service, cluster, answers }) => each(service, cluster, answers))
}

// All ports of a service have the same times.
var timed = Object.values(Object.fromEntries(backends.map(backend => [backend.service, backend])))

var les = bounds.map(bound => bound.toString()).concat('+Inf')

function buckets(add) {
  timed.forEach(({ service, times }) => les.reduce((sum, le, i) => {
    var count = sum + times.counts[i]
    add([service, le], count)
    return count
  }, 0))
}

var families = {
  proxy_requests_total: {
    kind: 'counter', help: 'Answers to clients.', labels: ['service', 'cluster', 'code'], numbers: requests,
  },
  proxy_retries_total: {
    kind: 'counter', help: 'Requests that failed here and went to another target.', labels: ['service', 'cluster'],
    numbers: ofShare(({ retried }) => retried),
  },
  proxy_ejections_total: {
    kind: 'counter', help: 'How often a target was taken out.', labels: ['service', 'cluster'],
    numbers: ofShare(({ ejected }) => ejected),
  },
  proxy_requests_active: {
    kind: 'gauge', help: 'Requests under way.', labels: ['service', 'cluster'],
    numbers: ofShare(({ targets }) => targets.reduce((sum, { active }) => sum + active, 0)),
  },
  proxy_request_seconds_bucket: {
    of: 'proxy_request_seconds', kind: 'histogram', help: 'Time until an answer begins.', labels: ['service', 'le'],
    numbers: buckets,
  },
  proxy_request_seconds_sum: {
    labels: ['service'], numbers: add => timed.forEach(({ service, times }) => add([service], times.sum)),
  },
  proxy_request_seconds_count: {
    labels: ['service'],
    numbers: add => timed.forEach(({ service, times }) => add([service], times.counts.reduce((sum, n) => sum + n, 0))),
  },
}

// Pipy asks every thread for its numbers and adds them up; to Pipy all of them are gauges. To be called when all else
// is loaded: where that fails the program before goes on, and so has to go on counting.
export function start() {
  Object.entries(families).forEach(([name, { labels, numbers }]) => {
    new stats.Gauge(name, labels, gauge => {
      var sums = {}
      numbers((values, number) => (sums[values.join('\n')] ??= { values, sum: 0 }).sum += number)
      Object.values(sums).forEach(({ values, sum }) => values.reduce((metric, value) => metric.withLabels(value), gauge).set(sum))
    })
  })
}

var escaped = text => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

var line = (name, labels, values, number) => (
  `${name}{${labels.map((label, i) => `${label}="${escaped(values[i])}"`).join(',')}} ${number}\n`
)

var head = (name, kind, help) => `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`

// A line for each set of labels that there is a number for.
function lines(name, labels, metric, values) {
  if (!metric) return ''
  if (values.length === labels.length) return line(name, labels, values, metric.value)
  return metric.submetrics().map(sub => lines(name, labels, sub, values.concat(sub.label))).join('')
}

function targets() {
  var name = 'proxy_targets'
  var labels = ['service', 'cluster', 'state']
  return head(name, 'gauge', 'Targets, as the thread sees them that answers.') + shares.map(
    ({ service, cluster, targets }) => ['ok', 'ejected'].map(state => line(
      name, labels, [service, cluster, state], targets.filter(target => stateOf(target) === state).length
    )).join('')
  ).join('')
}

export default () => stats.sum(Object.keys(families)).then(found => new Message(
  { headers: { 'content-type': 'text/plain; version=0.0.4' } },
  Object.entries(families).map(([name, { of, kind, help, labels }]) => (
    (help ? head(of || name, kind, help) : '') + lines(name, labels, found[name], [])
  )).join('') + targets()
))
