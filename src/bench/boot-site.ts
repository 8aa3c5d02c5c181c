import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readyDir } from '../roles/render-overlay.ts';
import { benchNetwork, nobodysKey } from './bench-site.ts';

/** A machine of the site: a web server. */
export interface BootedNode {
  readonly name: string;
  readonly mac: string;
  readonly address: string;
  /** Name of the image that it boots. */
  readonly image: string;
}

/** How many machines are switched on at once. */
export const atOnce = 4;

/** For each image as many machines as are switched on at once. */
export function bootedNodes(images: readonly string[]): readonly BootedNode[] {
  return images.flatMap((image, i) =>
    Array.from({ length: atOnce }, (_, n) => {
      const number = i * atOnce + n;
      return {
        name: `${image}-${n + 1}`,
        mac: `52:54:00:77:01:${number.toString(16).padStart(2, '0')}`,
        address: `10.77.0.${10 + number}`,
        image,
      };
    }),
  );
}

/** What a machine has said of its boot; all in seconds since its kernel's start. */
export interface SaidTimes {
  /** Its role's ready command has succeeded. */
  readonly answers: number;
  /** When the initramfs began, then systemd, then the web server. */
  readonly init: number;
  readonly systemd: number;
  readonly service: number;
}

/** Whether the console's text says that the service answers, and since when. */
export function parseAnswers(console: string): number | undefined {
  const [, seconds] = /bench: answers at ([\d.]+)\r?\n/.exec(console) ?? [];
  return seconds === undefined ? undefined : Number(seconds);
}

/** All that a machine said of its boot, as soon as all of it is there. */
export function parseTimes(console: string): SaidTimes | undefined {
  const answers = parseAnswers(console);
  const [, init, systemd, service] =
    /bench: init at ([\d.]+), systemd at (\d+), service at (\d+) end\r?\n/.exec(console) ?? [];
  if (answers === undefined || service === undefined) return undefined;
  return {
    answers,
    init: Number(init),
    systemd: Number(systemd) / 1e6,
    service: Number(service) / 1e6,
  };
}

/** When our own initramfs had done its steps, by their names; seconds since the kernel's start. */
export function parseSteps(console: string): ReadonlyMap<string, number> {
  const said = console.matchAll(/^rolecall: +([\d.]+) s +([a-z]+) /gm);
  return new Map([...said].map(([, seconds, step = '']) => [step, Number(seconds)]));
}

/**
 * Writes a site of web servers that say on their console when the role's own `ready` command has succeeded: where
 * they boot from makes no difference to that.
 */
export async function writeBootSite(site: string, nodes: readonly BootedNode[]): Promise<void> {
  const role = 'roles/bench';
  const put = async (path: string, text: string) => {
    const file = join(site, path);
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text);
  };
  await put('site.yaml', siteFile);
  for (const { name, mac, address, image } of nodes) {
    const lines = [`mac: ${mac}`, `address: ${address}`, 'role: [web, bench]', `image: ${image}`];
    await put(`nodes/${name}.yaml`, `${lines.join('\n')}\n`);
  }
  await put(`${role}/role.yaml`, roleFile);
  await put(`${role}/files/usr/lib/systemd/system/bench-ready.service`, unitFile);
  await put(`${role}/files/usr/lib/bench/ready`, script);
  await chmod(join(site, role, 'files/usr/lib/bench/ready'), 0o755);
}

const siteFile = `site: bench
domain: bench.example
admins:
  - ${nobodysKey}
networks:
  boot:
    subnet: 10.77.0.0/24
    server: ${benchNetwork.server}
    gateway: ${benchNetwork.server}
    dhcp: server
    pool: 10.77.0.200-10.77.0.249
`;

const roleFile = `summary: says on the console when the web server answers
units: [bench-ready.service]
files:
  /usr/lib/bench/ready: { mode: 0755 }
ready: test -x /usr/lib/bench/ready
`;

const unitFile = `[Unit]
Description=Says when the web server answers
After=nginx.service

[Service]
ExecStart=/usr/lib/bench/ready

[Install]
WantedBy=multi-user.target
`;

// The kernel writes of each /init that it runs into its log.
const script = `#!/bin/sh
until ${readyDir}/web >/dev/null 2>&1; do sleep 0.3; done
read -r up _ </proc/uptime
echo "bench: answers at $up" >/dev/ttyS0
init=$(dmesg | sed -n 's/^\\[ *\\([0-9.]*\\)\\] Run \\/init as init process.*/\\1/p')
since() { systemctl show --property="$1" --value $2; }
systemd=$(since UserspaceTimestampMonotonic)
service=$(since ExecMainStartTimestampMonotonic nginx.service)
echo "bench: init at $init, systemd at $systemd, service at $service end" >/dev/ttyS0
`;
