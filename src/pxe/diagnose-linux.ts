import {
  type Boot,
  type Finding,
  fetched,
  isHttp,
  lastReport,
  type Rule,
  seconds,
  settled,
} from './boot-finding.ts';
import { isWhole, sendsLoader } from './boot-steps.ts';

/** What is known of a boot from the kernel on. The end of a boot first. */
export const linuxRules: readonly Rule[] = [
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
];

function saidFailed({ steps }: Boot): Finding | undefined {
  const report = lastReport(steps);
  if (report?.stage !== 'failed') return undefined;
  return {
    ...settled('failed', report.at),
    verdict: `it says that it failed: ${report.reason}`,
    hint: hintOfFailure(steps, report.reason),
  };
}

function hintOfFailure(steps: Boot['steps'], reason: string): string {
  const runs = steps.some(
    (step) => step.kind === 'http-answered' && step.exchange.report?.stage === 'overlay',
  );
  if (runs) {
    return 'its systemd runs, and the ready command of the role named before the colon fails (rolecall role show ROLE has it): log in, journalctl -b says why';
  }
  return /digest|sha/i.test(reason)
    ? 'what arrived is not what was sent: rolecall image verify looks at the store; else look at the memory and the cables'
    : 'its console has more: the last lines before the failure';
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
