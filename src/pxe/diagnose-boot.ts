import { architectureOf, type BootStep, bootSteps, isWhole, sendsLoader } from './boot-steps.ts';
import { architectures } from './loader-by-client.ts';
import type { WirePacket } from './wire-packet.ts';

/** How a boot goes, in an operator's words. */
export interface Diagnosis {
  /**
   * `ready`, `waiting` while the next step may still come, `stuck` when it is overdue, `failed` where
   * the machine was told no or says itself that it failed.
   */
  readonly state: 'ready' | 'waiting' | 'stuck' | 'failed';
  /** What was seen, in one sentence. */
  readonly verdict: string;
  /** What it may be and what to do; empty where nothing is wrong. */
  readonly hint: string;
  /** When `waiting` becomes `stuck`, milliseconds since the epoch. */
  readonly dueAt: number;
}

/** What a rule says of a sequence that it knows. */
interface Finding {
  readonly verdict: string;
  readonly hint: string;
  /** Since when it has stood so; milliseconds since the epoch. */
  readonly since: number;
  /** Milliseconds that the next step may take. */
  readonly patience: number;
  /** Where it is not a matter of time. */
  readonly state?: 'ready' | 'failed';
}

type Step<K extends BootStep['kind']> = Extract<BootStep, { kind: K }>;

/** The boot so far, as the rules look at it. */
interface Boot {
  readonly steps: readonly BootStep[];
  readonly last: BootStep;
}

/** A sequence that is recognised by its end. */
type Rule = (boot: Boot) => Finding | undefined;

/** What the packets of a machine's last boot show at `now`, milliseconds since the epoch. */
export function diagnoseBoot(packets: readonly WirePacket[], now: number): Diagnosis {
  const steps = bootSteps(packets);
  const last = steps.at(-1);
  if (!last) return nothingSeen;
  const boot = { steps, last };
  for (const rule of rules) {
    const found = rule(boot);
    if (!found) continue;
    const { verdict, hint, since, patience } = found;
    const dueAt = since + patience;
    const state = found.state ?? (now >= dueAt ? 'stuck' : 'waiting');
    return { state, verdict, hint: state === 'ready' ? '' : hint, dueAt };
  }
  return {
    ...{ state: 'waiting', verdict: 'it boots', hint: '' },
    dueAt: Number.POSITIVE_INFINITY,
  };
}

const nothingSeen: Diagnosis = {
  state: 'stuck',
  verdict: 'no DISCOVER of it was seen',
  hint: 'is it switched on, does its firmware boot from the network, and by the card with this MAC? Is the cable in the boot network, the switch port in its VLAN? Behind a router: does the relay (ip helper-address) point to this server?',
  dueAt: Number.NEGATIVE_INFINITY,
};

/** Milliseconds. */
const seconds = 1000;

/** The end of a boot first: the first rule that knows the sequence says what it is. */
const rules: readonly Rule[] = [
  saidFailed,
  isReady,
  gaveBack,
  overlayWithoutReady,
  rootWithoutOverlay,
  rootCutShort,
  rootWithoutReport,
  linuxWithoutRoot,
  kernelCutShort,
  kernelWithoutInitramfs,
  handedOverWithoutReport,
  scriptRefused,
  scriptWithoutKernel,
  loaderWithoutScript,
  loaderHearsNoOffer,
  loaderGetsNoOffer,
  secondStageRefused,
  loaderRefused,
  transferBroken,
  loaderWithoutSign,
  loaderNotFetched,
  tookOtherServer,
  romWantsOneOffer,
  bootServerAsked,
  addressRefused,
  acknowledgedWithoutLoader,
  offerNotTaken,
  askedWithoutAnswer,
];

function saidFailed({ steps }: Boot): Finding | undefined {
  const report = lastReport(steps);
  if (report?.stage !== 'failed') return undefined;
  const hint = /digest|sha/i.test(report.reason)
    ? 'what arrived is not what was sent: rolecall image verify looks at the store; else look at the memory and the cables'
    : 'its console has more: the last lines before the failure';
  return {
    ...settled('failed', report.at),
    verdict: `it says that it failed: ${report.reason}`,
    hint,
  };
}

function isReady({ steps }: Boot): Finding | undefined {
  const report = lastReport(steps);
  if (report?.stage !== 'ready') return undefined;
  return { ...settled('ready', report.at), verdict: 'it is ready', hint: '' };
}

function gaveBack({ last, steps }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked' || last.type !== 'release') return undefined;
  // Some UEFI firmware releases before it starts the loader that it has.
  if (steps.some(sendsLoader)) return undefined;
  return {
    ...{ since: last.at, patience: Number.POSITIVE_INFINITY },
    verdict:
      'it gave its address back: firmware that goes on to another way to boot, or rolecall probe',
    hint: '',
  };
}

