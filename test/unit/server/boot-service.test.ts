import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Digest } from '../../../src/digest.ts';
import { AppError } from '../../../src/errors.ts';
import type { Sent } from '../../../src/http/boot-service.ts';
import { openImageStore } from '../../../src/images/image-store.ts';
import { parseIpv4 } from '../../../src/net/ipv4.ts';
import { parseMac } from '../../../src/net/mac.ts';
import type { Fleet } from '../../../src/roles/fleet.ts';
import { createBootService } from '../../../src/server/boot-service.ts';
import { createFollower } from '../../../src/server/follow-sets.ts';
import { openJournal } from '../../../src/server/journal.ts';
import { tellStrangeBoots } from '../../../src/server/strange-boots.ts';
import type { BootStore } from '../../../src/state/boots.ts';
import type { Hardware } from '../../../src/state/event.ts';
import { openState, type State } from '../../../src/state/state.ts';
import { temporaryFolder } from '../state/temporary-folder.ts';
import { generationOf, labFleet } from './a-generation.ts';

const uuid = '4c4c4544-0044-4810-8031-b9c04f4a3232';
const mac = parseMac('52:54:00:77:00:99');
const server = 'http://10.77.0.1';
const hardware: Hardware = {
  ...{ cpu: 'a CPU', cpus: 2, memory: 2048, disks: [], nics: [] },
  ...{ serial: '', uuid, product: 'a server', firmware: 'bios' },
};

/** The boot side of a server whose site the test edits, and one machine without a role file. */
async function serve() {
  if (!mac) throw new Error('no MAC');
  const stateDir = temporaryFolder();
  const opened = openState(stateDir);
  const disk = { full: false };
  const reported: BootStore['reported'] = (...report) => {
    if (disk.full) throw new Error('database or disk is full');
    return opened.boots.reported(...report);
  };
  const offer: BootStore['offer'] = (...offered) => {
    if (disk.full) throw new AppError('disk-full', 'its disk is full');
    return opened.boots.offer(...offered);
  };
  const state: State = { ...opened, boots: { ...opened.boots, reported, offer } };
  const journal = openJournal(state, Date.now);
  onTestFinished(() => {
    journal.stop();
    state.close();
  });
  let generation = await generationOf(await labFleet(), state.overlays);
  let now = 0;
  const said: string[] = [];
  const follower = createFollower({
    ...{ state, journal },
    generation: () => generation,
    now: Date.now,
  });
  const service = createBootService({
    ...{ stateDir, state, journal, follower, now: Date.now },
    images: openImageStore(stateDir),
    generation: () => generation,
    loaderSent: () => {},
    strangeBoot: tellStrangeBoots({
      site: () => generation.fleet.site,
      now: () => now,
      log: (line) => said.push(line),
    }),
    volumes: { report: () => undefined },
    machineAt: (address) => (address === '10.77.0.200' ? mac : undefined),
  });
  return {
    ...{ stateDir, state, service, journal, follower, disk, said },
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    async edit(change: (fleet: Fleet) => Fleet) {
      const { number, fleet } = generation;
      generation = await generationOf(change(fleet), state.overlays, number + 1);
    },
    /** Boots and reports; what the machine is told to do. */
    async boot(known: { uuid?: string } = {}) {
      const query = { mac, loader: 'ipxe', ...known } as const;
      const { body } = await service.script(query, '10.77.0.200', server);
      const bootId = /rolecall\.boot=([0-9a-f]{32})/.exec(body)?.[1] ?? 'refused';
      await service.report(bootId, { stage: 'hardware', uptime: 9, hardware }, '10.77.0.200');
      const alive = (set?: Digest) =>
        service.report(
          bootId,
          { stage: 'alive', uptime: 10, reason: '', ...(set ? { set } : {}) },
          '10.77.0.200',
        );
      const node = /rolecall\.node=(\S+)/.exec(body)?.[1];
      const token = /rolecall\.token=([0-9a-f]{64})/.exec(body)?.[1] ?? '';
      return { bootId, token, node, answer: alive, alive: async () => (await alive())?.action };
    },
  };
}

