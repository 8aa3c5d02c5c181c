import { checkFleet } from '../roles/check-fleet.ts';
import { baseRole, type Fleet, roleNames } from '../roles/fleet.ts';
import { spareRole, usedRoles } from '../roles/used-roles.ts';
import { isBootNetwork, type Site, type SiteNode, selectNodes } from '../site/site.ts';

/** A node of the site that is played, maybe with roles of others besides its own. */
export interface TestGuest {
  readonly node: string;
  readonly roles: readonly string[];
  /** Which of the roles it takes over, and from whose role file, with that node's parameters. */
  readonly added: readonly { readonly role: string; readonly from: string }[];
}

/** Machines that must be there together, so that the roles `proves` can work. */
interface TestUnit {
  readonly proves: readonly string[];
  readonly guests: readonly string[];
  readonly spare: boolean;
}

export interface UntriedRole {
  readonly role: string;
  readonly reason: string;
}

/** Who plays which roles. */
export interface ImageTestPlan {
  readonly guests: readonly TestGuest[];
  readonly units: readonly TestUnit[];
  readonly untried: readonly UntriedRole[];
}

/** One lab: the machines that are on at a time. */
export interface TestRound {
  readonly guests: readonly string[];
  readonly spare: boolean;
}

/**
 * The fewest machines that show an image in each role that the site uses: nodes of the site as they are, those
 * with a volume, a balancer or a pair with whom they need, and the others' roles gathered on one node wherever
 * `check` finds nothing against it. `only` names roles; all where absent.
 */
export function planImageTest(
  fleet: Fleet,
  image: string,
  only?: readonly string[],
): ImageTestPlan {
  const { site } = fleet;
  const used = usedRoles(fleet, image).filter((role) => only?.includes(role) ?? true);
  const nodes = [...site.nodes.values()].filter((node) => node.image === image);
  const guests = new Map<string, TestGuest>();
  const untried: UntriedRole[] = [];
  const proofs: { role: string; guest: string }[] = [];
  const take = (names: Iterable<string>) => {
    for (const name of names) {
      const node = site.nodes.get(name);
      if (node && !guests.has(name)) {
        guests.set(name, { node: name, roles: node.roles, added: [] });
      }
    }
  };
  /** Roles with the most company come first: whom they bring shows other roles by the way. */
  const byCompany = used
    .filter((role) => role !== baseRole && role !== spareRole)
    .map((role) => {
      const able = nodes.filter((node) => node.roles.includes(role));
      const all = able.map((node) => ({ node, company: companyOf(site, [node.name]) }));
      const best = all.sort((a, b) => a.company.size - b.company.size)[0];
      return { role, best };
    })
    .sort((a, b) => (b.best?.company.size ?? 0) - (a.best?.company.size ?? 0));
  for (const { role, best } of byCompany) {
    if (!best) continue;
    const there = [...guests.values()].find((guest) => guest.roles.includes(role));
    if (there) {
      proofs.push({ role, guest: there.node });
      continue;
    }
    const stranger = [...best.company].find((name) => site.nodes.get(name)?.image !== image);
    if (stranger !== undefined) {
      const reason = `it needs ${stranger}, which boots the image ${site.nodes.get(stranger)?.image}`;
      untried.push({ role, reason });
      continue;
    }
    const host = [...guests.values()].find((guest) => takesOver(fleet, guest, role, best.node));
    if (host) {
      guests.set(host.node, withRole(host, role, best.node.name));
      take(companyOf(site, [host.node], [role]));
      proofs.push({ role, guest: host.node });
      continue;
    }
    take(best.company);
    proofs.push({ role, guest: best.node.name });
  }
  const anybody = nodes[0];
  const wantsSpare = used.includes(spareRole);
  if (used.includes(baseRole) && guests.size === 0 && !wantsSpare && anybody) {
    take(companyOf(site, [anybody.name]));
  }
  const units = unitsOf(site, guests, proofs);
  if (wantsSpare) units.push({ proves: [spareRole], guests: [], spare: true });
  return { guests: [...guests.values()], units, untried };
}

