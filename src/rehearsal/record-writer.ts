import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { Scenario } from '../lab/scenario.ts';

/** What became of the records of a writer. */
export interface Records {
  /** When each was acknowledged, milliseconds since the epoch; in their order. */
  readonly times: readonly number[];
  /** Numbers of acknowledged records that are not in the file. */
  readonly lost: readonly number[];
}

/** A program on a node that appends numbered records to a file, each with fsync(2), and notes when each was. */
export interface RecordWriter {
  /** When each record so far was acknowledged, milliseconds since the epoch. */
  times(): Promise<readonly number[]>;
  /** Ends it and looks for every acknowledged record in the file. */
  stop(): Promise<Records>;
}

const program = (file: string, run: string) => `use IO::Handle;
sub up { open my $u, "<", "/proc/uptime"; (split " ", <$u>)[0] }
open my $f, ">>", "${file}" or die "open: $!";
open my $a, ">", "${run}.acknowledged" or die; $a->autoflush(1);
for (my $n = 1; !-e "${run}.stop"; $n++) {
  print $f "record $n\\n" or die "write $n: $!";
  $f->flush && $f->sync or die "sync $n: $!";
  print $a "$n ", up(), "\\n";
  select undef, undef, undef, 0.05;
}
`;

/**
 * Starts a writer on a node, `name` for its unit and its notes; it has written when this resolves. Fails
 * where it does not within a minute, and where it does not end.
 */
export async function startRecordWriter(
  lab: Pick<Scenario, 'ssh'>,
  node: string,
  name: string,
  file: string,
): Promise<RecordWriter> {
  const run = `/run/records-${name}`;
  const unit = `records-${name}`;
  const read = async () => parseAcknowledged(await lab.ssh(node, `cat ${run}.acknowledged`));
  const asked = Date.now();
  const uptime = Number((await lab.ssh(node, 'cat /proc/uptime')).split(' ')[0]);
  // When the node was switched on, by this machine's clock.
  const zero = (asked + Date.now()) / 2 - uptime * 1000;
  const timesOf = (records: readonly Acknowledged[]) =>
    records.map(({ uptime: at }) => Math.round(zero + at * 1000));
  await lab.ssh(
    node,
    `rm -f ${run}.stop ${file} && : >${run}.acknowledged && cat >${run}.pl <<'PERL'
${program(file, run)}PERL
systemd-run --quiet --collect --unit ${unit} perl ${run}.pl`,
  );
  await poll(60, `the writer on ${node} writes`, async () => (await read()).length > 0);
  return {
    times: async () => timesOf(await read()),
    stop: async () => {
      await lab.ssh(node, `touch ${run}.stop`);
      await poll(120, `the writer on ${node} has ended`, async () =>
        /^(inactive|failed)/.test(await lab.ssh(node, `systemctl is-active ${unit} || true`)),
      );
      const acknowledged = await read();
      const found = new Set((await lab.ssh(node, `cat ${file}`, 120)).split('\n'));
      const lost = acknowledged.filter(({ number }) => !found.has(`record ${number}`));
      return { times: timesOf(acknowledged), lost: lost.map(({ number }) => number) };
    },
  };
}

interface Acknowledged {
  readonly number: number;
  /** Seconds. */
  readonly uptime: number;
}

function parseAcknowledged(text: string): readonly Acknowledged[] {
  return text.split('\n').flatMap((line) => {
    const [number, uptime] = line.split(' ').map(Number);
    return number && uptime ? [{ number, uptime }] : [];
  });
}

async function poll(seconds: number, what: string, done: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(500)) {
    if (await done().catch(() => false)) return;
  }
  throw new AppError('rehearsal-late', `not after ${seconds} s: ${what}`);
}

/** The longest time in milliseconds from one record to the next between two moments, both counted as such. */
export function longestGap(times: readonly number[], from: number, to: number): number {
  const within = [from, ...times.filter((at) => at > from && at < to), to];
  return Math.max(...within.map((at, i) => at - (within[i - 1] ?? at)));
}
