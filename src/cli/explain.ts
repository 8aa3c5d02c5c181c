import { loaderPath } from '../boot/boot-paths.ts';
import type { MachineIdentity } from '../boot/identify-machine.ts';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { planBoot } from '../boot/plan-boot.ts';
import { AppError } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';
import { formatHost } from '../net/ipv4.ts';
import type { MacAddress } from '../net/mac.ts';
import {
  architectures,
  type LoaderWishes,
  loadersOf,
  loaderWishes,
} from '../pxe/loader-by-client.ts';
import { renderProblems } from '../render-problems.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { prepareBootSet } from '../server/prepare-boot-set.ts';
import { sortProblems } from '../site/parse-site.ts';
import type { NodeDetail } from '../state/node-status.ts';
import { fetchAdmin } from './admin-client.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { fetchLastBoot, type LastBootFound, renderLastBoot } from './last-boot.ts';
import { type NamedMachine, namedMachine } from './which-machine.ts';

/** What one machine would boot if it were switched on now, and why; a row of `explain --json`. */
interface Explanation {
  readonly name: string;
  readonly mac: string;
  /** How it is known, in words. */
  readonly known: string;
  readonly role: readonly string[];
  /** `10.77.0.12/24`; empty where a lease of the pool gives it. */
  readonly address: string;
  /** Those that it may ask for; as its last boot asked, where that is known. */
  readonly loaders: readonly string[];
  readonly image: string;
  readonly kernel: string;
  readonly bootSet: string;
  readonly overlay: { readonly digest: string; readonly files: number; readonly bytes: number };
  readonly arguments: readonly string[];
  /** Why it gets no boot set; empty where it does. */
  readonly reason: string;
  /** Its packets and what they show, by the server's word; where no server answers, why. */
  readonly lastBoot: LastBootFound;
  /** What it runs by the server's word; absent where no server answers. */
  readonly now?: {
    readonly stage: string;
    readonly since: string;
    readonly bootSet: string;
    /** Its switch port, as a role file spells it; absent where no relay or switch names it. */
    readonly port?: string;
  };
}

/** `rolecall explain <node|mac>`: what it would boot, and why, from the site on disk. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('explain')
    .description('what a machine would boot, and why; its last boot packet by packet')
    .argument('<node|mac>', 'a node of the site, or the MAC of any machine')
    .option('--server <url>', 'ask this server; else the one of the state folder')
    .action(async (who: string, { server }: { server?: string }) => {
      const explanation = await explain(who, globals(), server);
      say(globals().json ? JSON.stringify([explanation], null, 2) : renderExplanation(explanation));
      if (explanation.reason !== '') process.exitCode = 1;
    });
};

async function explain(
  who: string,
  globals: GlobalOptions,
  server: string | undefined,
): Promise<Explanation> {
  const loaded = await loadFleet(globals.site);
  if (!loaded.ok) throw new AppError('invalid-site', renderProblems(sortProblems(loaded.problems)));
  const { site } = loaded.value;
  const machine = await namedMachine(site, who, globals, server);
  const { macs } = machine;
  const plan = planBoot(site, identityOf(machine));
  const empty = {
    mac: macs[0] ?? '',
    address: '',
    loaders: [],
    image: '',
    kernel: '',
    bootSet: '',
    overlay: { digest: '', files: 0, bytes: 0 },
    arguments: [],
    lastBoot: await fetchLastBoot(globals, macs, server),
  };
  if (plan.kind === 'refuse') {
    return { ...empty, name: '', known: 'it boots nothing', role: [], reason: plan.reason };
  }
  const { node } = plan;
  const image = await openImageStore(globals.state).resolve(node.image, nodeArchitecture);
  const prepared = await prepareBootSet(loaded.value, node, image);
  const known =
    plan.by === 'unnamed'
      ? 'no role file names it, and site.yaml says unknown: spare'
      : `its ${words[plan.by]} is in ${node.file}`;
  const now = await nowOf(globals, node.name, server);
  return {
    ...empty,
    name: node.name,
    known,
    role: node.roles,
    address: plan.address ? formatHost(plan.address.address, plan.address.subnet) : '',
    loaders: loadersFor(empty.lastBoot, loaderWishes(site, node)),
    image: image?.digest ?? '',
    kernel: image?.manifest.kernelVersion ?? '',
    ...(prepared.ok
      ? {
          bootSet: prepared.set.digest,
          overlay: {
            digest: prepared.set.overlay.digest,
            files: prepared.files.length,
            bytes: prepared.set.overlay.size,
          },
          arguments: prepared.set.arguments,
          reason: '',
        }
      : { reason: renderProblems(prepared.problems) }),
    ...(now ? { now } : {}),
  };
}

const words = { mac: 'MAC', uuid: 'UUID', serial: 'serial number', port: 'switch port' } as const;

/** A node known by more than its MAC is asked for by all that its role file says. */
function identityOf({ node, macs }: NamedMachine): MachineIdentity {
  const { uuid, serial, port } = node?.id ?? {};
  return {
    // No card has this one: any card may be the node's.
    mac: macs[0] ?? ('00:00:00:00:00:00' as MacAddress),
    ...(uuid ? { uuid } : {}),
    ...(serial ? { serial } : {}),
    ...(port ? { port: { circuit: port } } : {}),
  };
}

