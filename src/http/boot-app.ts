import express, { type Express, type Request, type Response } from 'express';
import {
  autoexecName,
  followPath,
  grubConfigPath,
  grubStartNames,
  imagePath,
  loaderPath,
  overlayPath,
  reportPath,
  scriptPath,
  secretsPath,
  volumePath,
} from '../boot/boot-paths.ts';
import { type Digest, parseDigest } from '../digest.ts';
import { parseMac } from '../net/mac.ts';
import type { WirePacket } from '../pxe/wire-packet.ts';
import type { BootService, ScriptQuery, Sent } from './boot-service.ts';
import type { Metrics } from './metrics.ts';
import { answerErrors, plain } from './plain-answers.ts';
import { parseReport } from './report-body.ts';
import { sendFile } from './send-file.ts';
import { showExchanges } from './show-exchanges.ts';
import { parseVolumeReport } from './volume-body.ts';

const loaderUrl = (file: string) => `/${loaderPath(file)}`;

/** The parameter of a route, in the same path functions that advertise it. */
const digestPattern = ':digest' as Digest;

export interface BootOptions {
  readonly metrics?: Metrics;
  /** Shown every request and every answer. */
  readonly onPacket?: (packet: WirePacket) => void;
}

/**
 * The app of the boot listener: loaders, boot scripts, image blobs, overlays, secrets, reports; nothing else.
 * It never redirects: UEFI HTTP Boot does not follow. Repeated slashes count as one.
 */
export function createBootApp(service: BootService, options: BootOptions = {}): Express {
  const { metrics, onPacket } = options;
  const app = express();
  app.disable('x-powered-by');
  // Entity tags are the digests; Express would hash every script anew.
  app.set('etag', false);
  app.set('case sensitive routing', true);
  app.use((request, _response, next) => {
    // Firmware joins URLs carelessly; a slash too many must neither fail nor redirect.
    const [path = '', ...query] = request.url.split('?');
    // The absolute form of RFC 9112 §3.2.2 has its own two slashes.
    if (path.startsWith('/')) request.url = [path.replace(/\/{2,}/g, '/'), ...query].join('?');
    next();
  });

  if (metrics) app.use(metrics.countRequests('boot'));
  // Before what shows packets: once a second for each volume, it is no part of a boot.
  app.post(
    volumePath(':bootId', ':volume'),
    express.json({ limit: '16kb', type: () => true }),
    (request, response) => {
      const parsed = parseVolumeReport(request.body);
      if (!parsed.ok) return plain(response, 400, parsed.why);
      const { bootId, volume } = request.params;
      const answer = service.volume(String(bootId), String(volume), parsed.report);
      if (answer === undefined) return plain(response, 404, 'this boot holds no such volume');
      response.setHeader('Cache-Control', 'no-store');
      plain(response, 200, answer);
    },
  );

  if (onPacket) app.use(showExchanges(onPacket));

  app.get(loaderUrl(autoexecName), (request, response) => {
    response.setHeader('Cache-Control', 'no-store');
    response.type('text/plain').send(service.autoexec(clientAddress(request), serverUrl(request)));
  });

  app.get(loaderUrl(':file'), async (request, response) => {
    const name = String(request.params.file);
    const file = await service.loader(name);
    if (!file) return plain(response, 404, `no loader is called ${printable(name)}`);
    if (file.digest) response.setHeader('Repr-Digest', reprDigest(file.digest));
    await send(request, response, 'loader', name, file);
  });

  app.get(
    grubStartNames.map((name) => `/${name}`),
    (request, response) => {
      response.setHeader('Cache-Control', 'no-store');
      response.type('text/plain').send(service.grubStart(serverUrl(request)));
    },
  );

  app.get([scriptPath, grubConfigPath], async (request, response) => {
    const query = readScriptQuery(request);
    if (!query) return plain(response, 400, 'mac= is missing or is no MAC address');
    // Express answers HEAD by the GET route; a HEAD must not begin a boot. GRUB that was started by HTTP Boot
    // asks for every size first, and gives up on a file without one.
    const asked = request.method === 'HEAD' ? { ...query, preview: true as const } : query;
    const answer = await service.script(asked, clientAddress(request), serverUrl(request));
    response.locals.refused = answer.refused;
    response.status(answer.status).type('text/plain');
    response.setHeader('Cache-Control', 'no-store');
    response.send(answer.body);
  });

  app.get(imagePath(digestPattern), async (request, response) => {
    const digest = parseDigest(String(request.params.digest));
    const file = digest && (await service.blob(digest));
    if (!file) return plain(response, 404, 'no image of that digest is stored');
    await send(request, response, 'image', digest, file, digest);
  });

  app.get(overlayPath(digestPattern), async (request, response) => {
    const digest = parseDigest(String(request.params.digest));
    const file = digest && (await service.overlay(digest));
    if (!file) return plain(response, 404, 'no overlay of that digest is kept');
    await send(request, response, 'overlay', digest, file, digest);
  });

  app.get(secretsPath(':bootId'), async (request, response) => {
    response.setHeader('Cache-Control', 'no-store');
    if (request.method === 'HEAD') return plain(response, 405, 'GET spends the token', 'GET');
    const token = /^Bearer ([0-9a-f]{64})$/.exec(request.headers.authorization ?? '')?.[1];
    if (!token) {
      response.setHeader('WWW-Authenticate', 'Bearer');
      return plain(response, 401, 'the token of this boot is missing');
    }
    const answer = await service.secrets(
      String(request.params.bootId),
      token,
      clientAddress(request),
    );
    switch (answer.kind) {
      case 'sent':
        response.type('application/x-tar').send(Buffer.from(answer.tar));
        return;
      case 'used':
        return plain(response, 403, 'the secrets of this boot were fetched before');
      case 'unknown':
        return plain(response, 403, 'the token does not open this boot');
    }
  });

  app.get(followPath(':bootId', digestPattern), async (request, response) => {
    response.setHeader('Cache-Control', 'no-store');
    const set = parseDigest(String(request.params.digest));
    const steps = set && (await service.follow(String(request.params.bootId), set));
    if (steps === undefined) return plain(response, 404, 'that boot was not told to follow to it');
    response.type('text/plain').send(steps);
  });

  app.post(
    reportPath(':bootId'),
    // BusyBox wget says form-urlencoded whatever it posts.
    express.json({ limit: '64kb', type: () => true }),
    async (request, response) => {
      const parsed = parseReport(request.body);
      if (!parsed.ok) return plain(response, 400, parsed.why);
      const answer = await service.report(
        String(request.params.bootId),
        parsed.report,
        clientAddress(request),
      );
      if (!answer) return plain(response, 404, 'no such boot');
      const set = answer.action === 'follow' ? ` set=${answer.set}` : '';
      plain(response, 200, `action=${answer.action}${set}`);
    },
  );

  const files = [
    ...[loaderUrl(':file'), imagePath(digestPattern), overlayPath(digestPattern)],
    ...[scriptPath, grubConfigPath, followPath(':bootId', digestPattern)],
  ];
  app.all(files, (_request, response) => plain(response, 405, 'only GET', 'GET, HEAD'));
  app.all(secretsPath(':bootId'), (_request, response) => plain(response, 405, 'only GET', 'GET'));
  app.all(reportPath(':bootId'), (_request, response) => plain(response, 405, 'only POST', 'POST'));
  app.all(volumePath(':bootId', ':volume'), (_request, response) =>
    plain(response, 405, 'only POST', 'POST'),
  );
  app.use((_request, response) => plain(response, 404, 'nothing is here'));
  app.use(answerErrors);
  return app;

  async function send(
    request: Request,
    response: Response,
    what: Sent['what'],
    name: string,
    file: { path: string; size: number },
    etag?: string,
  ): Promise<void> {
    // Afterwards the connection may be closed, and its address forgotten.
    const from = clientAddress(request);
    const outcome = await sendFile(request, response, file, etag ? { etag } : {});
    if (outcome.bytes > 0) {
      const sent = { what, name, ...outcome, from };
      metrics?.sent(sent);
      service.sent?.(sent);
    }
  }
}