/** web2's role file, with a UUID in the place of its MAC. */
function nameByUuid(fleet: Fleet): Fleet {
  const web2 = fleet.site.nodes.get('web2');
  if (!web2) throw new Error('the site of the lab has no web2');
  const nodes = new Map(fleet.site.nodes).set('web2', { ...web2, id: { macs: [], uuid } });
  return { ...fleet, site: { ...fleet.site, nodes } };
}

test('a node whose boot nobody knows here is named in the log, once an hour', async () => {
  const { service, said, pass } = await serve();
  const report = (from: string) =>
    service.report('f'.repeat(32), { stage: 'alive', uptime: 10, reason: '' }, from);
  expect(await report('10.77.0.11')).toBeUndefined();
  expect(said).toEqual([
    'web1 (10.77.0.11) reports a boot that the state folder does not hold: it runs on and is not heard until it is rebooted',
  ]);
  await report('10.77.0.11');
  await report('10.77.0.222');
  expect(said.map((line) => line.split(' reports')[0])).toEqual([
    'web1 (10.77.0.11)',
    '10.77.0.222',
  ]);
  pass(3_600_000);
  await report('10.77.0.11');
  expect(said).toHaveLength(3);
  // Many strangers are no reason to remember all of them, nor to forget the last ones.
  for (let n = 0; n < 1000; n += 1) await report(`10.78.${n >> 8}.${n & 255}`);
  expect(said).toHaveLength(1003);
  await report('10.78.3.231');
  expect(said).toHaveLength(1003);
  await report('10.77.0.11');
  expect(said).toHaveLength(1004);
});

test('a spare that a role file names by now reboots, and comes back as that node', async () => {
  const { boot, edit } = await serve();
  const spare = await boot();
  expect(spare.node).toBe('spare-525400770099');
  expect(await spare.alive()).toBe('none');
  await edit(nameByUuid);
  expect(await spare.alive()).toBe('reboot');
  // The answer may have been lost.
  expect(await spare.alive()).toBe('reboot');
  const node = await boot({ uuid });
  expect(node.node).toBe('web2');
  expect(await node.alive()).toBe('none');
});

test('a machine whose loader does not say its UUID is known by that of its hardware report', async () => {
  const { boot, edit } = await serve();
  const first = await boot();
  await edit(nameByUuid);
  expect(await first.alive()).toBe('reboot');
  expect((await boot()).node).toBe('web2');
});

test('what a loader fetches counts, though another DHCP server gave it another address', async () => {
  const { boot, edit, service, state } = await serve();
  await edit(nameByUuid);
  await boot({ uuid });
  const record = state.boots.list().at(-1);
  expect(record).toMatchObject({ node: 'web2', address: '10.77.0.12' });
  const kernel = record?.set.kernel.digest ?? '';
  service.sent?.({ what: 'image', name: kernel, bytes: 7, from: '10.77.0.200' } as Sent);
  expect(state.events.list().at(-1)?.event).toMatchObject({
    ...{ kind: 'blob-sent', what: 'kernel', node: 'web2', machine: mac },
  });
});

test('what a machine says of its hardware is kept with its boot', async () => {
  const { boot, state } = await serve();
  const { bootId } = await boot();
  expect(state.boots.get(bootId)?.hardware).toEqual(hardware);
});

test('a machine that runs for years is remembered, and known when it boots again', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const { boot, state } = await serve();
  if (!mac) throw new Error('no MAC');
  const { alive } = await boot();
  for (let month = 0; month < 24; month += 1) {
    vi.setSystemTime(Date.now() + 30 * 86_400_000);
    await alive();
    state.known.prune(Date.now());
  }
  expect(state.known.of(mac)).toMatchObject({ uuid });
});

