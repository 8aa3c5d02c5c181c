import { expect, it } from 'vitest';
import type { Scenario } from '../../src/lab/scenario.ts';
import type { Event } from '../../src/state/event.ts';
import { labScenario } from '../lab/harness/lab-under-test.ts';

// Prints what a boot takes: seconds by stage, bytes over the wire, memory that is left. Asserts none of it.

it('one guest, three boots', async () => {
  await labScenario({ name: 'one guest', only: ['web1'] }, async (lab) => {
    let since = Date.now();
    await lab.waitStage('web1', 'ready');
    await tell(lab, 'web1', since);
    for (let boot = 2; boot <= 3; boot += 1) {
      since = Date.now();
      await lab.reboot('web1');
      await lab.waitBoot('web1', since);
      await tell(lab, 'web1', since);
    }
  });
});

it('four guests at once', async () => {
  await labScenario({ name: 'four guests', spares: 2, uefi: ['web2'] }, async (lab) => {
    const since = Date.now();
    const names = lab.lab.plan.guests.map((guest) => guest.name);
    expect(names).toHaveLength(4);
    await Promise.all(names.map((name) => lab.waitStage(name, 'ready', { seconds: 400 })));
    for (const name of names) await tell(lab, name, since);
  });
});

async function tell(lab: Scenario, node: string, since: number): Promise<void> {
  const events = (await lab.events(node)).filter((event) => event.at >= since);
  const memory = await lab.ssh(node, "awk '/^MemAvailable/ {print int($2 / 1024)}' /proc/meminfo");
  const stages = Object.entries(await lab.stageTimes(node, since)).map(
    ([stage, seconds]) => `${stage} ${seconds.toFixed(1)}`,
  );
  process.stderr.write(
    `boots: ${node}: ${stages.join(', ')} s; ${bytesOf(events)} MiB fetched; ${memory.trim()} MiB of memory left\n`,
  );
}

function bytesOf(events: readonly Event[]): string {
  const bytes = events.reduce(
    (sum, event) =>
      sum + (event.kind === 'blob-sent' || event.kind === 'loader-sent' ? event.bytes : 0),
    0,
  );
  return (bytes / 1024 / 1024).toFixed(1);
}
