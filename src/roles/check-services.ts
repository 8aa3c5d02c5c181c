import type { Problem } from '../errors.ts';
import { suggestion } from '../site/did-you-mean.ts';
import { type Service, type Site, type SiteNode, selectNodes } from '../site/site.ts';
import { type BalancerGroup, balancerGroups } from './balancer-groups.ts';
import { mergeParams } from './role-params.ts';
import { insideLink, reachedNodes } from './service-paths.ts';

/** The role that makes a node a balancer. */
const balancerRole = 'lb';

/**
 * What does not fit between services, and between a service and the nodes at both of its ends: balancers
 * without the role or a VIP's network, servers that no request or no reply would reach, VIPs and virtual
 * router IDs that two groups of balancers would fight for.
 */
export function checkServices(site: Site): readonly Problem[] {
  const services = [...site.services.values()];
  const groups = balancerGroups(site);
  return [
    ...services.flatMap((service) => [
      ...balancerProblems(site, service),
      ...serverProblems(site, service),
      ...nameProblems(site, service),
    ]),
    ...sharedVips(groups),
    ...vridProblems(groups),
    ...returnClashes(site, services),
    ...groups.flatMap((group) => parameterProblems(site, group)),
  ];
}

/** Balancers that balance nothing: nothing is wrong, and nothing comes of it. */
export function idleBalancers(site: Site): readonly Problem[] {
  const busy = new Set(balancerGroups(site).flatMap((group) => group.balancers));
  return [...site.nodes.values()]
    .filter((node) => node.roles.includes(balancerRole) && !busy.has(node.name))
    .map((node) => ({
      file: node.file,
      line: 0,
      path: 'role',
      message: `${node.name} has the role ${balancerRole}, and no service names it as a balancer`,
      hint: 'such as services: {www: {balancers: {role: lb}, …}} in site.yaml',
    }));
}

function nodesOf(site: Site, names: readonly string[]): readonly SiteNode[] {
  return names.flatMap((name) => site.nodes.get(name) ?? []);
}

function balancerProblems(site: Site, service: Service): readonly Problem[] {
  const { name, vip, inside } = service;
  return nodesOf(site, selectNodes(site, service.balancers)).flatMap((node) => {
    const missing = [...vip.keys(), ...inside.keys()].filter((network) => !hasLink(node, network));
    return [
      ...(node.roles.includes(balancerRole)
        ? []
        : [
            problem(
              service,
              'balancers',
              `${node.name} balances ${name} and has not the role ${balancerRole}`,
              `rolecall node set-role ${node.name} ${balancerRole}, or choose others`,
            ),
          ]),
      ...[...new Set(missing)].map((network) =>
        problem(
          service,
          vip.has(network) ? `vip.${network}` : `inside.${network}`,
          `balancer ${node.name} of ${name} has no link on ${network}, which has a VIP of it`,
          `add ${network}: to links in ${node.file}`,
        ),
      ),
      ...(reachedNodes(site, service).includes(node.name)
        ? [
            problem(
              service,
              'servers',
              `${node.name} would balance ${name} and serve it`,
              'IP virtual server sends requests on to other machines: let others serve it',
            ),
          ]
        : []),
    ];
  });
}

function serverProblems(site: Site, service: Service): readonly Problem[] {
  const { name, vip, inside, forward } = service;
  return nodesOf(site, reachedNodes(site, service)).flatMap((node) => {
    const key = node.name === service.sorry ? 'sorry' : 'servers';
    if (forward === 'nat') {
      if (insideLink(site, service, node.name)) return [];
      const networks = [...inside.keys()].join(', ');
      return [
        problem(
          service,
          key,
          `${node.name} has no link on ${networks}, where the inside VIP of ${name} is: its answers would not come back`,
          `add ${networks}: to links in ${node.file}, or an inside VIP on one of its networks`,
        ),
      ];
    }
    return [...vip.keys()]
      .filter((network) => !hasLink(node, network))
      .map((network) =>
        problem(
          service,
          key,
          `${node.name} has no link on ${network}: dsr reaches only servers on the network of the VIP`,
          `add ${network}: to links in ${node.file}, or write forward: nat`,
        ),
      );
  });
}

function hasLink(node: SiteNode, network: string): boolean {
  return node.links.some((link) => link.network === network);
}