test('a second machine of the same UUID gets no script while the first runs', async () => {
  const { boot, edit, service, state } = await serve();
  await edit(nameByUuid);
  const first = await boot({ uuid });
  expect(first.node).toBe('web2');
  const twin = parseMac('52:54:00:77:00:9a');
  if (!twin) throw new Error('no MAC');
  const { body } = await service.script(
    { mac: twin, loader: 'ipxe', uuid, serial: 'B' },
    '10.77.0.201',
    server,
  );
  expect(body).not.toContain('rolecall.boot=');
  expect(state.events.list().at(-1)?.event).toMatchObject({
    kind: 'refused',
    reason: expect.stringContaining(`web2 runs on ${mac} now`),
  });
});

test('a spare whose loader says another UUID than its hardware reboots once', async () => {
  const { state, boot, edit } = await serve();
  const first = await boot();
  await edit(nameByUuid);
  expect(await first.alive()).toBe('reboot');
  const second = await boot({ uuid: '11223344-5566-7788-99aa-bbccddeeff00' });
  expect(second.node).toBe('spare-525400770099');
  expect(await second.alive()).toBe('none');
  expect(await second.alive()).toBe('none');
  const warnings = state.events.list().filter(({ event }) => event.kind === 'warning');
  expect(warnings).toMatchObject([
    { event: { reason: expect.stringContaining(`add its MAC ${mac} to nodes/web2.yaml`) } },
  ]);
  await edit((fleet) => fleet);
  expect(await second.alive()).toBe('reboot');
});

test('a machine whose role file says spare waits, and is not told to reboot', async () => {
  const { state, boot, edit } = await serve();
  await edit((fleet) => {
    const { site } = nameByUuid(fleet);
    const web2 = site.nodes.get('web2');
    if (!web2) throw new Error('the site of the lab has no web2');
    const nodes = new Map(site.nodes).set('web2', { ...web2, roles: ['spare'] });
    return { ...fleet, site: { ...site, nodes } };
  });
  const named = await boot({ uuid });
  expect(named.node).toBe('web2');
  expect(await named.alive()).toBe('none');
  expect(state.events.list().some(({ event }) => event.kind === 'warning')).toBe(false);
});

