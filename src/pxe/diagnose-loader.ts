import {
  type Boot,
  type Finding,
  firmwareOf,
  firstOf,
  isHttp,
  type Rule,
  seconds,
  settled,
} from './boot-finding.ts';
import { type BootStep, sendsLoader } from './boot-steps.ts';

/** What is known of a boot from the fetch of the loader to the script. The end of a boot first. */
export const loaderRules: readonly Rule[] = [
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
];

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

/** What it may be when a loader runs and says nothing, or does not run at all. */
function afterLoader(steps: readonly BootStep[]): string {
  const driver = `loader: firmware in the role file, where the loader's own driver does not know the card`;
  const secure =
    'Secure Boot, which refuses a loader without a signature (secureBoot: true in site.yaml, or turn it off in the setup)';
  return firmwareOf(steps) === 'uefi'
    ? `${secure}; or ${driver}; or ${portFast}`
    : `${driver}; or ${portFast}`;
}
