// What the proxy itself answers: short JSON that says nothing of what stands behind it.

export default function (status, body) {
  return new Message({ status, headers: { 'content-type': 'application/json' } }, JSON.stringify(body) + '\n')
}