function overlayWithoutReady({ steps }: Boot): Finding | undefined {
  const report = lastReport(steps);
  if (report?.stage !== 'overlay') return undefined;
  return {
    ...{ since: report.at, patience: 180 * seconds },
    verdict: 'its overlay is unpacked and its role is not ready',
    hint: "a unit of its role does not come up: its console or journalctl -b on it says which; the role's ready command decides",
  };
}

function rootWithoutOverlay({ steps }: Boot): Finding | undefined {
  const report = lastReport(steps);
  if (report?.stage !== 'root') return undefined;
  return {
    ...{ since: report.at, patience: 60 * seconds },
    verdict: 'its root is mounted and its overlay is not unpacked',
    hint: 'its console says what it waits for',
  };
}

function rootCutShort({ steps }: Boot): Finding | undefined {
  const root = steps.findLast((step) => isHttp(step) && step.what === 'root');
  if (root?.kind !== 'http-answered' || isWhole(root.exchange)) return undefined;
  return {
    ...{ since: root.at, patience: 20 * seconds },
    verdict: `its root broke off after ${root.exchange.bytes ?? 0} bytes`,
    hint: 'it may have too little memory for its root (the image takes its size in RAM, and as much to work in), or the link is bad',
  };
}

function rootWithoutReport({ steps }: Boot): Finding | undefined {
  const root = steps.findLast((step) => isHttp(step) && step.what === 'root');
  if (!root) return undefined;
  if (root.kind === 'http-asked') {
    return {
      ...{ since: root.at, patience: 300 * seconds },
      verdict: 'it fetches its root',
      hint: 'so slow a download is a link at 10 or 100 Mbit/s, or one with losses: ethtool on the switch and on the server',
    };
  }
  return {
    ...{ since: root.at, patience: 90 * seconds },
    verdict: 'it has its root and says nothing since',
    hint: 'too little memory to keep it, or a panic: its console says so',
  };
}

function linuxWithoutRoot({ steps }: Boot): Finding | undefined {
  const report = lastReport(steps);
  if (report?.stage !== 'kernel') return undefined;
  return {
    ...{ since: report.at, patience: 30 * seconds },
    verdict: 'Linux runs on it and does not ask for its root',
    hint: 'its console says why; an address that another machine has too makes answers go astray',
  };
}

function kernelCutShort({ last }: Boot): Finding | undefined {
  if (last.kind !== 'http-answered' || (last.what !== 'kernel' && last.what !== 'initramfs')) {
    return undefined;
  }
  if (isWhole(last.exchange) || last.exchange.method === 'HEAD') return undefined;
  return {
    ...{ since: last.at, patience: 20 * seconds },
    verdict: `the ${last.what} broke off after ${last.exchange.bytes ?? 0} bytes`,
    hint: 'the loader gave up or has too little memory; with a card that its own drivers do not know well, try loader: firmware in the role file',
  };
}

function kernelWithoutInitramfs({ steps }: Boot): Finding | undefined {
  if (
    !fetched(steps, 'kernel') ||
    steps.some((step) => isHttp(step) && step.what === 'initramfs')
  ) {
    return undefined;
  }
  return {
    ...{ since: fetched(steps, 'kernel')?.at ?? 0, patience: 20 * seconds },
    verdict: 'it has its kernel and does not fetch the initramfs',
    hint: "the loader stopped: its screen says why. Under Secure Boot a kernel that no key of the firmware's signed is refused here",
  };
}

function handedOverWithoutReport({ steps }: Boot): Finding | undefined {
  const initramfs = fetched(steps, 'initramfs');
  if (!initramfs || lastReport(steps)) return undefined;
  return {
    ...{ since: initramfs.at, patience: 60 * seconds },
    verdict: 'it has kernel and initramfs, and Linux says nothing',
    hint: "look at its console (console: in the role file names the port; a wrong one shows nothing). A panic is too little memory; silence on the network is a card whose driver the image lacks, or a boot by another card than this MAC's",
  };
}

function scriptRefused({ steps }: Boot): Finding | undefined {
  const script = steps.findLast((step) => isHttp(step) && step.what === 'script');
  const refused = script?.kind === 'http-answered' ? script.exchange.refused : undefined;
  if (!script || refused === undefined) return undefined;
  return {
    ...settled('failed', script.at),
    verdict: `it was refused: ${refused}`,
    hint: 'it asks again every 30 s; rolecall check and rolecall explain say what its role file lacks',
  };
}

