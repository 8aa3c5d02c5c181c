import type { FuzzTarget } from './fuzz-target.ts';

/** The biggest payload of a UDP datagram over IPv4. */
const longest = 65_507;

/** A valid input with some damage, or a mixture of two; the same for the same numbers. */
export function mutate(
  { seeds, words }: Pick<FuzzTarget, 'seeds' | 'words'>,
  random: () => number,
): Uint8Array {
  const below = (n: number) => Math.floor(random() * n);
  const pick = (from: readonly Uint8Array[]) => from[below(from.length)] ?? new Uint8Array();
  let bytes = Buffer.from(pick(seeds));
  for (let change = below(6); change >= 0; change -= 1) {
    // Most damage near the end: a DHCP message begins with 240 bytes that have no structure to break.
    const at = Math.floor((random() < 0.5 ? 1 - random() ** 2 : random()) * (bytes.length + 1));
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const end = at + below(Math.min(after.length, 40) + 1);
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        if (at < bytes.length) bytes[at] = below(256);
        break;
      case 3:
        if (at < bytes.length) bytes[at] = [0, 1, 127, 128, 254, 255][below(6)] ?? 0;
        break;
      case 4:
        if (at < bytes.length) bytes[at] = (bytes[at] ?? 0) ^ (1 << below(8));
        break;
      case 5:
        bytes = Buffer.concat([before, Buffer.from([below(256)]), after]);
        break;
      case 6:
      case 7:
        bytes = Buffer.concat([before, pick(words), after]);
        break;
      case 8:
        bytes = Buffer.concat([before, bytes.subarray(end)]);
        break;
      case 9:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
        break;
      case 10: {
        const other = pick(seeds);
        bytes = Buffer.concat([before, other.subarray(Math.min(at, below(other.length + 1)))]);
        break;
      }
      default:
        // Rarely as long as a datagram can be: what is slow shows there.
        if (random() < 0.01)
          bytes = repeated(bytes, at, random() < 0.5 ? pick(words) : bytes.subarray(at, end));
        else if (random() < 0.3) bytes = Buffer.from(before);
    }
  }
  return bytes.subarray(0, longest);
}

function repeated(bytes: Buffer, at: number, part: Uint8Array): Buffer<ArrayBuffer> {
  if (part.length === 0) return Buffer.from(bytes);
  const room = Math.max(0, longest - bytes.length);
  const filling = Buffer.alloc(room - (room % part.length), part);
  return Buffer.concat([bytes.subarray(0, at), filling, bytes.subarray(at)]);
}
