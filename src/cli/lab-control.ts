import { startControl } from '../lab/control.ts';
import type { Scenario } from '../lab/scenario.ts';
import { describeLab } from '../lab/supervisor.ts';
import { say } from './command.ts';

/**
 * Lets `rolecall lab status`, `console` and the others mean this lab while `work` runs. `lookAround` says how to
 * log in and waits until the operator ends it.
 */
export async function withControl<T>(
  lab: Scenario,
  work: (lookAround: (state: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  let phase: 'running' | 'ending' = 'running';
  let end: () => void = () => {};
  const toldToEnd = new Promise<void>((resolve) => {
    end = resolve;
  });
  const control = await startControl(lab.lab.folder.root, {
    report: async () => {
      const told = await describeLab(lab.lab);
      const { guests } = lab.lab.plan;
      return { phase, step: '', guests, waiting: [], problem: '', ...told };
    },
    guest: async (verb, node) => lab.lab[verb](await lab.lab.guestName(node)),
    link: async (node, network, state) => lab.link(node, network, state),
    down: () => end(),
  });
  try {
    return await work(async (state) => {
      process.once('SIGINT', end).once('SIGTERM', end);
      say(await renderLookAround(lab, state));
      await toldToEnd;
    });
  } finally {
    phase = 'ending';
    control.closeAllConnections();
    control.close();
  }
}

async function renderLookAround(lab: Scenario, state: string): Promise<string> {
  const { consoleUrl, rows, ports } = await describeLab(lab.lab);
  const logins = rows.flatMap(({ name, address }) => {
    const port = ports[address]?.find((p) => p.service === 'ssh')?.host;
    if (port === undefined) return [];
    const trust = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null';
    return [`  ssh -i ${lab.lab.folder.key} -p ${port} ${trust} root@127.0.0.1    # ${name}`];
  });
  return [
    '\nThe machines stay on. Look around:',
    `  ${consoleUrl}`,
    ...logins,
    `  rolecall --state ${state} lab status    # also console, kill, start, reboot`,
    'Ctrl-C, or rolecall lab down, ends them.',
  ].join('\n');
}