function loadersFor(lastBoot: LastBootFound, wishes: LoaderWishes): readonly string[] {
  const architecture = lastBoot.kind === 'boot' ? lastBoot.boot.architecture : null;
  const all = architecture === null ? loadersOf(wishes) : loadersOf(wishes, [`${architecture}`]);
  return all.map(loaderPath);
}

function platformOf(lastBoot: LastBootFound): string {
  const architecture = lastBoot.kind === 'boot' ? lastBoot.boot.architecture : null;
  const name = architecture === null ? undefined : architectures[architecture]?.name;
  return name === undefined ? '' : ` (its last boot asked as ${name})`;
}

async function nowOf(
  globals: GlobalOptions,
  name: string,
  server: string | undefined,
): Promise<Explanation['now']> {
  try {
    const detail = (await fetchAdmin(globals, `/api/v1/nodes/${name}`, server)) as NodeDetail;
    const { stage, since, bootSet, port } = detail;
    return { stage, since, bootSet, ...(port === undefined ? {} : { port }) };
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

function renderExplanation(e: Explanation): string {
  const short = (digest: string) => digest.slice(0, 12);
  const rows: [string, string][] = [
    ['role', e.role.join(', ')],
    ['address', e.address || 'by DHCP, from the pool'],
    ['loader', `${e.loaders.join(' or ')}${platformOf(e.lastBoot)}`],
    ['image', e.image && `${short(e.image)}, kernel ${e.kernel}`],
    [
      'overlay',
      e.bootSet && `${short(e.overlay.digest)}, ${e.overlay.files} files, ${e.overlay.bytes} bytes`,
    ],
    ['boot set', short(e.bootSet)],
    ['arguments', e.arguments.join(' ')],
    [
      'port',
      e.now?.port === undefined ? '' : `${e.now.port}, in a role file: id: {port: '${e.now.port}'}`,
    ],
    ['now', e.now ? `${e.now.stage}${e.now.since ? ` since ${e.now.since}` : ''}${nowSet(e)}` : ''],
    ['', e.now?.stage === 'silent' ? silence : ''],
  ];
  const head = [e.name, e.name && e.mac ? `(${e.mac})` : e.mac]
    .filter(Boolean)
    .join(' ')
    .concat(`: ${e.known}`);
  const body = rows.filter(([, text]) => text !== '').map(([k, v]) => `  ${k.padEnd(10)} ${v}`);
  const refusal = e.reason ? `  boots nothing:\n    ${e.reason.replaceAll('\n', '\n    ')}` : '';
  return [head, ...(e.name ? body : []), refusal, renderLastBoot(e.lastBoot)]
    .filter((line) => line !== '')
    .join('\n');
}

const silence =
  'no report of it arrives: its power is off, its network is cut or it hangs; its console shows which';

function nowSet({ now, bootSet }: Explanation): string {
  if (!now?.bootSet || !bootSet) return '';
  return now.bootSet === bootSet
    ? ', with this boot set'
    : `, with boot set ${now.bootSet.slice(0, 12)}: a reboot changes it`;
}
