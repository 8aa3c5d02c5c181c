import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { nodeArchitecture } from '../boot/node-architecture.ts';
import { AppError } from '../errors.ts';
import { renderAptSource } from '../images/apt-sources.ts';
import { debian } from '../images/distributions/debian.ts';
import type { Compression } from '../images/image-definition.ts';
import type { ImageStore, StoredImage } from '../images/image-store.ts';
import { packSquashfs } from '../images/pack-squashfs.ts';
import { findSuiteSources } from '../images/suite-sources.ts';
import type { LabNetwork } from '../lab/network.ts';
import { runProgram } from '../system/run-program.ts';
import { type RunningProgram, startProgram } from '../system/start-program.ts';
import { benchNetwork } from './bench-site.ts';
import type { BootedNode } from './boot-site.ts';
import { unpackRoot } from './packed-images.ts';

/** What the peers boot: the same kernel, and the same root with a node's overlay unpacked over it. */
export interface PeerFiles {
  readonly folder: string;
  /** Folder that a web server hands out: `vmlinuz`, `initrd.img`, `root.squashfs`. */
  readonly live: string;
  readonly kernel: string;
  /** The distribution's own, of initramfs-tools, with live-boot in it. */
  readonly initrd: string;
  /** An ext4 file system. */
  readonly disk: string;
}

export interface PeerFilesRequest {
  readonly folder: string;
  readonly store: ImageStore;
  readonly image: StoredImage;
  readonly compression: Compression;
  /** The overlay that the node booted with, a tar. */
  readonly overlay: string;
}

/** Makes what the peers boot; fetches the packages of live-boot and its initramfs from a mirror. */
export async function makePeerFiles(request: PeerFilesRequest): Promise<PeerFiles> {
  const { folder, store, image, overlay } = request;
  const live = join(folder, 'live');
  await mkdir(live, { recursive: true });
  const initrd = join(live, 'initrd.img');
  await makeInitrd(join(folder, 'initrd-root'), image, initrd);
  const root = join(folder, 'root');
  await unpackRoot(root, store, image.manifest);
  await runProgram('tar', [
    ...['--extract', '--file', overlay, '--directory', root, '--numeric-owner', '--same-owner'],
    ...['--preserve-permissions', '--keep-directory-symlink', '--warning=no-timestamp'],
  ]);
  await rm(join(root, '.rolecall'), { recursive: true, force: true });
  await anyCard(join(root, 'etc/systemd/network'));
  // Our node is handed its own with the secrets of its boot.
  await runProgram('ssh-keygen', ['-A', '-f', root]);
  const disk = join(folder, 'disk.raw');
  await runProgram('mkfs.ext4', ['-q', '-d', root, disk, '900M']);
  await packSquashfs(root, join(live, 'root.squashfs'), 0, request.compression);
  await rm(root, { recursive: true });
  const kernel = store.blobPath(image.manifest.kernel.digest);
  await copyFile(kernel, join(live, 'vmlinuz'));
  return { folder, live, kernel, initrd, disk };
}

/** Several machines boot this one root, and each has another card. */
async function anyCard(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replaceAll(/^MACAddress=.*$/gm, 'Type=ether'));
  }
}

/** The initrd that Debian makes for that kernel on a machine that has live-boot. */
async function makeInitrd(root: string, { manifest }: StoredImage, to: string): Promise<void> {
  const { suite, kernelVersion } = manifest;
  const scratch = `${root}-indices`;
  const { sources } = await findSuiteSources({ distribution: debian, suite, extra: [], scratch });
  const include = [`linux-image-${kernelVersion}`, 'initramfs-tools', 'live-boot', 'zstd', 'wget'];
  await runProgram('mmdebstrap', [
    ...['--mode', 'root', '--variant', 'minbase', '--quiet', '--dpkgopt', 'force-unsafe-io'],
    ...['--architectures', nodeArchitecture, '--include', [...include, 'busybox'].join(',')],
    ...[suite, root, ...sources.map((source) => renderAptSource(source))],
  ]);
  const name = (await readdir(join(root, 'boot'))).find((n) => n === `initrd.img-${kernelVersion}`);
  if (name === undefined) {
    throw new AppError('bench-failed', `no initrd was made for Linux ${kernelVersion}`);
  }
  await copyFile(join(root, 'boot', name), to);
  await rm(root, { recursive: true });
}

/** DHCP and HTTP for machines that boot Debian's live-boot by the same loader as ours. */
export async function serveLive(
  network: LabNetwork,
  bridge: string,
  { live, folder }: PeerFiles,
  nodes: readonly BootedNode[],
  programs: { readonly dnsmasq: string; readonly nginx: string },
  kernelArguments: string,
): Promise<{ stop(): Promise<void> }> {
  const url = `http://${benchNetwork.server}`;
  const iPXE = [
    '#!ipxe',
    // With BOOTIF live-boot takes that card, and looks for no other.
    // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE fills that in.
    `kernel ${url}/vmlinuz initrd=initrd.img boot=live fetch=${url}/root.squashfs ${'BOOTIF=01-${mac:hexhyp}'} ${kernelArguments}`,
    `initrd ${url}/initrd.img`,
    'boot',
    '',
  ];
  await writeFile(join(live, 'boot.ipxe'), iPXE.join('\n'));
  const config = join(folder, 'nginx.conf');
  const errors = join(folder, 'nginx.log');
  const aside = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (what) => `${what}_temp_path ${folder}/nginx-${what};`,
  );
  const nginx = [
    `daemon off; user root; pid ${folder}/nginx.pid; error_log ${errors};`,
    'events { }',
    `http { sendfile on; access_log off; ${aside.join(' ')}`,
    `  server { listen ${benchNetwork.server}:80; root ${live}; } }`,
    '',
  ];
  await writeFile(config, nginx.join('\n'));
  const dnsmasq = [
    ...['--keep-in-foreground', '--conf-file=/dev/null', '--port=0', '--leasefile-ro'],
    ...[`--interface=${bridge}`, '--bind-interfaces', '--no-ping', '--user=root'],
    ...['--dhcp-authoritative', '--dhcp-range=10.77.0.10,static,255.255.255.0'],
    ...nodes.map(({ mac, address }) => `--dhcp-host=${mac},${address}`),
    // Else the loader waits for a proxyDHCP server.
    '--dhcp-option-force=encap:175,176,1b',
    `--dhcp-boot=${url}/boot.ipxe`,
  ];
  const log = join(folder, 'servers.log');
  const running: RunningProgram[] = [];
  const stop = async () => {
    for (const program of running) await program.stop(2_000);
  };
  try {
    for (const [program, args] of [
      [programs.nginx, ['-c', config, '-e', errors]],
      [programs.dnsmasq, dnsmasq],
    ] as const) {
      running.push(await startProgram(...network.inside(program, args), { log }));
    }
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
