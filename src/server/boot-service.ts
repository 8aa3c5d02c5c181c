import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { identifyMachine, type MachineIdentity, spareName } from '../boot/identify-machine.ts';
import type { BootInstance } from '../boot/kernel-args.ts';
import { type BootPlan, planBoot } from '../boot/plan-boot.ts';
import { recallIdentity } from '../boot/recall-identity.ts';
import type { Digest } from '../digest.ts';
import type {
  BootService,
  FollowReport,
  Report,
  ScriptQuery,
  Sent,
  ServedFile,
} from '../http/boot-service.ts';
import type { ImageStore } from '../images/image-store.ts';
import type { Ipv4 } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import { renderGrubConfig, renderGrubRefusal, renderGrubStart } from '../pxe/grub-config.ts';
import { renderBootScript, renderRefusalScript, scriptUrl } from '../pxe/ipxe-script.ts';
import { prolongLease } from '../pxe/leases.ts';
import { renderAutoexec } from '../pxe/loader-scriptlet.ts';
import { packOverlay } from '../roles/pack-overlay.ts';
import { type BootRecord, partOf } from '../state/boots.ts';
import type { EventBody, Hardware, ReportedStage } from '../state/event.ts';
import { ensureSecrets } from '../state/secrets.ts';
import type { State } from '../state/state.ts';
import { isWriteRefused } from '../state/write-watch.ts';
import { bootAt } from './boot-at.ts';
import type { Follower } from './follow-sets.ts';
import type { Generation } from './generation.ts';
import { describeRival, identifyByMemory } from './identify-clients.ts';
import type { Journal } from './journal.ts';
import type { VolumeService } from './volume-service.ts';

export interface BootServiceParts {
  readonly stateDir: string;
  readonly state: State;
  readonly images: ImageStore;
  readonly journal: Journal;
  readonly follower: Follower;
  /** The generation in use; another one from one call to the next. */
  readonly generation: () => Generation;
  /** Which machine has this address, by DHCP. */
  readonly machineAt: (address: string) => MacAddress | undefined;
  /** Told of each loader that went out over HTTP. */
  readonly loaderSent: (sent: Sent) => void;
  /** Told of the address of each report of a boot that nobody knows. */
  readonly strangeBoot: (from: string) => void;
  readonly now: () => number;
  readonly volumes: Pick<VolumeService, 'report'>;
}

