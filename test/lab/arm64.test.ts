import { expect, it } from 'vitest';
import { labScenario, saysOn } from './harness/lab-under-test.ts';
import { until } from './harness/processes.ts';

// One machine by PXE, one whose firmware knows HTTP Boot alone.
const hardware = {
  web1: { processor: 'arm64', bootBy: 'pxe' },
  web2: { processor: 'arm64', bootBy: 'http' },
} as const;

it('an arm64 machine loads GRUB and says on its screen why it boots nothing yet', async () => {
  await labScenario({ name: 'arm64', only: ['web1', 'web2'], hardware }, async (lab) => {
    const reason = 'this is an arm64 machine, and images are made for amd64 only';
    for (const [name, via] of [
      ['web1', 'tftp'],
      ['web2', 'http'],
    ] as const) {
      await until(`${name} says why`, 150, () => saysOn(lab, name, `rolecall: ${reason}`));
      const events = await lab.events(name);
      expect(events).toContainEqual(
        expect.objectContaining({ kind: 'refused', reason: expect.stringContaining(reason) }),
      );
      const loader = events.find((event) => event.kind === 'loader-sent');
      expect(loader).toMatchObject({ file: expect.stringContaining('grubaa64.efi'), via });
      // It waits at GRUB and asks again: the day there is an image, it boots.
      await until(`${name} asks again`, 30, () => saysOn(lab, name, 'rolecall: asking again'));
    }
  });
});