/** A unit for each machine that is there for the sake of a role, with all whom it needs. */
function unitsOf(
  site: Site,
  guests: ReadonlyMap<string, TestGuest>,
  proofs: readonly { readonly role: string; readonly guest: string }[],
): TestUnit[] {
  const heads = proofs.length > 0 ? [...new Set(proofs.map((p) => p.guest))] : [...guests.keys()];
  return heads.map((head) => {
    const added = guests.get(head)?.added.map(({ role }) => role) ?? [];
    return {
      proves: proofs.filter((p) => p.guest === head).map((p) => p.role),
      guests: [...companyOf(site, [head], added)],
      spare: false,
    };
  });
}

/**
 * The nodes, and whom they need to work: both holders of a volume that one of them holds or mounts, and a
 * server for each service that one of them balances. `as` are roles that they have besides.
 */
function companyOf(
  site: Site,
  names: readonly string[],
  as: readonly string[] = [],
): ReadonlySet<string> {
  const company = new Set(names);
  for (let before = 0; before !== company.size; ) {
    before = company.size;
    for (const { nodes, clients } of site.volumes.values()) {
      const mounts =
        selectNodes(site, clients).some((name) => company.has(name)) ||
        (clients.kind === 'role' && as.includes(clients.role));
      if (mounts || nodes.some((name) => company.has(name))) for (const n of nodes) company.add(n);
    }
    for (const { balancers, servers } of site.services.values()) {
      if (!selectNodes(site, balancers).some((name) => company.has(name))) continue;
      const able = selectNodes(site, servers);
      const [first] = able;
      if (first !== undefined && !able.some((name) => company.has(name))) company.add(first);
    }
  }
  return company;
}

/** Whether a guest may have a role of `from` too: both are plain, and nothing speaks against the two together. */
function takesOver(fleet: Fleet, guest: TestGuest, role: string, from: SiteNode): boolean {
  const { site } = fleet;
  const node = site.nodes.get(guest.node);
  if (!node || !isPlain(site, node) || !isPlain(site, from)) return false;
  const lent = [...guest.added, { role, from: from.name }].flatMap((one) => {
    const params = site.nodes.get(one.from)?.params[one.role];
    return params === undefined ? [] : [[one.role, params] as const];
  });
  const params = { ...node.params, ...Object.fromEntries(lent) };
  const merged: SiteNode = { ...node, roles: [...guest.roles, role], params };
  const nodes = new Map(site.nodes).set(node.name, merged);
  return checkFleet({ ...fleet, site: { ...site, nodes } }).length === 0;
}

/** Neither part of a pair nor plugged into anything but the boot network. */
function isPlain(site: Site, node: SiteNode): boolean {
  return (
    node.links.every((link) => isBootNetwork(site.networks.get(link.network))) &&
    ![...site.volumes.values()].some((volume) => volume.nodes.includes(node.name)) &&
    ![...site.services.values()].some((s) => selectNodes(site, s.balancers).includes(node.name))
  );
}

function withRole(guest: TestGuest, role: string, from: string): TestGuest {
  return {
    ...guest,
    roles: [...guest.roles, role],
    added: [...guest.added, { role, from }],
  };
}

/** Packs what must be there together into as few rounds as `fits` allows; `left` fits in none. */
export function packRounds(
  units: readonly TestUnit[],
  fits: (round: TestRound) => boolean,
): { readonly rounds: readonly TestRound[]; readonly left: readonly TestUnit[] } {
  const rounds: TestRound[] = [];
  const left: TestUnit[] = [];
  for (const unit of units) {
    const at = rounds.findIndex((round) => fits(join(round, unit)));
    const alone = { guests: unit.guests, spare: unit.spare };
    const round = rounds[at];
    if (round) rounds[at] = join(round, unit);
    else if (fits(alone)) rounds.push(alone);
    else left.push(unit);
  }
  return { rounds, left };
}

function join(round: TestRound, unit: TestUnit): TestRound {
  return {
    guests: [...new Set([...round.guests, ...unit.guests])],
    spare: round.spare || unit.spare,
  };
}

/** Names of the roles that a guest shows, `base` first. */
export function shownRoles(guest: TestGuest, site: Site): readonly string[] {
  const node = site.nodes.get(guest.node);
  return node ? roleNames({ ...node, roles: guest.roles }) : [];
}