/** What the boot listener serves: scripts, blobs, overlays, secrets, and the answers to reports. */
export function createBootService(parts: BootServiceParts): BootService {
  const { state, images, journal, follower, generation, now } = parts;
  /** The spares that were told to reboot: from which boot, and by which state of the site. */
  const rebooted = new Map<MacAddress, { readonly bootId: string; readonly generation: number }>();

  /** What has to be on disk before a boot begins may find no room there; the machine says so, and asks again. */
  async function script(query: ScriptQuery, from: string, server: string) {
    try {
      return await beginBoot(query, from, server);
    } catch (error) {
      if (!isWriteRefused(error)) throw error;
      const reason = `the boot server cannot keep this boot: ${error.message}`;
      return refuseBoot(query, server, reason, '');
    }
  }

  function refuseBoot(query: ScriptQuery, server: string, reason: string, node: string) {
    if (!query.preview) journal.add({ machine: query.mac, node, kind: 'refused', reason });
    return {
      status: 200,
      body:
        query.loader === 'grub'
          ? renderGrubRefusal(reason)
          : renderRefusalScript(reason, scriptUrl(server, query.mac)),
      refused: reason,
    };
  }

  async function beginBoot(query: ScriptQuery, from: string, server: string) {
    const isGrub = query.loader === 'grub';
    // Beside another DHCP server a lease of an earlier day is another machine's address by now.
    const lease = state.leases.of(query.mac);
    const leased = lease?.address === from ? lease.address : undefined;
    const { site } = generation().fleet;
    const said = saidByLoader(query);
    const about = { site, known: state.known, journal, now: now() };
    const { identity, machine, rival } = identifyByMemory(about, said);
    if (!query.preview) state.known.keep(identity, now());
    const plan = planBoot(site, identity, leased);
    const refuse = (reason: string, node: string) => refuseBoot(query, server, reason, node);
    if (plan.kind === 'refuse') return refuse(plan.reason, '');
    if (machine.kind === 'node' && rival !== undefined) {
      return refuse(describeRival(machine, rival), plan.node.name);
    }
    if (query.arch === 'arm64') return refuse(noArm64, plan.node.name);
    const prepared = await generation().bootSet(plan.node);
    if (!prepared.ok) return refuse(prepared.reason, plan.node.name);
    const set = prepared.set;
    const boot: BootInstance = {
      bootId: query.preview ? '0'.repeat(32) : randomBytes(16).toString('hex'),
      token: query.preview ? '0'.repeat(64) : randomBytes(32).toString('hex'),
      mac: query.mac,
      server,
      ...(plan.address ? { address: plan.address } : {}),
    };
    const body = isGrub ? renderGrubConfig(set, boot) : renderBootScript(set, boot);
    if (query.preview) return { status: 200, body };
    const address = addressOf(plan, from);
    await state.boots.record({
      bootId: boot.bootId,
      machine: query.mac,
      node: set.node,
      set,
      token: boot.token,
      createdAt: now(),
      address,
    });
    journal.add({
      machine: query.mac,
      node: set.node,
      kind: 'script-sent',
      bootId: boot.bootId,
      bootSet: set.digest,
      image: set.image,
      roles: set.roles,
      address,
    });
    return { status: 200, body };
  }

  async function servedFile(path: string): Promise<ServedFile | undefined> {
    const found = await stat(path).catch(() => undefined);
    return found?.isFile() ? { path, size: found.size } : undefined;
  }

  function note(record: BootRecord, body: EventBody): void {
    journal.add({ machine: record.machine, node: record.node, ...body });
  }

  return {
    script,
    async loader(fileName) {
      const { loaders } = generation();
      // A stranger may ask for `constructor`.
      const blob = Object.hasOwn(loaders, fileName) ? loaders[fileName] : undefined;
      const file = blob && (await servedFile(images.blobPath(blob.digest)));
      return file && { ...file, digest: blob.digest };
    },
    grubStart: (server) => renderGrubStart(server),
    autoexec(from, server) {
      const mac = parts.machineAt(from);
      const identity = mac && recallIdentity({ mac }, state.known.of(mac));
      const plan = identity && planBoot(generation().fleet.site, identity, from as Ipv4);
      const address = plan?.kind === 'boot' ? plan.address : undefined;
      return mac && address?.address === from
        ? renderAutoexec({ mac, address, script: scriptUrl(server, mac) })
        : renderAutoexec();
    },
    blob: (digest) => servedFile(images.blobPath(digest)),
    overlay: async (digest) => state.overlays.file(digest),
    async secrets(bootId, token, from) {
      const record = state.boots.get(bootId);
      if (!record) return { kind: 'unknown' };
      // Before the token is spent: what fails here is asked for again, and that is no theft.
      const { node, set } = record;
      const files = await ensureSecrets(parts.stateDir, node, set.secrets);
      const tar = (await packOverlay(files)).bytes;
      const kind = state.boots.useToken(bootId, token, now());
      if (kind !== 'ok') {
        const reason =
          kind === 'used'
            ? `the secrets of its boot were asked for a second time, by ${from}`
            : `${from} asked for the secrets of its boot with a wrong token`;
        note(record, { kind: 'refused', reason });
        return { kind };
      }
      note(record, { kind: 'blob-sent', what: 'secrets', bytes: tar.byteLength });
      return { kind: 'sent', tar };
    },
    async report(bootId, report, from) {
      const record = state.boots.get(bootId);
      if (!record) {
        parts.strangeBoot(from);
        return undefined;
      }
      if (report.stage === 'hardware') {
        note(record, { kind: 'hardware', hardware: report.hardware });
        rememberHardware(record, report.hardware);
        return { action: 'none' };
      }
      if (report.stage === 'warning') {
        note(record, { kind: 'warning', reason: report.reason });
        return { action: 'none' };
      }
      if (isFollowReport(report)) {
        await noteFollowing(record, report);
        return { action: 'none' };
      }
      const { stage, reason, uptime, vrrp } = report;
      keepReport(record, stage);
      note(record, { kind: 'stage', bootId, stage, reason, uptime, ...(vrrp ? { vrrp } : {}) });
      if (stage === 'kernel' || stage === 'root' || stage === 'overlay') return { action: 'none' };
      if (actionFor(record) === 'reboot') return { action: 'reboot' };
      // The initramfs reports too, and has no agent.
      if (report.set === undefined) return { action: 'none' };
      const set = await nextSet(record, report.set);
      return set === undefined ? { action: 'none' } : { action: 'follow', set };
    },
    async follow(bootId, set) {
      const record = state.boots.get(bootId);
      return record && follower.steps(record, set);
    },
    volume: parts.volumes.report,
    sent(sent) {
      const { what, name, bytes, from } = sent;
      // The last boot at this address may be another machine's, or one that runs and will not boot now.
      if (what === 'loader') return parts.loaderSent(sent);
      const record = bootAt(state.boots, parts.machineAt, from);
      if (!record) return;
      const part = partOf(record, name as Digest);
      if (part) note(record, { kind: 'blob-sent', what: part, bytes });
    },
  };

  async function noteFollowing(record: BootRecord, { stage, set, reason }: FollowReport) {
    const { bootId } = record;
    if (stage === 'followed') state.boots.followed(bootId, set);
    note(record, { kind: stage, bootId, bootSet: set, reason });
    await follower.ended(bootId);
  }

  /** What a full disk cannot keep the node is not told; its report was heard, and it follows after a later one. */
  async function nextSet(record: BootRecord, runs: Digest): Promise<Digest | undefined> {
    try {
      const after = await afterFollowing(record, runs);
      if (after.runs.digest === runs) return await follower.next(after);
      // From files that nobody knows there are no steps to others.
      const reason = `it runs the boot set ${runs.slice(0, 12)}, which is not kept here any more: reboot it`;
      const isSaid = journal.machines().get(record.machine)?.run.warning === reason;
      if (!isSaid) note(record, { kind: 'warning', reason });
      return undefined;
    } catch (error) {
      if (!isWriteRefused(error)) throw error;
      return undefined;
    }
  }

  /** The record of a boot whose node says what it runs: its word that it followed may have been lost. */
  async function afterFollowing(record: BootRecord, runs: Digest): Promise<BootRecord> {
    const { bootId } = record;
    if (runs === record.runs.digest || !state.boots.followed(bootId, runs)) return record;
    note(record, { kind: 'followed', bootId, bootSet: runs, reason: 'its reports say so' });
    await follower.ended(bootId);
    return state.boots.get(bootId) ?? record;
  }

  /** A disk that is full must not hide from the operator what nodes say. */
  function keepReport(record: BootRecord, stage: ReportedStage): void {
    try {
      state.boots.reported(record.bootId, stage, now());
      keepLease(record);
      keepKnown(record);
    } catch (error) {
      if (isWriteRefused(error)) return;
      const why = error instanceof Error ? error.message : error;
      process.stderr.write(`rolecall: a report of ${record.node} is not on disk: ${why}\n`);
    }
  }

  /** Firmware tells DHCP no serial number, and some cards no UUID: by these it is known at its next boot. */
  function rememberHardware({ machine, node, bootId }: BootRecord, hardware: Hardware): void {
    const said = saidByHardware(machine, hardware);
    try {
      state.boots.noteHardware(bootId, hardware);
      state.known.keep(recallIdentity(said, state.known.of(machine)), now());
    } catch (error) {
      if (isWriteRefused(error)) return;
      const why = error instanceof Error ? error.message : error;
      process.stderr.write(`rolecall: the hardware of ${node} is not on disk: ${why}\n`);
    }
  }

  /** A machine that took its address out of the kernel arguments has nobody who renews its lease. */
  function keepLease({ machine, address }: BootRecord): void {
    const lease = state.leases.of(machine);
    const prolonged = lease?.address === address ? prolongLease(lease, now()) : undefined;
    if (prolonged) state.leases.put(prolonged);
  }

  /** A machine may run for years between two boots, and is that node all the while. */
  function keepKnown({ machine }: BootRecord): void {
    const known = state.known.of(machine);
    if (known) state.known.keep({ mac: machine, ...known }, now());
  }

  /** A machine that waits as a spare and that a role file names by now reboots, once for each state of the site. */
  function actionFor(record: BootRecord): 'none' | 'reboot' {
    // A role file may itself say spare; that machine is what it shall be.
    if (record.node !== spareName(record.machine)) return 'none';
    const hardware = journal.machines().get(record.machine)?.hardware;
    const { number, fleet } = generation();
    const said = saidByHardware(record.machine, hardware);
    const known = state.known.of(record.machine);
    const machine = identifyMachine(fleet.site, recallIdentity(said, known));
    if (machine.kind !== 'node') return 'none';
    const last = rebooted.get(record.machine);
    if (last?.generation === number && last.bootId !== record.bootId) {
      // Linux and the loader may read another UUID or serial number; it would reboot for ever.
      const reason = `its loader does not say the ${machine.by} by which ${machine.node.file} names it, so it stays a spare; add its MAC ${record.machine} to ${machine.node.file}`;
      const isSaid = journal.machines().get(record.machine)?.run.warning === reason;
      if (!isSaid) note(record, { kind: 'warning', reason });
      return 'none';
    }
    rebooted.set(record.machine, { bootId: record.bootId, generation: number });
    return 'reboot';
  }
}

function isFollowReport(report: Report): report is FollowReport {
  return report.stage === 'followed' || report.stage === 'follow-failed';
}

const noArm64 =
  'this is an arm64 machine, and images are made for amd64 only; this version of rolecall boots no arm64 machine';

/** What is kept of it must have a bound. */
function saidByLoader({ mac, uuid, serial }: ScriptQuery): MachineIdentity {
  return {
    mac,
    ...(uuid && /^[0-9a-f-]{36}$/.test(uuid) ? { uuid } : {}),
    ...(serial && serial.length <= 128 ? { serial } : {}),
  };
}

function saidByHardware(mac: MacAddress, hardware: Hardware | undefined): MachineIdentity {
  return {
    mac,
    ...(hardware?.uuid ? { uuid: hardware.uuid.toLowerCase() } : {}),
    ...(hardware?.serial ? { serial: hardware.serial } : {}),
  };
}

function addressOf(plan: BootPlan & { kind: 'boot' }, from: string): Ipv4 {
  return plan.address?.address ?? (from as Ipv4);
}
