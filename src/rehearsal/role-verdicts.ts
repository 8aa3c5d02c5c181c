import type { ImageTests } from '../images/image-tests.ts';
import { wantedRoles } from '../images/judge-image.ts';
import type { Fleet } from '../roles/fleet.ts';
import type { RoleRun } from './run-image-test.ts';

/** The verdict on each role of an image that was to be shown: it failed where it failed on any machine. */
export function verdictsOf(fleet: Fleet, image: string, runs: readonly RoleRun[]): ImageTests {
  const at = new Date().toISOString();
  const roles = wantedRoles(fleet, image).flatMap(({ name, digest }) => {
    const own = runs.filter((run) => run.role === name);
    if (own.length === 0) return [];
    const bad = own.find((run) => run.problem !== '');
    const outcome = !bad ? 'passed' : bad.guest === '' ? 'not tried' : 'failed';
    const detail = bad ? bad.problem : own.map((run) => run.guest).join(', ');
    return [[name, { outcome, at, role: digest, detail }] as const];
  });
  return { format: 1, site: fleet.site.name, roles: Object.fromEntries(roles) };
}