/** RFC 9530 §3: of the whole file, whatever part of it is sent. */
function reprDigest(digest: Digest): string {
  return `sha-256=:${Buffer.from(digest, 'hex').toString('base64')}:`;
}

function readScriptQuery(request: Request): ScriptQuery | undefined {
  const { mac, uuid, serial, arch, preview } = request.query;
  const address = typeof mac === 'string' ? parseMac(mac) : undefined;
  if (!address) return undefined;
  return {
    mac: address,
    loader: request.path === grubConfigPath ? 'grub' : 'ipxe',
    ...(typeof arch === 'string' && arch !== '' ? { arch } : {}),
    // iPXE leaves the value empty where SMBIOS has none.
    ...(typeof uuid === 'string' && uuid !== '' ? { uuid: uuid.toLowerCase() } : {}),
    ...(typeof serial === 'string' && serial.trim() !== '' ? { serial: serial.trim() } : {}),
    ...(preview === '1' ? { preview: true } : {}),
  };
}

/** `http://10.77.0.1`, with a port where it is not 80: the address at which this client asked, which it can reach. */
function serverUrl({ socket }: Request): string {
  const address = plainAddress(socket.localAddress);
  return `http://${address}${socket.localPort === 80 ? '' : `:${socket.localPort}`}`;
}

/** The client's address; IPv4 as a dotted quad also where the socket is a dual-stack one. */
function clientAddress(request: Request): string {
  return plainAddress(request.socket.remoteAddress);
}

function plainAddress(address = ''): string {
  return address.replace(/^::ffff:/, '');
}

function printable(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
