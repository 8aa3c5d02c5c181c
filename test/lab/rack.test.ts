import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { spareMac } from '../../src/lab/vm-spec.ts';
import type { Event, Hardware } from '../../src/state/event.ts';
import { labScenario } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

const spare = 'spare-525400770099';

it('a machine that nobody knows waits as a spare, and becomes web3 when it is given a role file', async () => {
  await labScenario({ name: 'rack', spares: 1, only: [spare] }, async (lab) => {
    const waiting = await lab.waitStage(spare, 'ready');
    expect(waiting.role).toEqual(['spare']);
    expect(waiting.mac).toEqual([spareMac(0)]);
    expect(waiting.address).toMatch(/^10\.77\.0\.2[0-4]\d$/);

    const hardware = hardwareOf(await lab.events(spare));
    const [guest] = lab.lab.plan.guests;
    expect(hardware).toMatchObject({
      cpus: guest?.cpus,
      disks: [],
      serial: guest?.serial,
      uuid: guest?.uuid,
      firmware: 'bios',
    });
    expect(hardware.memory).toBeGreaterThan(400);
    expect(hardware.nics.map((nic) => nic.mac)).toEqual([spareMac(0)]);

    const asked = Date.now();
    // No name: web1 and web2 are there, so it is web3.
    const said = await lab.rolecall('node', 'add', '--mac', spareMac(0), '--role', 'web');
    expect(said).toContain('nodes/web3.yaml');
    const roleFile = await readFile(join(lab.site, 'nodes/web3.yaml'), 'utf8');
    expect(roleFile).toContain(spareMac(0));

    await until('the role file is in force', 5, async () =>
      /^web3 +reboot +52:54:\S+ still runs as spare \(ready\); it reboots by itself$/m.test(
        await lab.rolecall('plan'),
      ),
    );

    // Nobody touches the machine: the spare sees its role file and reboots.
    const web3 = await lab.waitBoot('web3', asked);
    expect(web3.role).toEqual(['web']);
    expect(roleFile).toContain(web3.address);
    const page = await lab.http('web3', '/');
    expect(page.status).toBe(200);
    expect(page.body).toContain('web3');
    expect((await lab.ssh('web3', 'hostname')).trim()).toBe('web3');
    const rows = await lab.lab.status();
    expect(rows.map((row) => row.name)).not.toContain(spare);
    process.stderr.write(
      `lab: web3, from its role file: ${JSON.stringify(await lab.stageTimes('web3', asked))}\n`,
    );
  });
});

function hardwareOf(events: readonly Event[]): Hardware {
  const found = events.findLast((event) => event.kind === 'hardware');
  if (found?.kind !== 'hardware') throw new Error('the spare reported no hardware');
  return found.hardware;
}
