import { parseSite } from '../../../src/site/parse-site.ts';
import type { Site } from '../../../src/site/site.ts';

export const adminKey =
  'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJDqR3W2M8BGYYGlFiRkaqiJ2vJ9QmL0CE9OF5yH13/3 ops';

/** site.yaml with one boot network; `more` is put at its end. */
export function siteYaml(more = ''): string {
  return `site: tokyo
domain: tokyo.example
admins: [${adminKey}]
networks:
  boot:
    subnet: 10.77.0.0/24
    server: 10.77.0.1
    gateway: 10.77.0.1
    dhcp: server
    pool: 10.77.0.200-10.77.0.249
${more}`;
}

/** A role file in the short form. */
export function nodeYaml(lastByte: number, role = 'web'): string {
  const hex = lastByte.toString(16).padStart(2, '0');
  return `mac: 52:54:00:00:00:${hex}\naddress: 10.77.0.${lastByte}\nrole: ${role}\n`;
}

/** A site of role files by node name; fails where it has problems. */
export function aSite(nodes: Readonly<Record<string, string>>, more = ''): Site {
  const texts = new Map([['site.yaml', siteYaml(more)]]);
  for (const [name, text] of Object.entries(nodes)) texts.set(`nodes/${name}.yaml`, text);
  const result = parseSite(texts);
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 2));
  return result.value;
}
