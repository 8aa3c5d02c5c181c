import { type Service, type Site, selectNodes } from '../site/site.ts';

/** A service that its balancers call dead, and the nodes that would serve it. */
export interface DeadService {
  readonly service: Service;
  readonly servers: readonly string[];
}

/** The services of which no server is on. */
export function deadServices(site: Site, isOn: (node: string) => boolean): readonly DeadService[] {
  return [...site.services.values()].flatMap((service) => {
    const servers = [...selectNodes(site, service.servers)];
    return servers.some(isOn) ? [] : [{ service, servers }];
  });
}