describe('a running node', () => {
  const motd = '/etc/motd';
  /** Another text of a file that is read anew each time, or of one that only a boot reads. */
  const editFile = (path: string, text: string) => (fleet: Fleet) => {
    const source = fleet.roles.get('base')?.tree.find((file) => file.path === path)?.source ?? '';
    return { ...fleet, sources: new Map(fleet.sources).set(source, text) };
  };

  async function running() {
    const { service, state, follower, boot, edit } = await serve();
    await edit(nameByUuid);
    const { bootId, answer } = await boot({ uuid });
    const record = () => state.boots.get(bootId) ?? expect.fail('no boot');
    const runs = () => record().runs.digest;
    const say = (stage: 'followed' | 'follow-failed', set: Digest, reason = '') =>
      service.report(bootId, { stage, uptime: 20, set, reason }, '10.77.0.12');
    const follow = async () => {
      const told = await answer(runs());
      return told?.action === 'follow' ? told.set : undefined;
    };
    const kinds = () =>
      state.events.list().flatMap(({ event }) => (/follow/.test(event.kind) ? event.kind : []));
    return {
      ...{ service, state, follower, bootId, answer, edit },
      ...{ runs, say, follow, kinds },
    };
  }

  test('is told to follow, how, and runs the set when it says so', async () => {
    const { service, bootId, edit, runs, say, follow, kinds, state } = await running();
    const booted = runs();
    expect(await follow()).toBeUndefined();
    await edit(editFile(motd, 'good morning\n'));
    const set = (await follow()) ?? expect.fail('it was not told to');
    const { overlay } = state.boots.set(set) ?? expect.fail('the set is not kept');
    expect(await service.follow(bootId, set)).toBe(
      `overlay ${overlay.digest} ${overlay.size}\nwrite ${motd}\n`,
    );
    // It is said once, and told until the node has heard.
    expect(await follow()).toBe(set);
    expect(kinds()).toEqual(['follow-sent']);
    await say('followed', set, 'no unit had to act');
    expect(runs()).toBe(set);
    expect(await follow()).toBeUndefined();
    await edit((fleet) => editFile(motd, 'good evening\n')(fleet));
    expect(await follow()).not.toBe(booted);
    expect(kinds()).toEqual(['follow-sent', 'followed', 'follow-sent']);
  });

  test('that still follows to a set is told of a later one when it is done, from where it is then', async () => {
    const { service, bootId, edit, runs, say, follow, state, answer } = await running();
    const before = runs();
    let fleet = await labFleet();
    await edit((unedited) => {
      fleet = unedited;
      return editFile(motd, 'good morning\n')(unedited);
    });
    const first = (await follow()) ?? expect.fail('it was not told to');
    // While its agent is at work the edit is undone, and another is made.
    await edit(() => editFile('/etc/issue', 'welcome\n')(fleet));
    const second = (await follow()) ?? expect.fail('it was not told to');
    expect([before, first]).not.toContain(second);
    await say('followed', first);
    expect(runs()).toBe(first);
    expect(await answer(first)).toEqual({ action: 'follow', set: second });
    const steps = await service.follow(bootId, second);
    const { overlay } = state.boots.set(second) ?? expect.fail('the set is not kept');
    expect(steps).toBe(
      `overlay ${overlay.digest} ${overlay.size}\nwrite /etc/issue\nwrite ${motd}\n`,
    );
  });

  test('that says it runs a set which nobody knows is told of none, and of a reboot', async () => {
    const { answer, edit, kinds, runs, state } = await running();
    const before = runs();
    await edit(editFile(motd, 'good morning\n'));
    const unknown = 'ab'.repeat(32) as Digest;
    expect(await answer(unknown)).toEqual({ action: 'none' });
    expect(await answer(unknown)).toEqual({ action: 'none' });
    expect(runs()).toBe(before);
    expect(kinds()).toEqual([]);
    expect(state.events.list().filter(({ event }) => event.kind === 'warning')).toMatchObject([
      {
        event: {
          reason: expect.stringMatching(/^it runs the boot set abababababab, .*reboot it$/),
        },
      },
    ]);
  });

  test('that says it runs the set it was told of has followed, though its word was lost', async () => {
    const { answer, edit, runs, follow, kinds } = await running();
    await edit(editFile(motd, 'good morning\n'));
    const set = (await follow()) ?? expect.fail('it was not told to');
    expect(await answer(set)).toEqual({ action: 'none' });
    expect(runs()).toBe(set);
    expect(kinds()).toEqual(['follow-sent', 'followed']);
  });

  test('whose check refuses a set stays, and is told of the next one only', async () => {
    const { bootId, edit, say, follow, follower, runs } = await running();
    const booted = runs();
    await edit(editFile(motd, 'broken\n'));
    const set = (await follow()) ?? expect.fail('it was not told to');
    await say('follow-failed', set, 'nginx -t: line 3');
    // Known at once: the operator does not wait for the next report.
    expect(follower.due(bootId)).toEqual({
      ...{ bootSet: set, kind: 'reload' },
      reason: 'it did not follow (nginx -t: line 3): mend the site, or undo its last edit',
    });
    expect(await follow()).toBeUndefined();
    expect(runs()).toBe(booted);
    await edit(editFile(motd, 'mended\n'));
    expect(await follow()).toEqual(expect.stringMatching(/^[0-9a-f]{64}$/));
  });

  test('is told of no set that needs a reboot, and the reason is known', async () => {
    const { bootId, edit, follow, follower, kinds } = await running();
    await edit(editFile('/etc/locale.conf', 'LANG=C\n'));
    expect(await follow()).toBeUndefined();
    expect(follower.due(bootId)).toMatchObject({
      kind: 'reboot',
      reason: 'it needs a reboot: no reload rule names /etc/locale.conf (changed)',
    });
    expect(kinds()).toEqual([]);
    await edit((fleet) => fleet);
  });

  test('gets no steps to a set that it was not told of', async () => {
    const { service, bootId, runs } = await running();
    expect(await service.follow(bootId, runs())).toBeUndefined();
    expect(await service.follow('f'.repeat(32), runs())).toBeUndefined();
  });

  test('that says nothing of its set, as the initramfs does, is told nothing', async () => {
    const { answer, edit } = await running();
    await edit(editFile(motd, 'good morning\n'));
    expect(await answer()).toEqual({ action: 'none' });
  });
});

