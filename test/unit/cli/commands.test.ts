import { Command } from 'commander';
import { expect, it } from 'vitest';
import { loadCommands } from '../../../src/cli/commands.ts';

const nowhere = () => ({ site: '', state: '', json: false, supervised: false });

it.each([
  ['check', ['check']],
  ['--json --site build check', ['check']],
  ['--site=x --state y build --plan', ['build']],
  ['node ls', ['node']],
])('of %s only that command is loaded', async (line, names) => {
  expect(await namesOf(line.split(' '))).toEqual(names);
});

it.each([[''], ['--help'], ['help build'], ['biuld'], ['--odd check'], ['toString'], ['--site']])(
  'of "%s" all are',
  async (line) => {
    expect(await namesOf(line.split(' '))).toEqual(await namesOf());
  },
);

it('every command has the name under which it is loaded', async () => {
  const all = await namesOf();
  expect(all).toContain('serve');
  for (const name of all) expect(await namesOf([name])).toEqual([name]);
});

async function namesOf(words?: readonly string[]): Promise<readonly string[]> {
  const program = new Command();
  for (const register of await loadCommands(words)) register(program, nowhere);
  return program.commands.map((command) => command.name());
}
