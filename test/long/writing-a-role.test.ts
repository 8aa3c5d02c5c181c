import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runProgram } from '../../src/system/run-program.ts';
import { images, labScenario } from '../lab/harness/lab-under-test.ts';
import { until } from '../lab/harness/processes.ts';

const top = resolve(import.meta.dirname, '../..');
const page = await readFile(join(top, 'docs/writing-a-role.md'), 'utf8');

/** What a section of the page has its reader paste. */
function pastedFrom(heading: string): string {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const blocks = [...section.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  if (blocks.length === 0) throw new Error(`the page has nothing to paste under ${heading}`);
  return blocks.join('');
}

let state = '';
beforeAll(async () => {
  state = await mkdtemp(join(tmpdir(), 'writing-a-role-'));
  // An image of its own: with another list of packages the lab's build would begin anew each time.
  // Packages that were downloaded before need not be downloaded again.
  await cp(join(images, 'apt-cache'), join(state, 'apt-cache'), { recursive: true }).catch(
    () => {},
  );
});
afterAll(() => rm(state, { recursive: true, force: true }));

/** Pastes into a shell in the site's folder. */
async function paste(site: string, heading: string): Promise<string> {
  const { stdout } = await runProgram('sh', ['-eu', '-c', pastedFrom(heading)], {
    cwd: site,
    env: {
      ...process.env,
      PATH: `${join(top, 'bin')}${delimiter}${process.env.PATH ?? ''}`,
      ROLECALL_STATE: state,
    },
  });
  return stdout;
}

/** What memcached says, asked through a port of this machine. */
async function ask(port: number, words: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(20_000, () => socket.destroy(new Error('memcached does not answer')));
  socket.write(`${words}\r\nquit\r\n`);
  return text(socket);
}

it('the role of docs/writing-a-role.md is pasted, built and booted, and follows an edit', async () => {
  const start = Date.now();
  const seconds = () => Math.round((Date.now() - start) / 1000);
  let built = 0;
  await labScenario(
    {
      name: 'writing-a-role',
      images: state,
      // The site of the page.
      site: join(import.meta.dirname, '../../examples/lab'),
      only: ['web2'],
      edit: async (site) => {
        await paste(site, 'Write it');
        const looked = await paste(site, 'Look at it');
        expect(looked).toContain('cache: keeps in RAM what others have computed (memcached)');
        expect(looked).toContain('port = 11211 (integer, at least 1; at most 65535)');
        const given = await paste(site, 'Give it to a machine');
        expect(given).toContain('web → cache');
        expect(given).toContain('-l 10.77.0.12\n-p 11211\n-m 64\n');
        built = seconds();
      },
    },
    async (lab) => {
      const { role } = await lab.waitStage('web2', 'ready');
      expect(role).toEqual(['cache']);
      const ready = seconds();
      const port = await lab.port('web2', 11211);
      expect(await ask(port, 'set a 0 0 5\r\nhello\r\nget a')).toContain('hello');
      expect(await ask(port, 'stats settings')).toContain('maxbytes 67108864');
      // What the image brings besides runs on nodes of other roles only.
      const open = await lab.ssh('web2', "ss -Hltn | awk '{ print $4 }'");
      expect(open.trim().split('\n').sort()).toEqual(['0.0.0.0:22', '10.77.0.12:11211', '[::]:22']);

      const bootId = () => lab.ssh('web2', 'cat /proc/sys/kernel/random/boot_id');
      const before = await bootId();
      await paste(lab.site, 'Change it while it runs');
      await until('memcached has the new memory', 120, async () =>
        (await ask(port, 'stats settings').catch(() => '')).includes('maxbytes 134217728'),
      );
      expect(await bootId()).toBe(before);
      process.stderr.write(
        `lab: a role from nothing: image built after ${built} s, ready after ${ready} s, the edit in force after ${seconds()} s\n`,
      );
    },
  );
});