test('a spare beside another DHCP server does not take the address of a lease that it had once', async () => {
  const { state, service, edit } = await serve();
  if (!mac) throw new Error('no MAC');
  const address = parseIpv4('10.77.0.200') ?? expect.fail('no address');
  const expires = Date.now() - 60_000;
  state.leases.put({ mac, address, expires, boundAt: 0 });
  await edit((fleet) => {
    const networks = new Map(
      [...fleet.site.networks].map(([name, network]) => [
        name,
        { ...network, dhcp: 'proxy' as const },
      ]),
    );
    return { ...fleet, site: { ...fleet.site, networks } };
  });
  const { body } = await service.script({ mac, loader: 'ipxe' }, '10.77.0.57', server);
  expect(body).toContain('rolecall.node=spare-525400770099');
  expect(body).not.toContain('10.77.0.200');
  const [boot] = state.boots.list();
  expect(boot?.address).toBe('10.77.0.57');
  await service.report(boot?.bootId ?? '', { stage: 'alive', uptime: 9, reason: '' }, '10.77.0.57');
  expect(state.leases.of(mac)?.expires).toBe(expires);
});

test('a script that is only looked at begins no boot', async () => {
  const { state, service, journal } = await serve();
  if (!mac) throw new Error('no MAC');
  const query = { mac, loader: 'ipxe', preview: true, serial: 'ABC' } as const;
  const { body } = await service.script(query, '10.77.0.200', server);
  expect(body).toMatch(/^kernel .* rolecall\.node=spare-525400770099 rolecall\.boot=0{32} /m);
  expect(state.boots.list()).toEqual([]);
  expect(journal.machines().size).toBe(0);
  expect(state.events.list()).toEqual([]);
  expect(state.known.of(mac)).toBeUndefined();
});

test('the key of a certificate is in the secrets of those that share it, and in no boot set', async () => {
  const { stateDir, service, state, boot, edit } = await serve();
  await edit(nameByUuid);
  const { bootId, token, node } = await boot({ uuid });
  expect(node).toBe('web2');
  const answer = await service.secrets(bootId, token, '10.77.0.12');
  const tar = answer.kind === 'sent' ? Buffer.from(answer.tar).toString('latin1') : '';
  const pem = readFileSync(join(stateDir, 'certificates/mail.pem'), 'latin1');
  expect(pem).toContain('-----BEGIN PRIVATE KEY-----');
  expect(tar).toContain('etc/ssl/private/mail.pem');
  expect(tar).toContain(pem);
  const key = pem.split('\n')[1] ?? '';
  const set = state.boots.get(bootId)?.set;
  expect(set?.secrets).toMatchObject([{ name: 'mail', hosts: ['mail.lab.example'] }]);
  expect(JSON.stringify(state.boots.list())).not.toContain(key);
  expect(JSON.stringify(state.events.list())).not.toContain(key);
  const overlay = state.overlays.file(set?.overlay.digest as Digest)?.path ?? '';
  expect(readFileSync(overlay, 'latin1')).toContain('/etc/ssl/private/mail.pem');
  expect(readFileSync(overlay, 'latin1')).not.toContain(key);
});

