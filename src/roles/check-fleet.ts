import type { Problem } from '../errors.ts';
import { parseMac } from '../net/mac.ts';
import { suggestion } from '../site/did-you-mean.ts';
import type { Site, SiteNode } from '../site/site.ts';
import { checkData, standbys } from './check-data.ts';
import { checkDisks } from './check-disks.ts';
import { unservedPorts } from './check-ports.ts';
import { checkServices, idleBalancers } from './check-services.ts';
import { checkVolumes } from './check-volumes.ts';
import { baseRole, type Fleet, roleNames, spareNode } from './fleet.ts';
import type { ImageFacts } from './image-facts.ts';
import { checkProgramFiles, checkProgramProblems } from './render-check-programs.ts';
import { pathKey, renderContents } from './render-contents.ts';
import { renderOverlay } from './render-overlay.ts';
import { volumeOfFolder } from './render-volumes.ts';
import type { Role } from './role.ts';
import { checkParams, mergeParams, type ParamFault, type Params } from './role-params.ts';

type Roles = ReadonlyMap<string, Role>;

/**
 * What is wrong between a site and its roles: roles that do not exist, parameters that a role does not
 * take, two roles writing one path, site files that are not there, templates that do not render.
 * Needs no image.
 */
export function checkFleet(fleet: Fleet): readonly Problem[] {
  const { site, roles } = fleet;
  const problems = [...site.nodes.values()].flatMap((node) => [
    ...unknownRoles(node, roles),
    ...strayParams(node, roles),
  ]);
  problems.push(...roleProblems(site, roles), ...paramProblems(fleet), ...checkData(fleet));
  problems.push(
    ...checkServices(site),
    ...checkVolumes(site),
    ...checkProgramProblems(site, fleet.siteTexts),
  );
  // Templates would only stumble over what is already said.
  if (problems.length === 0) {
    const mac = parseMac('02:00:00:00:00:00');
    const spares = mac && site.unknown === 'spare' ? [spareNode('spare', mac)] : [];
    for (const node of [...site.nodes.values(), ...spares]) {
      const contents = renderContents(fleet, node);
      problems.push(...contents.problems, ...checkDisks(site, node, contents));
    }
  }
  return distinct(problems);
}

function roleProblems(site: Site, roles: Roles): readonly Problem[] {
  const unknown = [...site.roleParams.keys()].filter((name) => !roles.has(name));
  return [
    ...(roles.has(baseRole)
      ? []
      : [problem('', '', `there is no role ${baseRole}`, 'every node has it')]),
    ...(roles.has('spare') || site.unknown === 'ignore'
      ? []
      : [problem('site.yaml', 'unknown', 'there is no role spare', 'type unknown: ignore')]),
    ...unknown.map((name) => {
      const hint = suggestion(name, [...roles.keys()], 'roles');
      return problem('site.yaml', `roles.${name}`, `there is no role ${name}`, hint);
    }),
  ];
}

/**
 * What keeps nodes from being rendered onto this image: packages, units or accounts it lacks.
 * Looks at the site's nodes, or at others such as a spare.
 */
export function checkAgainstImage(
  fleet: Fleet,
  facts: ImageFacts,
  nodes: Iterable<SiteNode> = fleet.site.nodes.values(),
): readonly Problem[] {
  return distinct(
    [...nodes].flatMap((node) => {
      const rendered = renderOverlay({ fleet, node, facts });
      return rendered.ok ? [] : rendered.problems;
    }),
  );
}

/** What the operator should know but may want: nothing here keeps a node from booting. */
export function warnings(fleet: Fleet): readonly Problem[] {
  return [
    ...dataInRam(fleet),
    ...standbys(fleet),
    ...unusedRoleParams(fleet),
    ...idleBalancers(fleet.site),
    ...unservedPorts(fleet),
    ...neverHeard(fleet.site),
  ];
}

/** Paths of the site's files that parameters (`format: site-file`) and checks of services name, sorted. */
export function siteFilesOf(site: Site, roles: Roles): readonly string[] {
  const paths = paramSets(site, roles).flatMap(
    (set) => checkParams(set.role, set.written).siteFiles,
  );
  return [...new Set([...paths, ...checkProgramFiles(site)])].sort();
}

/** Parameters of one role as somebody wrote them: for a node, or for whoever becomes that role. */
interface ParamSet {
  readonly role: Role;
  readonly written: Params;
  readonly node?: SiteNode;
}

/** A role that no node has yet is looked at too: changing a role shall not be the moment to find out. */
function paramSets(site: Site, roles: Roles): readonly ParamSet[] {
  const ofNodes = [...site.nodes.values()].flatMap((node) =>
    rolesHere(node, roles).map((role) => {
      return { role, node, written: mergeParams(site, node, role.name) };
    }),
  );
  const used = new Set(ofNodes.map((set) => set.role.name));
  const unused = [...site.roleParams].flatMap(([name, written]) => {
    const role = used.has(name) ? undefined : roles.get(name);
    return role ? [{ role, written }] : [];
  });
  return [...ofNodes, ...unused];
}

