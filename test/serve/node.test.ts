import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type ServerOptions, startServer } from '../../src/serve/index.ts';
import {
  ByteTokenizer,
  GREETING,
  type Script,
  ScriptedEngine,
} from '../support/scripted-engine.ts';
import { until } from '../support/until.ts';

const HI = { messages: [{ role: 'user', content: 'Hi' }] };

async function serve(script: Script = {}, options: Partial<ServerOptions> = {}) {
  const engine = new ScriptedEngine(script);
  const tokenizer = new ByteTokenizer();
  const server = await startServer({
    engine,
    tokenizer,
    model: 'tiny',
    port: 0,
    page: undefined,
    ...options,
  });
  const chat = (body: object = {}) =>
    fetch(`${server.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...HI, ...body }),
    });
  return { engine, server, chat };
}

test('a server that stops finishes what runs and refuses what comes', async () => {
  const { engine, server, chat } = await serve({ delay: 20, slots: 1 });
  const [first, second] = [await chat({ stream: true }), chat()];
  await until(() => engine.stats().waiting === 1);
  let stopped = false;
  const stopping = server.stop().then(() => {
    stopped = true;
  });
  await sleep(30);
  expect(stopped).toBe(false);
  await expect(chat()).rejects.toThrow('fetch failed');
  const events = (await first.text()).trim().split('\n\n');
  expect(events.at(-1)).toBe('data: [DONE]');
  expect(await (await second).json()).toMatchObject({
    choices: [{ message: { content: GREETING.join('') } }],
  });
  await stopping;
  expect(engine.ended).toEqual({ running: 0, waiting: 0 });
});

test('idle connections do not hold a server that stops', async () => {
  const { server } = await serve();
  await (await fetch(`${server.origin}/v1/models`)).text();
  const start = performance.now();
  await server.stop();
  expect(performance.now() - start).toBeLessThan(1000);
});

test('nor does a client that has stopped reading', async () => {
  const tokens = () => Array.from({ length: 200 }, () => 'x'.repeat(100_000));
  const { engine, server } = await serve({ tokens }, { graceSeconds: 0.2 });
  const body = JSON.stringify({ ...HI, stream: true });
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => {}).pause();
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:${server.port}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await until(() => engine.requests.length === 1 && engine.stats().running === 0);
  const start = performance.now();
  await server.stop();
  const waited = performance.now() - start;
  expect(waited).toBeGreaterThan(150);
  expect(waited).toBeLessThan(2000);
  socket.destroy();
});

test('a port that is taken, or an address that is not ours, is told with a way out', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const options = { engine: new ScriptedEngine(), tokenizer: new ByteTokenizer(), model: 'tiny' };
  await expect(startServer({ ...options, port })).rejects.toThrow(
    `port ${port} is taken: another program listens at 127.0.0.1:${port}. Choose another port`,
  );
  await expect(startServer({ ...options, port: 0, host: '192.0.2.1' })).rejects.toThrow(
    'host is "192.0.2.1", which is no address of this machine',
  );
  await new Promise((resolve) => other.close(resolve));
});

test('large bodies are refused before they are sent whole', async () => {
  const { server } = await serve();
  const response = await fetch(`${server.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'x'.repeat(5 * 2 ** 20) }] }),
  });
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ error: { code: 'body_too_large' } });
  await server.stop();
});

test('timers keep their time while many answers stream', async () => {
  const tokens = () => Array.from({ length: 200 }, (_, i) => `${i} `);
  const { server, chat } = await serve({ tokens });
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 5);
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => (await chat({ stream: true })).text()),
  );
  clearInterval(timer);
  for (const text of answers) expect(text).toContain('"199 "');
  expect(longest).toBeLessThan(500);
  await server.stop();
});
