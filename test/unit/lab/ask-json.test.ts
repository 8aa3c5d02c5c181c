import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { askJson } from '../../../src/lab/ask-json.ts';

test('a server that closes connections on which nothing was asked for a while is asked again without a fault', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'rc-ask-'));
  const server = createServer((request, response) => {
    // The time of the connection was over as the second question came in.
    if (asked.has(request.socket)) return void request.socket.destroy();
    asked.add(request.socket);
    response.end('{"rows":[]}');
  });
  const asked = new WeakSet();
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true });
  });
  const socket = join(folder, 'admin.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  for (let i = 0; i < 3; i += 1) {
    expect(await askJson(socket, 'GET', '/api/v1/nodes')).toEqual({ rows: [] });
  }
});