function rolesHere(node: SiteNode, roles: Roles): readonly Role[] {
  return roleNames(node).flatMap((name) => roles.get(name) ?? []);
}

function unknownRoles(node: SiteNode, roles: Roles): readonly Problem[] {
  return node.roles
    .filter((name) => !roles.has(name))
    .map((name) => {
      const hint = suggestion(name, [...roles.keys()], 'roles');
      return problem(node.file, 'role', `there is no role ${name}`, hint);
    });
}

function paramProblems({ site, roles, siteTexts }: Fleet): readonly Problem[] {
  return paramSets(site, roles).flatMap(({ role, written, node }) => {
    const { faults, siteFiles } = checkParams(role, written);
    const missing = siteFiles
      .filter((path) => !siteTexts.has(path))
      .map((path) => ({
        keys: keysOfValue(written, path) ?? [],
        message: `there is no file ${path} in the site`,
        hint: 'a path relative to site.yaml',
      }));
    return [...faults, ...missing].map((fault) => placeFault(node, role.name, fault));
  });
}

/** A fault belongs to the role file where that wrote the value, else to site.yaml. */
function placeFault(node: SiteNode | undefined, role: string, fault: ParamFault): Problem {
  const path = [role, ...fault.keys].join('.');
  return node && has(node.params[role], fault.keys)
    ? problem(node.file, `params.${path}`, fault.message, fault.hint)
    : problem('site.yaml', `roles.${path}`, fault.message, fault.hint);
}

function has(value: unknown, keys: readonly string[]): boolean {
  const [key, ...rest] = keys;
  if (key === undefined) return value !== undefined;
  if (typeof value !== 'object' || value === null || !(key in value)) return false;
  return has((value as Record<string, unknown>)[key], rest);
}

function keysOfValue(value: unknown, wanted: string): readonly string[] | undefined {
  if (value === wanted) return [];
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, inner] of Object.entries(value)) {
    const found = keysOfValue(inner, wanted);
    if (found) return [key, ...found];
  }
  return undefined;
}

/** Parameters for a role that the node has not: a typing error, or left over from another role. */
function strayParams(node: SiteNode, roles: Roles): readonly Problem[] {
  const mine = roleNames(node);
  return Object.keys(node.params)
    .filter((role) => !mine.includes(role) && !roles.has(role))
    .map((role) => {
      const hint = suggestion(role, mine, 'roles of this node');
      return problem(node.file, `params.${role}`, `there is no role ${role}`, hint);
    });
}

/** Every folder of data that neither a volume nor a disk holds. */
function dataInRam(fleet: Fleet): readonly Problem[] {
  const { site, roles } = fleet;
  return [...site.nodes.values()].flatMap((node) => {
    const { disks } = renderContents(fleet, node);
    return rolesHere(node, roles).flatMap((role) =>
      Object.entries(role.data)
        .filter(([folder]) => !volumeOfFolder(site, node, folder))
        .filter(([folder]) => !disks.has(pathKey(role, folder)))
        .map(([folder, { disk }]) =>
          problem(
            node.file,
            'role',
            `${folder} of ${node.name} lives in RAM: a reboot loses all ${role.name} data`,
            `name a volume for it in site.yaml: volumes: {${role.name}: {…, clients: {role: ${role.name}}, at: ${folder}}}${disk === undefined ? '' : `, or a disk of the node: params: {${role.name}: {disk: /dev/disk/by-id/…}}`}`,
          ),
        ),
    );
  });
}

/** A serial number is no option of DHCP: a machine says it to the boot script only, after it was answered. */
function neverHeard(site: Site): readonly Problem[] {
  if (site.unknown !== 'ignore') return [];
  return [...site.nodes.values()]
    .filter(({ id }) => id.serial !== undefined && id.macs.length === 0 && !id.uuid && !id.port)
    .map(({ file, name }) =>
      problem(
        file,
        'id.serial',
        `a machine says its serial number only after DHCP answered it, and unknown: ignore answers no stranger: ${name} never boots`,
        'add its uuid, port or mac, or write unknown: spare in site.yaml',
      ),
    );
}

function unusedRoleParams({ site, roles }: Fleet): readonly Problem[] {
  const used = new Set([...site.nodes.values()].flatMap(roleNames));
  return [...site.roleParams.keys()]
    .filter((role) => roles.has(role) && !used.has(role))
    .map((role) =>
      problem(
        'site.yaml',
        `roles.${role}`,
        `no node has the role ${role}, so its parameters do nothing${mailDomains(site, role)}`,
        `rolecall node set-role <node> ${role}`,
      ),
    );
}

function mailDomains(site: Site, role: string): string {
  const domains = Object.keys((site.roleParams.get(role)?.domains as object | undefined) ?? {});
  return domains.length > 0 ? `: nobody takes mail for ${domains.join(', ')}` : '';
}

function problem(file: string, path: string, message: string, hint: string): Problem {
  return { file, line: 0, path, message, hint };
}

/** A fault in site.yaml shows on every node of the role; once is enough. */
function distinct(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((p) => [JSON.stringify(p), p])).values()];
}
