import { describe, expect, it } from 'vitest';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { mac, node, siteOf } from './a-site.ts';

const site = siteOf(
  node('web1', { boot: '52:54:00:77:00:11' }),
  node('web2', { boot: '52:54:00:77:00:12' }),
  node('lb1', { outside: '52:54:00:77:00:22', boot: '52:54:00:77:00:21' }),
);
const wishes = { spares: 1, memory: 512 };

describe('guests of a lab', () => {
  it('are the nodes, then the spares; every second one has UEFI', () => {
    expect(planGuests(site, wishes).map((g) => [g.name, g.firmware])).toEqual([
      ['web1', 'bios'],
      ['web2', 'uefi'],
      ['lb1', 'bios'],
      ['spare-525400770099', 'uefi'],
    ]);
  });

  it('have the disks that volumes name on their node, and no other; a spare has those of any', () => {
    const volume = (name: string, device: string) => ({
      name,
      nodes: ['web1', 'lb1'] as const,
      device,
      replication: 'boot',
      vip: new Map(),
      clients: { kind: 'names' as const, names: [] },
      at: '/srv',
    });
    const guests = planGuests(
      {
        ...site,
        volumes: new Map([
          ['www', volume('www', '/dev/disk/by-id/virtio-www')],
          ['mail', volume('mail', '/dev/disk/by-id/virtio-mail')],
          ['old', volume('old', '/dev/sdb')],
        ]),
      },
      { ...wishes, hardware: { lb1: { disks: [{ serial: 'log', size: 64 }] } } },
    );
    expect(guests.map((g) => g.disks)).toEqual([
      [
        { serial: 'www', size: 256 },
        { serial: 'mail', size: 256 },
      ],
      [{ serial: 'log', size: 64 }],
      [],
      [
        { serial: 'www', size: 256 },
        { serial: 'mail', size: 256 },
      ],
    ]);
    const [spare] = guests.slice(-1);
    expect(spare?.nics.map(({ network }) => network)).toEqual(['boot', 'outside']);
  });

  it('have UEFI only where it was wished for', () => {
    const guests = planGuests(site, { ...wishes, uefi: ['lb1'] });
    expect(guests.filter((g) => g.firmware === 'uefi').map((g) => g.name)).toEqual(['lb1']);
  });

  it('boot by the card on the network with the boot server', () => {
    const lb1 = planGuests(site, wishes).find((g) => g.name === 'lb1');
    expect(lb1?.nics).toEqual([
      { mac: mac('52:54:00:77:00:21'), network: 'boot' },
      { mac: mac('52:54:00:77:00:22'), network: 'outside' },
    ]);
  });

  it('keep their firmware when only some are started', () => {
    const [web2] = planGuests(site, { ...wishes, only: ['web2'] });
    expect([web2?.name, web2?.firmware]).toEqual(['web2', 'uefi']);
  });

  it('have the UUID and the serial number that their role file says', () => {
    const known = node('db1', { boot: '52:54:00:77:00:31' });
    const uuid = '0bd5a7f5-1111-4222-8333-444455556666';
    const [db1] = planGuests(
      siteOf({ ...known, id: { ...known.id, uuid, serial: 'ABC123' } }),
      wishes,
    );
    expect([db1?.uuid, db1?.serial]).toEqual([uuid, 'ABC123']);
  });

  it('have UUIDs that differ, and stay the same from run to run', () => {
    const uuids = planGuests(site, wishes).map((g) => g.uuid);
    expect(new Set(uuids).size).toBe(uuids.length);
    expect(planGuests(site, wishes).map((g) => g.uuid)).toEqual(uuids);
    for (const uuid of uuids) {
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    }
  });

  it('are refused where a wish names none', () => {
    expect(() => planGuests(site, { ...wishes, only: ['web9'] })).toThrow('no guest web9');
    expect(() => planGuests(site, { ...wishes, uefi: ['web8'] })).toThrow('no guest web8');
    const hardware = { web7: { bootBy: 'http' } } as const;
    expect(() => planGuests(site, { ...wishes, hardware })).toThrow('no guest web7');
  });
});