test('secrets that could not be made leave the token as it was', async () => {
  const { stateDir, service, boot } = await serve();
  const { bootId, token } = await boot();
  const fetchSecrets = () => service.secrets(bootId, token, '10.77.0.200');
  writeFileSync(join(stateDir, 'secrets'), 'in the way');
  await expect(fetchSecrets()).rejects.toThrow();
  rmSync(join(stateDir, 'secrets'));
  expect((await fetchSecrets()).kind).toBe('sent');
  expect((await fetchSecrets()).kind).toBe('used');
});

test('a service that breaks while the disk is full shows as failed', async () => {
  const { service, journal, disk, boot } = await serve();
  const { bootId } = await boot();
  const report = (stage: 'ready' | 'failed', reason = '') =>
    service.report(bootId, { stage, uptime: 20, reason }, '10.77.0.200');
  await report('ready');
  disk.full = true;
  expect(await report('failed', 'web: connection refused')).toEqual({ action: 'none' });
  const run = mac && journal.machines().get(mac)?.run;
  expect(run).toMatchObject({ stage: 'failed', reason: 'web: connection refused' });
});

test('a node with something to follow to reports while the disk is full, and follows later', async () => {
  const { service, disk, boot, edit, state, journal } = await serve();
  await edit(nameByUuid);
  const { bootId } = await boot({ uuid });
  const runs = state.boots.get(bootId)?.runs.digest as Digest;
  await edit((fleet) => {
    const source = fleet.roles.get('base')?.tree.find(({ path }) => path === '/etc/motd')?.source;
    return { ...fleet, sources: new Map(fleet.sources).set(source ?? '', 'good morning\n') };
  });
  const report = () =>
    service.report(bootId, { stage: 'alive', uptime: 20, reason: '', set: runs }, '10.77.0.12');
  disk.full = true;
  expect(await report()).toEqual({ action: 'none' });
  expect(journal.machines().get(mac as NonNullable<typeof mac>)?.run.node).toBe('web2');
  disk.full = false;
  expect(await report()).toMatchObject({ action: 'follow' });
});

test.each(['undionly.kpxe', 'constructor', '__proto__'])('no loader is called %s', async (name) => {
  const { service } = await serve();
  expect(await service.loader(name)).toBeUndefined();
});

describe('the first script of a loader that HTTP Boot started', () => {
  test('gives the machine the address that it asks from, and its boot script', async () => {
    const { service } = await serve();
    const script = service.autoexec('10.77.0.200', server);
    expect(script).toContain(`iseq \${net\${card}/mac} ${mac} && goto found`);
    expect(script).toContain('/ip 10.77.0.200\n');
    expect(script).toContain('/netmask 255.255.255.0\n');
    expect(script).toContain(`chain --replace http://10.77.0.1/boot/script?mac=${mac}&uuid=`);
  });

  test('asks DHCP where nobody knows whose address it is', async () => {
    const { service } = await serve();
    expect(service.autoexec('10.77.0.201', server)).not.toContain('10.77.0.201');
    expect(service.autoexec('10.77.0.201', server)).toContain('ifconf -c dhcp');
  });
});

test('a preview is as long as the script that follows, and begins no boot', async () => {
  const { service, state, journal } = await serve();
  if (!mac) throw new Error('no MAC');
  const query = { mac, loader: 'grub' } as const;
  const measured = await service.script({ ...query, preview: true }, '10.77.0.200', server);
  expect(state.boots.latestAt('10.77.0.200')).toBeUndefined();
  expect(journal.machines().get(mac)).toBeUndefined();
  const begun = await service.script(query, '10.77.0.200', server);
  expect(begun.body).not.toBe(measured.body);
  expect(begun.body).toHaveLength(measured.body.length);
});