function scriptWithoutKernel({ steps, last }: Boot): Finding | undefined {
  const script = steps.findLast((step) => step.kind === 'http-answered' && step.what === 'script');
  if (script?.kind !== 'http-answered') return undefined;
  const status = script.exchange.status ?? 0;
  if (status >= 400) {
    return {
      ...{ since: script.at, patience: 10 * seconds },
      verdict: `its request for the boot script was answered ${status}`,
      hint: "the server's log has the reason",
    };
  }
  const isFetching = last.kind === 'http-asked' && last.what !== 'script';
  return {
    ...{ since: last.at, patience: isFetching ? 120 * seconds : 20 * seconds },
    verdict: isFetching
      ? `it fetches its ${last.what}`
      : 'it has its boot script and does not fetch its kernel',
    hint: isFetching
      ? 'so slow a download is a bad link, or a loader that does not know its card well: loader: firmware in the role file'
      : 'the loader stopped: its screen says why',
  };
}

function loaderWithoutScript({ steps, last }: Boot): Finding | undefined {
  if (last.kind === 'http-asked' && last.what === 'script') {
    return {
      ...{ since: last.at, patience: 20 * seconds },
      verdict: 'it asks for its boot script, which is not yet answered',
      hint: "the server's log says what it is busy with",
    };
  }
  const ack = steps.findLast((s) => s.kind === 'dhcp-answered' && s.speaker === 'loader');
  if (ack?.kind !== 'dhcp-answered' || ack.type !== 'ack') return undefined;
  return {
    ...{ since: ack.at, patience: 15 * seconds },
    verdict: 'the loader has its address and asks for no boot script',
    hint: `it fetches ${ack.file || 'the script'} over HTTP: is the TCP port open in the firewall of this server and on the way?`,
  };
}

const portFast =
  'a switch port that runs spanning tree blocks for 30 s after its link comes up, and the loader starts the link anew: set it to port fast (edge), and LACP on it to fallback or off';

function loaderHearsNoOffer({ steps, last }: Boot): Finding | undefined {
  const toLoader = steps.filter((s) => s.kind === 'dhcp-answered' && s.speaker === 'loader');
  const answered = toLoader.at(-1);
  if (answered?.kind !== 'dhcp-answered' || answered.type !== 'offer') return undefined;
  if (last.kind === 'dhcp-asked' && last.type === 'request') return undefined;
  return {
    ...{ since: toLoader[0]?.at ?? answered.at, patience: 10 * seconds },
    verdict: 'the loader asks DHCP and does not take the offer: it does not hear it',
    hint: `${portFast}. Where that is not it: loader: firmware in the role file, which keeps the driver of the firmware`,
  };
}

