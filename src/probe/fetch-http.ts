import { request } from 'node:http';

/** An answer over HTTP; `length` is what its header says. */
export interface HttpAnswer {
  readonly status: number;
  readonly length: number | undefined;
  readonly body: Buffer;
  readonly location: string | undefined;
  /** SHA-256 that the server says of the whole file (RFC 9530), in hexadecimal digits. */
  readonly digest: string | undefined;
}

/** Milliseconds without a byte. */
const patience = 10_000;

/** One request as firmware makes it: plain HTTP, no redirect followed, a connection of its own. */
export function fetchHttp(url: string, method: 'GET' | 'HEAD', headers = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const length = response.headers['content-length'];
        resolve({
          status: response.statusCode ?? 0,
          length: length === undefined ? undefined : Number(length),
          body: Buffer.concat(parts),
          location: response.headers.location,
          digest: readDigest(response.headers['repr-digest']),
        });
      });
    });
    sent.setTimeout(patience, () =>
      sent.destroy(new Error(`no answer within ${patience / 1000} s`)),
    );
    sent.on('error', reject);
    sent.end();
  });
}

function readDigest(header: string | string[] | undefined): string | undefined {
  const base64 = /sha-256=:([A-Za-z0-9+/=]+):/.exec(String(header ?? ''))?.[1];
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('hex');
}
