import { expect, it } from 'vitest';
import type { MacAddress } from '../../../src/net/mac.ts';
import { createFirstOffers } from '../../../src/pxe/first-offers.ts';
import { ip, mac, serverAddress } from './a-dhcp-site.ts';

/** Searches that end when the test says so. */
function searches() {
  const open: ((holder: MacAddress | undefined) => void)[] = [];
  const offers = createFirstOffers(() => new Promise((resolve) => open.push(resolve)));
  const end = async (holder?: MacAddress) => {
    open.shift()?.(holder);
    await new Promise((done) => setImmediate(done));
  };
  return { offers, end };
}

it('tells who has the address, then those who asked meanwhile that it is over', async () => {
  const { offers, end } = searches();
  const seen: string[] = [];
  const address = ip('10.77.0.200');
  expect(offers.isSought(address, () => seen.push('too early'))).toBe(false);
  expect(offers.seek(address, serverAddress, (holder) => seen.push(`held by ${holder}`))).toBe(
    true,
  );
  // UEFI asks for PXE and for HTTP Boot with one MAC, each with an xid of its own.
  expect(offers.isSought(address, () => seen.push('HTTP Boot'))).toBe(true);
  expect(seen).toEqual([]);
  await end(mac('52:54:00:00:04:01'));
  expect(seen).toEqual(['held by 52:54:00:00:04:01', 'HTTP Boot']);
  expect(offers.isSought(address, () => {})).toBe(false);
});

it('seeks sixteen addresses at once and keeps eight messages for each', async () => {
  const { offers, end } = searches();
  const seek = (n: number) => offers.seek(ip(`10.77.0.${n}`), serverAddress, () => {});
  expect(Array.from({ length: 17 }, (_, n) => seek(n + 1))).toEqual([
    ...Array(16).fill(true),
    false,
  ]);
  let over = 0;
  for (let n = 0; n < 20; n += 1) offers.isSought(ip('10.77.0.1'), () => (over += 1));
  await end();
  expect(over).toBe(8);
  expect(seek(17)).toBe(true);
});
