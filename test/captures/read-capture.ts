import { readdirSync, readFileSync } from 'node:fs';

const folder = new URL('dhcp/', import.meta.url);

/** The UDP payload of a captured DHCP message: the hexadecimal digits of `dhcp/<name>.hex`, comments left out. */
export function readCapture(name: string): Buffer {
  const text = readFileSync(new URL(`${name}.hex`, folder), 'utf8').replace(/^#.*$/gm, '');
  return Buffer.from(text.replace(/\s/g, ''), 'hex');
}

/** Names of all captured DHCP messages. */
export function captureNames(): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.hex'))
    .map((name) => name.slice(0, -'.hex'.length))
    .sort();
}
