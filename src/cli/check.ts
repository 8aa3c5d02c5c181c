import type { Problem, Result } from '../errors.ts';
import { checkImageDefinitions } from '../images/load-image-definition.ts';
import { count, renderProblems } from '../render-problems.ts';
import { warnings } from '../roles/check-fleet.ts';
import type { Fleet } from '../roles/fleet.ts';
import { loadFleet, withLines } from '../roles/load-fleet.ts';
import { sortProblems } from '../site/parse-site.ts';
import type { Site } from '../site/site.ts';
import { type RegisterCommand, say } from './command.ts';
import { imageWarnings } from './image-warnings.ts';

/** `rolecall check`: reads everything in the site folder and says every problem at once. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('check')
    .description(
      'read the whole site and say every problem at once; exit code 2 where there is one',
    )
    .action(async () => {
      const { site: dir, state, json } = globals();
      const [fleet, images] = await Promise.all([loadFleet(dir), checkImageDefinitions(dir)]);
      const result = inOrder(withProblems(fleet, images));
      if (!result.ok) process.exitCode = 2;
      const warned = result.ok
        ? [
            ...sortProblems(await withLines(dir, warnings(result.value))),
            ...(await imageWarnings(result.value, state)),
          ]
        : [];
      if (!json) {
        say(renderCheck(result, warned));
        return;
      }
      // Whatever stands in the array is wrong; a warning is not, and goes to standard error.
      say(JSON.stringify(result.ok ? [] : result.problems, null, 2));
      if (warned.length > 0) process.stderr.write(`${renderWarnings(warned)}\n`);
    });
};

function withProblems(fleet: Result<Fleet>, more: readonly Problem[]): Result<Fleet> {
  if (more.length === 0) return fleet;
  return { ok: false, problems: [...(fleet.ok ? [] : fleet.problems), ...more] };
}

function inOrder(result: Result<Fleet>): Result<Fleet> {
  return result.ok ? result : { ok: false, problems: sortProblems(result.problems) };
}

/** What `check` prints for people. */
function renderCheck(result: Result<Fleet>, warned: readonly Problem[]): string {
  if (!result.ok) {
    const number = count(result.problems.length, 'problem');
    return `${renderProblems(result.problems)}\n\n${number}: none of this reaches a machine`;
  }
  const last = `${describeSite(result.value.site)}: ok`;
  return warned.length === 0 ? last : `${renderWarnings(warned)}\n\n${last}`;
}

function renderWarnings(warned: readonly Problem[]): string {
  return renderProblems(warned.map((w) => ({ ...w, message: `warning: ${w.message}` })));
}

/** `site tokyo: 5 nodes (3 lb, 2 web), 2 networks, 1 service`. */
export function describeSite(site: Site): string {
  const nodes = [...site.nodes.values()];
  const roles = [...new Set(nodes.flatMap((n) => n.roles))].sort();
  const byRole = roles.map((r) => `${nodes.filter((n) => n.roles.includes(r)).length} ${r}`);
  const parts = [
    count(nodes.length, 'node') + (byRole.length > 0 ? ` (${byRole.join(', ')})` : ''),
    count(site.networks.size, 'network'),
    ...(site.services.size > 0 ? [count(site.services.size, 'service')] : []),
    ...(site.volumes.size > 0 ? [count(site.volumes.size, 'volume')] : []),
  ];
  return `site ${site.name}: ${parts.join(', ')}`;
}
