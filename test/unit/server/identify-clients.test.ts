import { expect, onTestFinished, test } from 'vitest';
import { digestOf } from '../../../src/digest.ts';
import type { MacAddress } from '../../../src/net/mac.ts';
import { identifyByMemory, identifyDhcpClient } from '../../../src/server/identify-clients.ts';
import { openJournal } from '../../../src/server/journal.ts';
import type { SiteNode } from '../../../src/site/site.ts';
import { openState } from '../../../src/state/state.ts';
import { aDhcpSite, aNode, ip, link, mac } from '../dhcp/a-dhcp-site.ts';
import { client, type Said, speaker } from '../dhcp/messages.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';

const [first, second] = [mac('52:54:00:00:00:a1'), mac('52:54:00:00:00:b2')];
/** Option 82 of a switch that names its port `p7`. */
const atPort7 = { 82: Uint8Array.of(1, 2, ...Buffer.from('p7')) };
const uuidBytes = Uint8Array.of(0, ...Array.from({ length: 16 }, (_, i) => i + 1));

/** A server that knows one node by `id`, and a clock. */
function serve(id: Omit<SiteNode['id'], 'macs'>) {
  const state = openState(temporaryFolder());
  const clock = { now: 1_800_000_000_000 };
  const journal = openJournal(state, () => clock.now);
  onTestFinished(() => {
    journal.stop();
    state.close();
  });
  const node = aNode('rack-a', [link('boot', '10.77.0.41', [], true)], { macs: [], ...id });
  const site = aDhcpSite({ nodes: [node] });
  const parts = () => ({ site, known: state.known, journal, now: clock.now });
  const word = ({ machine, rival }: ReturnType<typeof identifyDhcpClient>) =>
    rival ?? (machine.kind === 'node' ? machine.node.name : machine.kind);
  return {
    clock,
    /** Whose answer the client gets, or why it gets none. */
    asks: (said: Said) => word(identifyDhcpClient(parts(), client(said))),
    /** Who the machine is to the boot script, and that it runs from then on. */
    boots(machine: MacAddress, said: { uuid?: string; serial?: string } = {}) {
      const { identity, machine: who } = identifyByMemory(parts(), { mac: machine, ...said });
      state.known.keep(identity, clock.now);
      const name = who.kind === 'node' ? who.node.name : 'spare';
      const event = { machine, node: name };
      const bootId = machine.replaceAll(':', '');
      const digest = digestOf(name);
      const sent = { bootId, roles: ['web'], bootSet: digest, image: digest };
      journal.add({ ...event, kind: 'script-sent', ...sent, address: ip('10.77.0.41') });
      journal.add({ ...event, kind: 'stage', bootId, stage: 'ready', reason: '', uptime: 9 });
      return name;
    },
  };
}

test('a machine swapped on its switch port needs no edit: the next one there is that node', () => {
  const { asks, boots, clock } = serve({ port: 'p7' });
  expect(asks({ mac: first, options: { ...speaker.uefi, ...atPort7 } })).toBe('rack-a');
  // HTTP has no option 82.
  expect(boots(first)).toBe('rack-a');
  // Linux, which asks for its address again, is no netbooting client, but it is the same machine.
  expect(asks({ mac: first, options: atPort7 })).toBe('rack-a');

  clock.now += 10_000;
  const newcomer: Said = { mac: second, options: { ...speaker.uefi, ...atPort7 } };
  expect(asks(newcomer)).toBe(
    'rack-a runs on 52:54:00:00:00:a1 now, and this machine claims it too by its switch port: switch one of them off, or give this one a role file with its MAC',
  );
  // The first one is switched off: it says nothing more.
  clock.now += 21_000;
  expect(asks(newcomer)).toBe('rack-a');
  expect(boots(second)).toBe('rack-a');
  // On another segment, where no switch names ports, the old machine is nobody.
  expect(asks({ mac: first, options: speaker.uefi })).toBe('spare');
});

test('a management controller that asks through the port of its machine is not the node', () => {
  const { asks } = serve({ port: 'p7' });
  expect(asks({ mac: second, options: atPort7 })).toBe('spare');
});

test('a serial number, which firmware does not tell DHCP, counts from the second boot on', () => {
  const { asks, boots } = serve({ serial: 'ABC' });
  const said: Said = { mac: first, options: speaker.uefi };
  expect(asks(said)).toBe('spare');
  expect(boots(first, { serial: 'ABC' })).toBe('rack-a');
  expect(asks(said)).toBe('rack-a');
});

test('a card that sends no UUID is known by the one of its loader', () => {
  const uuid = '04030201-0605-0807-090a-0b0c0d0e0f10';
  const { asks, boots } = serve({ uuid });
  expect(asks({ mac: first, options: speaker.bios })).toBe('spare');
  expect(boots(first, { uuid })).toBe('rack-a');
  expect(asks({ mac: first, options: speaker.bios })).toBe('rack-a');
  expect(asks({ mac: second, options: { ...speaker.uefi, 97: uuidBytes } })).toMatch(
    /^rack-a runs on/,
  );
});
