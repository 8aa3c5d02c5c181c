import { describe, expect, it } from 'vitest';
import { createFirmwareSightings } from '../../../src/pxe/firmware-sightings.ts';
import { web1Mac } from './a-dhcp-site.ts';
import { client, speaker } from './messages.ts';

const firmware = client({ options: speaker.bios });
const rom = client({ options: speaker.ipxe });
const fetched = 1_000_000;

describe('whether an iPXE is the loader that the machine fetched', () => {
  it.each([
    ['no loader was fetched', undefined, fetched, false],
    ['it asks right after', fetched, fetched + 5_000, true],
    ['it asks within two minutes', fetched, fetched + 120_000, true],
    ['it asks later', fetched, fetched + 120_001, false],
  ])('%s', (_what, at, now, expected) => {
    const sightings = createFirmwareSightings();
    sightings.note(firmware, fetched - 1000);
    expect(sightings.isOurLoader(web1Mac, at, now)).toBe(expected);
  });

  it('is not where the firmware asked since: the machine was reset', () => {
    const sightings = createFirmwareSightings();
    sightings.note(firmware, fetched + 30_000);
    expect(sightings.isOurLoader(web1Mac, fetched, fetched + 31_000)).toBe(false);
  });

  it('is not ended by an iPXE, which may be the loader itself', () => {
    const sightings = createFirmwareSightings();
    sightings.note(rom, fetched + 5_000);
    expect(sightings.isOurLoader(web1Mac, fetched, fetched + 5_000)).toBe(true);
  });

  it('remembers no more machines than it may', () => {
    const sightings = createFirmwareSightings(2);
    sightings.note(firmware, fetched + 1);
    for (const n of ['01', '02', '03', '04']) {
      sightings.note(client({ mac: `52:54:00:00:02:${n}`, options: speaker.bios }), fetched + 2);
    }
    expect(sightings.isOurLoader(web1Mac, fetched, fetched + 3)).toBe(true);
  });
});
