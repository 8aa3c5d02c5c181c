import type { Problem } from '../errors.ts';
import { type Service, type Site, type SiteNode, selectNodes } from '../site/site.ts';
import { type OverlayFile, rootFile } from './overlay-file.ts';
import type { SiteTexts } from './template-context.ts';

/** Files of the site that services check their servers with, sorted. */
export function checkProgramFiles(site: Site): readonly string[] {
  return [
    ...new Set([...site.services.values()].flatMap((service) => fileOf(service) ?? [])),
  ].sort();
}

function fileOf({ check }: Service): string | undefined {
  return check.how.kind === 'script' ? check.how.file : undefined;
}

/** Programs that are not in the site, or that no kernel could start. */
export function checkProgramProblems(site: Site, texts: SiteTexts): readonly Problem[] {
  return [...site.services.values()].flatMap((service) => {
    const file = fileOf(service);
    if (file === undefined) return [];
    const text = texts.get(file);
    if (text === undefined) {
      const path = `services.${service.name}.check.script`;
      const message = `there is no file ${file} in the site`;
      return [{ file: 'site.yaml', line: 0, path, message, hint: 'a path relative to site.yaml' }];
    }
    const fault = faultOf(text);
    if (fault === '') return [];
    const message = `the check of service ${service.name} ${fault}`;
    return [{ file, line: 1, path: '', message, hint: 'such as #!/bin/sh' }];
  });
}

/** Empty where nothing is wrong. */
function faultOf(text: string): string {
  if (!text.startsWith('#!')) return 'does not begin with #!';
  return /^[^\n]*\r/.test(text)
    ? 'has Windows line ends: no kernel finds the program that its first line names'
    : '';
}

/** The programs by which a balancer checks servers, executable, each named after its service. */
export function renderCheckPrograms(
  site: Site,
  texts: SiteTexts,
  node: SiteNode,
): readonly OverlayFile[] {
  return [...site.services.values()].flatMap((service) => {
    const file = fileOf(service);
    if (file === undefined || !selectNodes(site, service.balancers).includes(node.name)) return [];
    return [rootFile(`/etc/keepalived/checks/${service.name}`, texts.get(file) ?? '', 0o755)];
  });
}
