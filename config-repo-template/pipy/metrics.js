// What is counted, in plain numbers, as each call costs more than the counting; scrape.js hands them to Prometheus.

export var bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

// Answers by code. The counter of the last code is at hand.
export var answers = () => ({ code: 0, last: null, codes: {} })

export function turnTo(tally, code) {
  tally.code = code
  tally.last = (tally.codes[code] ??= { count: 0 })
}

// How long answers take: how many took up to each bound, and longer than the last.
export var times = () => ({ sum: 0, counts: bounds.concat(0).fill(0) })
