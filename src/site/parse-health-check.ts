import { readPorts, readWhole } from './read-values.ts';
import type { HealthCheck, HealthCheckHow, Service } from './site.ts';
import type { Fields, YamlPlace } from './yaml-file.ts';

const plain = ['tcp', 'ping', 'smtp'] as const;
const kinds = [...plain, 'http', 'https', 'script'] as const;
const keys = [
  'http',
  'https',
  'script',
  ...plain,
  'status',
  'digest',
  'host',
  'port',
  'interval',
  'timeout',
  'retries',
] as const;

type Found = Fields<(typeof keys)[number]>;

/** A server that hangs is taken out after interval + (timeout + 1) · (retries + 1) seconds at most. */
const usual = { interval: 2, timeout: 2, retries: 1 };

/**
 * `check:` of a service: one of the words tcp, ping and smtp, or a mapping such as
 * `{http: /health, status: 200, interval: 5}`. Where none is written TCP servers are connected to, and
 * UDP servers pinged, as UDP itself answers nothing.
 */
export function parseHealthCheck(
  place: YamlPlace | undefined,
  protocol: Service['protocol'],
): HealthCheck | undefined {
  if (!place) return { how: { kind: protocol === 'tcp' ? 'tcp' : 'ping' }, ...usual };
  if (!place.isMapping && !place.isList) {
    const kind = place.oneOf(kinds);
    if (kind === undefined) return undefined;
    if (!isPlain(kind)) {
      const value = kind === 'script' ? 'checks/alive.sh' : '/health';
      return place.problem(
        `check: ${kind} does not say what`,
        `such as check: {${kind}: ${value}}`,
      );
    }
    return refuseOverUdp(place, { how: { kind }, ...usual }, protocol);
  }
  const found = place.fields(keys);
  if (!found) return undefined;
  const how = readHow(place, found);
  const port = found.port && readPorts(found.port)[0];
  const whole = (key: 'interval' | 'timeout' | 'retries', least: number, most: number) =>
    found[key] ? readWhole(found[key], { least, most, example: usual[key] }) : usual[key];
  const interval = whole('interval', 1, 3600);
  const timeout = whole('timeout', 1, 300);
  const retries = whole('retries', 0, 30);
  if (!how || interval === undefined || timeout === undefined || retries === undefined) {
    return undefined;
  }
  const check = { how, interval, timeout, retries, ...(port === undefined ? {} : { port }) };
  return refuseOverUdp(place, check, protocol);
}

function isPlain(kind: string): kind is (typeof plain)[number] {
  return plain.some((k) => k === kind);
}

/** Nothing answers TCP on the port of a UDP service, unless another port is named. */
function refuseOverUdp(
  place: YamlPlace,
  check: HealthCheck,
  protocol: Service['protocol'],
): HealthCheck | undefined {
  const { kind } = check.how;
  if (protocol === 'tcp' || kind === 'ping' || kind === 'script' || check.port !== undefined) {
    return check;
  }
  return place.problem(
    `a check by ${kind} needs a TCP port, and the service is UDP`,
    `name one, such as check: {${kind}: …, port: 80}, or write check: ping`,
  );
}

function readHow(place: YamlPlace, found: Found): HealthCheckHow | undefined {
  const written = kinds.filter((kind) => found[kind]);
  const [kind] = written;
  if (kind === undefined || written.length > 1) {
    return place.problem(
      `check needs one of ${kinds.join(', ')}`,
      'such as check: {http: /health}',
    );
  }
  if (kind !== 'http' && kind !== 'https') {
    for (const key of ['status', 'digest', 'host'] as const) {
      found[key]?.problem(`${key} is for http and https`, 'take it out');
    }
  }
  const at = found[kind] as YamlPlace;
  switch (kind) {
    case 'tcp':
    case 'ping':
    case 'smtp':
      return at.flag() === true ? { kind } : at.problem(`type ${kind}: true`, 'or take check out');
    case 'script': {
      const file = readFileName(at);
      return file === undefined ? undefined : { kind, file };
    }
    case 'http':
    case 'https':
      return readHttp(kind, at, found);
  }
}

/** In a word of keepalived.conf(5): what would end the word, or begin a comment or a definition, is refused. */
const word = /^[A-Za-z0-9._~:/?&=%+,@*-]+$/;

function readHttp(kind: 'http' | 'https', at: YamlPlace, found: Found): HealthCheckHow | undefined {
  const path = at.text('/health');
  const sound = path?.startsWith('/') && word.test(path);
  if (path !== undefined && !sound) {
    at.problem(`${path} is no path of a page`, `such as ${kind}: /health`);
  }
  const status = (found.status?.items() ?? []).map((item) =>
    readWhole(item, { least: 100, most: 599, example: 200 }),
  );
  const digest = found.digest?.text('9b3a0c85a887a256d6939da88aabd8cd');
  if (digest !== undefined && !/^[0-9a-f]{32}$/.test(digest)) {
    found.digest?.problem(
      `${digest} is no MD5`,
      '32 hexadecimal digits, as from: curl -s http://… | md5sum',
    );
  }
  const host = found.host?.text('www.tokyo.example');
  if (host !== undefined && !word.test(host)) {
    found.host?.problem(`${host} is no name of a host`, 'such as host: www.tokyo.example');
  }
  if (path === undefined || !sound) return undefined;
  return {
    kind,
    path,
    status: found.status ? status.filter((code) => code !== undefined) : [200],
    ...(digest === undefined ? {} : { digest }),
    ...(host === undefined ? {} : { host }),
  };
}

/** A file of the site, relative to site.yaml. */
function readFileName(at: YamlPlace): string | undefined {
  const text = at.text('checks/alive.sh');
  if (text === undefined) return undefined;
  const clean = /^[A-Za-z0-9._/-]+$/.test(text) && !text.startsWith('/');
  return clean && !text.split('/').includes('..')
    ? text
    : at.problem(`${text} is no file of the site`, 'a path relative to site.yaml');
}
