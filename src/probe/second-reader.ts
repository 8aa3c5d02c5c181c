import protocol from 'dhcp/lib/protocol.js';
import type { ServerAnswer } from './simulated-client.ts';

/**
 * What another reader of DHCP, the package `dhcp`, makes out differently in the same bytes, in words; empty where
 * both agree. A server whose answers only its own project can read has a fault that its own tests never show.
 */
export function disagreements(bytes: Uint8Array, answer: ServerAnswer): readonly string[] {
  const other = readByPackage(bytes);
  if (typeof other === 'string') return [`it cannot be read: ${other}`];
  // Its codec knows an option 60 and 67 as text, and 54 as an address.
  const file = other.file || text(other.options[67]);
  const pairs = [
    ['address', answer.address, other.yiaddr],
    ['next server', answer.nextServer, other.siaddr],
    ['boot file', answer.file, file],
    ['server identifier', answer.serverId ?? '', text(other.options[54])],
    ['vendor class', answer.vendorClass, text(other.options[60])],
  ] as const;
  return pairs
    .filter(([, ours, theirs]) => ours !== theirs)
    .map(([what, ours, theirs]) => `its ${what} is ${ours || 'absent'} or ${theirs || 'absent'}`);
}

function readByPackage(bytes: Uint8Array) {
  // The package prints a line for each option that it does not know, such as iPXE's.
  const print = console.error;
  console.error = () => {};
  try {
    return protocol.parse(Buffer.from(bytes));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    console.error = print;
  }
}

/** The package counts a closing NUL into a text. */
function text(value: unknown): string {
  return typeof value === 'string' ? value.replace(/\0+$/, '') : '';
}