function nameProblems(site: Site, service: Service): readonly Problem[] {
  const servers = selectNodes(site, service.servers);
  return [
    ...(service.sorry !== undefined && servers.includes(service.sorry)
      ? [
          problem(
            service,
            'sorry',
            `${service.sorry} serves ${service.name} already`,
            'name a node that is asked only while no server works, or take sorry out',
          ),
        ]
      : []),
    ...[...service.weights.keys()]
      .filter((name) => !servers.includes(name))
      .map((name) =>
        problem(
          service,
          `weights.${name}`,
          `${name} does not serve ${service.name}, so its weight does nothing`,
          suggestion(name, servers, 'its servers are'),
        ),
      ),
  ];
}

/** A VIP is on one machine at a time, so all services on it need the same balancers. */
function sharedVips(groups: readonly BalancerGroup[]): readonly Problem[] {
  const owners = new Map<string, { readonly group: BalancerGroup; readonly service: Service }>();
  return groups.flatMap((group) =>
    group.services.flatMap((service) =>
      (['vip', 'inside'] as const).flatMap((key) =>
        [...service[key]].flatMap(([network, address]) => {
          const owner = owners.get(address);
          if (!owner) owners.set(address, { group, service });
          if (!owner || owner.group === group) return [];
          return [
            problem(
              service,
              `${key}.${network}`,
              `${address} is also a VIP of ${owner.service.name}, on other balancers (${owner.group.balancers.join(', ')})`,
              'give both services the same balancers, or another VIP',
            ),
          ];
        }),
      ),
    ),
  );
}

function vridProblems(groups: readonly BalancerGroup[]): readonly Problem[] {
  const seen = new Map<string, { readonly group: BalancerGroup; readonly service: Service }>();
  const problems: Problem[] = [];
  for (const group of groups) {
    for (const service of group.services) {
      for (const [network, vrid] of service.vrid) {
        const other = group.services.find(
          (s) => s.vrid.has(network) && s.vrid.get(network) !== vrid,
        );
        if (other && other.name < service.name) {
          problems.push(
            problem(
              service,
              `vrid.${network}`,
              `${service.name} and ${other.name} have the same balancers, and two VRIDs on ${network}: ${vrid} and ${other.vrid.get(network)}`,
              'write it once',
            ),
          );
        }
        const taken = seen.get(`${network} ${vrid}`);
        if (taken && taken.group !== group) {
          problems.push(
            problem(
              service,
              `vrid.${network}`,
              `VRID ${vrid} on ${network} is also that of ${taken.service.name}, on other balancers (${taken.group.balancers.join(', ')})`,
              'leave one out: rolecall finds one that is free',
            ),
          );
        }
        if (!taken) seen.set(`${network} ${vrid}`, { group, service });
      }
    }
  }
  return problems;
}

/** What leaves from one address and port has one way back. */
function returnClashes(site: Site, services: readonly Service[]): readonly Problem[] {
  const ways = new Map<string, { readonly gateway: string; readonly service: Service }>();
  return services.flatMap((service) =>
    reachedNodes(site, service).flatMap((server) => {
      const inside = service.forward === 'nat' ? insideLink(site, service, server) : undefined;
      if (!inside) return [];
      return service.ports.flatMap((port) => {
        const from = service.protocol === 'tcp' ? inside.link.address : server;
        const key = `${from} ${service.protocol} ${port}`;
        const other = ways.get(key);
        if (!other) ways.set(key, { gateway: inside.gateway, service });
        if (!other || other.gateway === inside.gateway) return [];
        return [
          problem(
            service,
            'inside',
            `answers of ${server} from ${service.protocol} port ${port} cannot go back by ${inside.gateway}: for ${other.service.name} they go by ${other.gateway}`,
            'let both services share balancers and inside VIP, or serve them on two ports or networks',
          ),
        ];
      });
    }),
  );
}

/** Balancers that speak VRRP in two ways do not hear each other, and all are master. */
function parameterProblems(site: Site, group: BalancerGroup): readonly Problem[] {
  const [first, ...others] = nodesOf(site, group.balancers);
  if (!first) return [];
  const vrrpOf = (node: SiteNode) => mergeParams(site, node, balancerRole).vrrp ?? 'multicast';
  return others
    .filter((node) => vrrpOf(node) !== vrrpOf(first))
    .map((node) => ({
      file: node.file,
      line: 0,
      path: `params.${balancerRole}.vrrp`,
      message: `${node.name} speaks VRRP by ${vrrpOf(node)}, and ${first.name}, which shares VIPs with it, by ${vrrpOf(first)}`,
      hint: 'write it once, under roles: in site.yaml',
    }));
}

function problem(service: Service, key: string, message: string, hint: string): Problem {
  return { file: 'site.yaml', line: 0, path: `services.${service.name}.${key}`, message, hint };
}
