import { digestOf } from '../digest.ts';
import { fetchHttp, type HttpAnswer } from './fetch-http.ts';
import { fetchTftp } from './fetch-tftp.ts';
import type { ProbeRow } from './judge-offers.ts';
import { readScript, type ScriptPart } from './read-script.ts';
import type { ClientKind, ServerAnswer } from './simulated-client.ts';

type Row = Omit<ProbeRow, 'client'>;

/** What follows the address: loader or script, as the acknowledgement names them, and all that they lead to. */
export interface BootWalk {
  /** The loader of an answer: over TFTP and HTTP, byte for byte the same. */
  loader(kind: ClientKind, answer: ServerAnswer): Promise<readonly ProbeRow[]>;
  /** The boot script of an answer and every file that it names. */
  script(kind: ClientKind, answer: ServerAnswer): Promise<readonly ProbeRow[]>;
}

/** `httpServer` is where loaders are fetched over HTTP: `http://10.77.0.1`. */
export function createBootWalk(httpServer: string): BootWalk {
  /** The same file of two clients is fetched once. */
  const fetched = new Map<string, Promise<Row>>();

  const once = (key: string, fetch: () => Promise<Row>): Promise<Row> => {
    const before = fetched.get(key) ?? fetch().catch((error: Error) => failed(key, error));
    fetched.set(key, before);
    return before;
  };

  return {
    async loader(kind, { file, nextServer }) {
      const row = /^https?:/.test(file)
        ? await once(file, () => checkHttpLoader(file))
        : await once(file, () => checkTftpLoader(nextServer, file, `${httpServer}/${file}`));
      return [{ client: kind, ...row }];
    },
    async script(kind, { file }) {
      // The loader puts its own UUID and serial number in; this machine has none.
      const url = new URL(file.replace(/\$\{[^}]*\}/g, ''));
      // Without that the server would count a boot that never comes.
      url.searchParams.set('preview', '1');
      const answer = await fetchHttp(url.href, 'GET').catch((error: Error) => error);
      if (answer instanceof Error) return [{ client: kind, ...failed('script', answer) }];
      const text = answer.body.toString();
      const script = readScript(text);
      const said = `${answer.status}, ${answer.body.length} bytes`;
      if (answer.status !== 200 || script.kind === 'refuses') {
        const why = script.kind === 'refuses' ? script.why : text.trim();
        const hint = 'rolecall explain with its MAC says why it boots nothing';
        return [{ client: kind, step: 'script', result: 'wrong', detail: `${said}: ${why}`, hint }];
      }
      const rows = [right('script', `${said}, ${script.parts.length} files`)];
      for (const part of script.parts) {
        rows.push(await once(part.url, () => checkPart(part)));
      }
      return rows.map((row) => ({ client: kind, ...row }));
    },
  };
}

async function checkTftpLoader(host: string, file: string, url: string): Promise<Row> {
  const overTftp = await fetchTftp(host, file);
  const overHttp = await fetchHttp(url, 'GET');
  if (overHttp.status !== 200) return wrong('loader', `${file}: HTTP answers ${overHttp.status}`);
  if (!overTftp.equals(overHttp.body)) {
    return wrong(
      'loader',
      `${file}: ${overTftp.length} bytes over TFTP and ${overHttp.body.length} over HTTP are not the same`,
    );
  }
  if (overHttp.digest !== digestOf(overTftp)) return wrongDigest(file, overTftp, overHttp);
  return right('loader', `${file}: ${describe(overTftp)} as named, the same over TFTP and HTTP`);
}

async function checkHttpLoader(url: string): Promise<Row> {
  const head = await fetchHttp(url, 'HEAD');
  const got = await fetchHttp(url, 'GET');
  // UEFI HTTP Boot asks for the length first, and follows no redirect.
  if (got.location) return wrong('loader', `${url} redirects to ${got.location}`);
  if (got.status !== 200) return wrong('loader', `${url} is answered ${got.status}`);
  if (head.length !== got.body.length) {
    return wrong('loader', `${url}: HEAD says ${head.length} bytes, GET has ${got.body.length}`);
  }
  if (got.digest !== digestOf(got.body)) return wrongDigest(url, got.body, got);
  return right('loader', `${url}: ${describe(got.body)} as named`);
}

function wrongDigest(file: string, bytes: Uint8Array, { digest }: HttpAnswer): Row {
  return wrong('loader', `${file}: ${describe(bytes)}, where the server says ${digest ?? 'none'}`);
}

/** Stage 1 and the overlay are fetched whole; of the root, which is big, its length and its last byte. */
async function checkPart({ what, url, digest, size }: ScriptPart): Promise<Row> {
  const head = await fetchHttp(url, 'HEAD');
  if (head.status !== 200) return wrong(what, `HEAD ${url} is answered ${head.status}`);
  const length = head.length ?? -1;
  if (size !== undefined && length !== size) {
    return wrong(what, `${url}: HEAD says ${length} bytes, the script ${size}`);
  }
  if (what === 'root') {
    const last = await fetchHttp(url, 'GET', { range: `bytes=${length - 1}-${length - 1}` });
    return last.status === 206 && last.body.length === 1
      ? right(what, `${length} bytes, its last one is there`)
      : wrong(what, `${url}: its last byte is answered ${last.status}`);
  }
  const { body } = await fetchHttp(url, 'GET');
  if (body.length !== length) {
    return wrong(what, `${url}: HEAD says ${length} bytes, GET has ${body.length}`);
  }
  return digestOf(body) === digest
    ? right(what, `${length} bytes, SHA-256 as named`)
    : wrong(what, `${url} has the SHA-256 ${digestOf(body)}`);
}

function describe(bytes: Uint8Array): string {
  return `${bytes.length} bytes, SHA-256 ${digestOf(bytes).slice(0, 12)}`;
}

function right(step: string, detail: string): Row {
  return { step, result: 'ok', detail, hint: '' };
}

function wrong(step: string, detail: string): Row {
  const hint =
    step === 'loader'
      ? 'rolecall image verify looks at the store; a proxy or firewall between may change what passes'
      : 'rolecall image verify looks at the store';
  return { step, result: 'wrong', detail, hint };
}

function failed(key: string, error: Error): Row {
  return {
    ...{ step: key === 'script' ? 'script' : 'fetch', result: 'wrong' },
    detail: `${key} does not come: ${error.message || (error as NodeJS.ErrnoException).code}`,
    hint: 'is 69/udp or 80/tcp of the boot server open in the firewall, for ephemeral ports too?',
  };
}
