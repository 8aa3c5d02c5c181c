import { readFileSync, readlinkSync } from 'node:fs';

/** The sockets that a process was started with, by the protocol of systemd's socket units (sd_listen_fds(3)). */
export interface ListenFds {
  /** By file descriptor, from 3 on. */
  readonly names: readonly string[];
}

const firstFd = 3;

/** What the environment says of sockets; undefined where it says nothing, or means another process. */
export function parseListenFds(
  env: Readonly<Record<string, string | undefined>>,
  pid: number,
): ListenFds | undefined {
  const count = Number(env.LISTEN_FDS);
  if (env.LISTEN_FDS === undefined || env.LISTEN_PID !== String(pid)) return undefined;
  if (!Number.isSafeInteger(count) || count < 0) return undefined;
  const names = (env.LISTEN_FDNAMES ?? '').split(':');
  return { names: Array.from({ length: count }, (_v, i) => names[i] ?? '') };
}

/**
 * File descriptors by their names, of the UDP sockets among them that are bound to 0.0.0.0:`port`. The kernel's
 * table says which those are; to which interface a socket is bound it does not say, so that is the name.
 */
export function inheritedSockets(fds: ListenFds, port: number): ReadonlyMap<string, number> {
  const inodes = new Set(
    readFileSync('/proc/self/net/udp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((row) => row[1] === `00000000:${port.toString(16).toUpperCase().padStart(4, '0')}`)
      .map((row) => `socket:[${row[9]}]`),
  );
  const found = new Map<string, number>();
  for (const [index, name] of fds.names.entries()) {
    const fd = firstFd + index;
    if (inodes.has(readlinkSync(`/proc/self/fd/${fd}`))) found.set(name, fd);
  }
  return found;
}

/** File descriptors of the sockets for HTTP, by the address that they are bound to: those whose names begin with `http-`. */
export function inheritedListeners(fds: ListenFds): ReadonlyMap<string, number> {
  return new Map(
    fds.names.flatMap((name, index) => {
      const address = /^http-(.+)$/.exec(name)?.[1];
      return address === undefined ? [] : [[address, firstFd + index] as const];
    }),
  );
}
