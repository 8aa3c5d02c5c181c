import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Arguments of a process; empty where it is gone or only its exit status is left. */
export function commandLine(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch {
    return [];
  }
}

/** Names the network namespace of a process, such as `net:[4026532177]`. */
export function networkNamespace(pid: number): string {
  return readlinkSync(`/proc/${pid}/ns/net`);
}

/** The command lines of all processes in a network namespace. */
export function processesIn(namespace: string): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return networkNamespace(pid) === namespace;
      } catch {
        return false;
      }
    })
    .map((pid) => commandLine(pid).join(' '))
    .filter((line) => line !== '');
}

/** The pids of all processes one of whose arguments contains `text`. */
export function processesAbout(text: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => commandLine(pid).some((arg) => arg.includes(text)));
}

/** Waits until `holds` does; fails with `what` after `seconds`. */
export async function until(
  what: string,
  seconds: number,
  holds: () => boolean | Promise<boolean>,
) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited ${seconds} s in vain until ${what}`);
}