function loaderGetsNoOffer({ last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked' || last.speaker !== 'loader') return undefined;
  return {
    ...{ since: last.at, patience: 5 * seconds },
    verdict: 'the loader asks DHCP and gets no answer',
    hint: "rolecall node show and the server's log say why it is not answered",
  };
}

function secondStageRefused({ steps, last }: Boot): Finding | undefined {
  if (last.kind !== 'tftp-refused' || !steps.some(sendsLoader)) return undefined;
  return {
    ...{ since: last.at, patience: 15 * seconds },
    verdict: `the loader was sent, asked for ${last.file} and was refused: ${last.message}`,
    hint: `${afterLoader(steps)}`,
  };
}

function loaderRefused({ last, steps }: Boot): Finding | undefined {
  if (last.kind !== 'tftp-refused') return undefined;
  const offered = steps.findLast((s) => s.kind === 'dhcp-answered' && s.file !== '');
  const file = offered?.kind === 'dhcp-answered' ? offered.file : '';
  const other = file !== '' && last.file.replace(/^\/+/, '') !== file;
  return {
    ...{ since: last.at, patience: 5 * seconds },
    verdict: `its request for ${last.file} was refused: ${last.message}`,
    hint: other
      ? `it was told ${file}: another DHCP server tells it another name, rolecall probe finds it`
      : 'rolecall image ls shows whether the image has its loaders; rolecall build makes one that has',
  };
}

function transferBroken({ steps }: Boot): Finding | undefined {
  const ended = steps.findLast((s) => s.kind === 'tftp-ended');
  if (ended?.kind !== 'tftp-ended' || steps.some(sendsLoader)) return undefined;
  const { file, outcome, bytes, size, blockSize, reason } = ended.end;
  if (outcome === 'delivered') return undefined;
  if (outcome === 'cancelled' && steps.at(-1) !== ended) return undefined;
  const since = firstOf(steps, (s) => s.kind === 'tftp-asked');
  if (outcome === 'cancelled') {
    return {
      ...{ since, patience: 20 * seconds },
      verdict: `it asked for ${file} and gave up before the first block${reason && `: ${reason}`}`,
      hint: 'the answer does not reach it: TFTP answers from another port than 69, which a firewall may drop (tftp: single-port in the network of site.yaml), or a wrong route back',
    };
  }
  const block = Math.ceil(bytes / blockSize);
  const blocks = Math.ceil(size / blockSize);
  const wide = block === 0 && blockSize > 512;
  return {
    ...{ since, patience: 10 * seconds },
    verdict: `TFTP of ${file} broke off at block ${block} of ${blocks}: ${reason}`,
    hint: wide
      ? `no block of ${blockSize} bytes arrived: a link on the way carries no frame of ${blockSize + 32} bytes (look at the MTU of tunnels and VLANs), or a firewall drops TFTP's data ports (tftp: single-port in the network of site.yaml)`
      : 'it arrived until then: a link with losses, a loader that the machine has no memory for, or somebody switched it off',
  };
}

function loaderWithoutSign({ steps }: Boot): Finding | undefined {
  const sent = steps.findLast(sendsLoader);
  if (!sent) return undefined;
  const after = steps.at(-1)?.at ?? sent.at;
  return {
    ...{ since: Math.max(sent.at, after), patience: 45 * seconds },
    verdict: 'the loader was sent, and nothing came from the machine after it',
    hint: afterLoader(steps),
  };
}

function loaderNotFetched({ last }: Boot): Finding | undefined {
  if (last.kind === 'http-asked' || last.kind === 'http-answered') {
    const { method, status, bytes } = last.exchange;
    const answered = last.kind === 'http-answered';
    return {
      ...{ since: last.at, patience: answered ? 15 * seconds : 60 * seconds },
      verdict: answered
        ? `its last request was ${method} for its ${last.what}, answered ${status} with ${bytes ?? 0} bytes`
        : `it fetches its ${last.what}`,
      hint: 'firmware that asks by HEAD and does not GET has no memory for a loader of that size, or takes no plain HTTP: allow it in its setup (HTTP Boot, TLS)',
    };
  }
  if (last.kind !== 'tftp-asked' && last.kind !== 'tftp-agreed') return undefined;
  return {
    ...{ since: last.at, patience: 60 * seconds },
    verdict: 'it fetches its loader over TFTP',
    hint: 'TFTP with losses is slow: look at the link; HTTP Boot, where the firmware has it, is faster',
  };
}

function tookOtherServer({ steps, last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked' || last.type !== 'request' || last.port === 4011) return undefined;
  const offer = steps.findLast((s) => s.kind === 'dhcp-answered' && s.type === 'offer');
  const own = offer?.kind === 'dhcp-answered' ? offer : undefined;
  if (last.serverId === undefined || !own || own.serverId === last.serverId) return undefined;
  // Beside a server that gives the addresses this is as it should be.
  if (!own.givesAddress) return undefined;
  return {
    ...{ since: last.at, patience: 5 * seconds },
    verdict: `two servers made it an offer, and it took that of the DHCP server ${last.serverId}`,
    hint: `turn that one off on this segment, or let it give the addresses alone: dhcp: proxy in the network of site.yaml. ip neighbour show ${last.serverId} shows its MAC`,
  };
}

function romWantsOneOffer({ steps }: Boot): Finding | undefined {
  const offer = steps.findLast((s) => s.kind === 'dhcp-answered' && s.type === 'offer');
  if (offer?.kind !== 'dhcp-answered' || offer.givesAddress) return undefined;
  if (steps.some((s) => s.kind.startsWith('tftp') || s.kind.startsWith('http'))) return undefined;
  if (steps.some((s) => s.kind === 'dhcp-asked' && s.port === 4011)) return undefined;
  const took = steps.some((s) => s.kind === 'dhcp-asked' && s.type === 'request');
  return {
    ...{ since: firstOf(steps, (s) => s.kind === 'dhcp-answered'), patience: 12 * seconds },
    verdict: took
      ? 'the boot offer was sent, it took its address from the other DHCP server, and asked nothing on port 4011'
      : 'the boot offer was sent; no REQUEST came, and nothing on port 4011',
    hint: took
      ? 'this ROM wants one full offer: say dhcp: server in the network of site.yaml, or use HTTP Boot'
      : 'does the other DHCP server give it an address at all? If so, this ROM wants one full offer: dhcp: server in the network of site.yaml, or HTTP Boot',
  };
}

function bootServerAsked({ last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked' && last.kind !== 'dhcp-answered') return undefined;
  if (last.port !== 4011) return undefined;
  return last.kind === 'dhcp-asked'
    ? {
        ...{ since: last.at, patience: 5 * seconds },
        verdict: 'it asked on port 4011 and got no answer',
        hint: "the server's log says why",
      }
    : {
        ...{ since: last.at, patience: 15 * seconds },
        verdict: `it was told ${last.file || 'its boot file'} on port 4011 and does not fetch it`,
        hint: 'is UDP port 69 of this server open in the firewall? With a ROM that starts nothing so: dhcp: server in the network of site.yaml, or HTTP Boot',
      };
}

function addressRefused({ last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-answered' || last.type !== 'nak') return undefined;
  return {
    ...{ since: last.at, patience: 30 * seconds },
    verdict: 'the address that it asked for was refused',
    hint: 'firmware that knows its trade asks for another; one that does not needs to be switched off and on',
  };
}

function acknowledgedWithoutLoader({ last, steps }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-answered' || last.type !== 'ack' || last.speaker === 'os')
    return undefined;
  const url = /^https?:/.test(last.file);
  const relayed = last.file === '';
  return {
    ...{ since: last.at, patience: 15 * seconds },
    verdict: relayed
      ? 'it has its address, and was told of nothing to boot'
      : `it has its address and does not ask for its loader ${last.file}`,
    hint: relayed
      ? `${platformOf(steps)} has no loader here`
      : `is ${url ? 'the TCP port of that URL' : 'UDP port 69'} of this server open in the firewall, and has the machine a route to it (gateway: of its network)? Does another DHCP server tell it something else to boot? rolecall probe finds it`,
  };
}

function offerNotTaken({ steps, last }: Boot): Finding | undefined {
  const offer = steps.findLast((s) => s.kind === 'dhcp-answered' && s.type === 'offer');
  if (!offer || (last.kind === 'dhcp-asked' && last.type === 'request')) return undefined;
  return {
    ...{ since: firstOf(steps, (s) => s.kind === 'dhcp-answered'), patience: 12 * seconds },
    verdict: 'an offer was sent, and it does not take it',
    hint: 'the offer does not reach it (a firewall or DHCP snooping on the switch: trust the port of this server; behind a relay: the way back to it), or it got a better one from another DHCP server: rolecall probe finds it',
  };
}

function askedWithoutAnswer({ steps, last }: Boot): Finding | undefined {
  if (last.kind !== 'dhcp-asked') return undefined;
  return {
    ...{ since: firstOf(steps, (s) => s.kind === 'dhcp-asked'), patience: 5 * seconds },
    verdict: 'it asks DHCP and gets no answer from here',
    hint: "the server's log says why: a machine that site.yaml ignores (unknown: ignore), a full pool, no loader for it, a network that is not served",
  };
}

/** What it may be when a loader runs and says nothing, or does not run at all. */
function afterLoader(steps: readonly BootStep[]): string {
  const driver = `loader: firmware in the role file, where the loader's own driver does not know the card`;
  const secure =
    'Secure Boot, which refuses a loader without a signature (secureBoot: true in site.yaml, or turn it off in the setup)';
  return firmwareOf(steps) === 'uefi'
    ? `${secure}; or ${driver}; or ${portFast}`
    : `${driver}; or ${portFast}`;
}

function firmwareOf(steps: readonly BootStep[]): 'bios' | 'uefi' | undefined {
  return architectures[architectureOf(steps) ?? -1]?.firmware;
}

function platformOf(steps: readonly BootStep[]): string {
  return architectures[architectureOf(steps) ?? -1]?.name ?? 'such a machine';
}

function isHttp(step: BootStep): step is Step<'http-asked'> | Step<'http-answered'> {
  return step.kind === 'http-asked' || step.kind === 'http-answered';
}

function fetched(steps: readonly BootStep[], what: 'kernel' | 'initramfs'): BootStep | undefined {
  return steps.findLast(
    (s) => s.kind === 'http-answered' && s.what === what && isWhole(s.exchange),
  );
}

function lastReport(steps: readonly BootStep[]) {
  const stages = ['kernel', 'root', 'overlay', 'ready', 'failed'];
  for (const step of steps.toReversed()) {
    const report = step.kind === 'http-answered' ? step.exchange.report : undefined;
    if (report && stages.includes(report.stage)) return { ...report, at: step.at };
  }
  return undefined;
}

function firstOf(steps: readonly BootStep[], is: (step: BootStep) => boolean): number {
  return steps.find(is)?.at ?? 0;
}

function settled(state: 'ready' | 'failed', since: number) {
  return { state, since, patience: 0 } as const;
}
