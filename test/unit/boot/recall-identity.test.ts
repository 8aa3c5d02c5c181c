import { describe, expect, it } from 'vitest';
import { recallIdentity } from '../../../src/boot/recall-identity.ts';
import { formatPort, meansPort } from '../../../src/boot/switch-port.ts';
import { mac } from '../dhcp/a-dhcp-site.ts';

const card = mac('52:54:00:00:00:01');
const uuid = '4c4c4544-0044-4810-8031-b9c04f4a3232';
const turned = '44454c4c-4400-1048-8031-b9c04f4a3232';
const known = { uuid, serial: 'ABC', port: { circuit: 'p7' } };

describe('a machine that says little', () => {
  it.each([
    ['nothing', {}, known],
    ['its UUID', { uuid }, known],
    ['its UUID in the other byte order', { uuid: turned }, { ...known, uuid: turned }],
    ['another port', { port: { circuit: 'p8' } }, { ...known, port: { circuit: 'p8' } }],
    ['another serial number', { serial: 'DEF' }, { ...known, serial: 'DEF' }],
  ])('says %s', (_what, said, all) => {
    expect(recallIdentity({ mac: card, ...said }, known)).toEqual({ mac: card, ...all });
  });

  it('is another one where it says another UUID: its card was moved', () => {
    const said = { mac: card, uuid: '11223344-5566-7788-99aa-bbccddeeff00' };
    expect(recallIdentity(said, known)).toEqual(said);
  });

  it('is what it says where nothing is remembered', () => {
    expect(recallIdentity({ mac: card, uuid }, undefined)).toEqual({ mac: card, uuid });
  });
});

describe('port: of a role file', () => {
  const port = { remote: '0001ab', circuit: 'ge-0/0/7' };
  it.each([
    ['ge-0/0/7', true],
    ['0001ab/ge-0/0/7', true],
    ['0001AB/GE-0/0/7', true],
    ['0/0/7', false],
    ['0002ab/ge-0/0/7', false],
    ['0001ab', false],
  ])('%s', (written, meant) => {
    expect(meansPort(written, port)).toBe(meant);
  });

  it('is written with the switch where the relay names it', () => {
    expect(formatPort(port)).toBe('0001ab/ge-0/0/7');
    expect(formatPort({ circuit: '000409' })).toBe('000409');
  });
});
