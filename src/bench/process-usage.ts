import { readFile } from 'node:fs/promises';

/** What a process has taken so far. */
export interface ProcessUsage {
  /** Seconds of processor time, in user mode and in the kernel, of all its threads. */
  readonly cpu: number;
  /** Bytes in memory now, and at the most so far. */
  readonly resident: number;
  readonly peakResident: number;
}

/** Clock ticks a second in /proc, the same on every Linux that Node runs on (proc_pid_stat(5)). */
const ticks = 100;

/** Reads processor time and memory of a process from /proc. */
export async function processUsage(pid: number): Promise<ProcessUsage> {
  const [stat, status] = await Promise.all([
    readFile(`/proc/${pid}/stat`, 'utf8'),
    readFile(`/proc/${pid}/status`, 'utf8'),
  ]);
  // The name in parentheses may hold spaces; field 14 and 15 count from the line's start.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return {
    cpu: (Number(fields[11]) + Number(fields[12])) / ticks,
    resident: kibibytes('VmRSS'),
    peakResident: kibibytes('VmHWM'),
  };
}

/** The same of several processes together, such as a master and its workers. */
export async function usageOf(pids: readonly number[]): Promise<ProcessUsage> {
  const each = await Promise.all(pids.map(processUsage));
  const sum = (of: (usage: ProcessUsage) => number) => each.reduce((n, u) => n + of(u), 0);
  return {
    cpu: sum((u) => u.cpu),
    resident: sum((u) => u.resident),
    peakResident: sum((u) => u.peakResident),
  };
}

/** The process and all that it started which still run. */
export async function processTree(pid: number): Promise<readonly number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  const below = await Promise.all(
    children
      .split(' ')
      .filter(Boolean)
      .map((c) => processTree(Number(c))),
  );
  return [pid, ...below.flat()];
}
