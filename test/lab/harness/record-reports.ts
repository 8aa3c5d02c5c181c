/**
 * Plays the boot server to a node's report agent on port 8080: appends every report to reports.jsonl of the
 * folder in its argument. While the folder has a file `refuse` it takes no hardware; with a file `reboot`
 * it answers that the node shall reboot.
 */
import { appendFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

const [folder = ''] = process.argv.slice(2);

createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    if (body.includes('"hardware"') && existsSync(join(folder, 'refuse'))) {
      response.writeHead(503).end();
      return;
    }
    appendFileSync(
      join(folder, 'reports.jsonl'),
      `${JSON.stringify({ url: request.url, body })}\n`,
    );
    response.setHeader('Content-Type', 'text/plain');
    response.end(`action=${existsSync(join(folder, 'reboot')) ? 'reboot' : 'none'}\n`);
  });
}).listen(8080, '127.0.0.2');
