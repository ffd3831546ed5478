#!/bin/sh
# SPDX-License-Identifier: MIT
# node: its compiler to machine code, threads, child processes, files, UNIX sockets, hashes.
set -e
cat > /tmp/node.js <<'END'
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) {
	let sum = 0;
	for (let i = 0; i < 3e6; i++) sum = (sum + i * 7) % 1000003;
	parentPort.postMessage(sum);
} else {
	const fs = require('fs'), net = require('net'), crypto = require('crypto'), assert = require('assert');
	const { execFileSync } = require('child_process');
	const worker = () => new Promise((done, fail) => new Worker(__filename).on('message', done).on('error', fail));
	const echo = () => new Promise((done, fail) => {
		const server = net.createServer(c => c.pipe(c)).listen('/tmp/node.sock', () => {
			const client = net.connect('/tmp/node.sock', () => client.end('x'.repeat(300000)));
			let got = 0;
			client.on('data', d => got += d.length).on('end', () => { server.close(); done(got); }).on('error', fail);
		});
	});
	(async () => {
		const sums = await Promise.all([worker(), worker(), worker()]);
		assert(new Set(sums).size === 1);
		assert.equal(await echo(), 300000);
		assert.equal(execFileSync('sh', ['-c', 'echo child']).toString(), 'child\n');
		fs.writeFileSync('/tmp/node.data', crypto.randomBytes(1 << 20));
		assert.equal((await fs.promises.readFile('/tmp/node.data')).length, 1 << 20);
		assert.equal(crypto.createHash('sha256').update('abc').digest('hex').slice(0, 8), 'ba7816bf');
		console.log('ok');
	})().catch(e => { console.error(e); process.exit(1); });
}
END
[ "$(node /tmp/node.js)" = ok ]
