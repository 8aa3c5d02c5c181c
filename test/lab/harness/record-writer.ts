import { expect } from 'vitest';
import type { Scenario } from '../../../src/lab/scenario.ts';
import { until } from './processes.ts';

/** A program on a node that appends numbered records to a file, each with fsync(2), and notes when each was. */
export interface RecordWriter {
  /** Resolves when records are acknowledged that were not before this was called. */
  goesOn(): Promise<void>;
  /** Ends it, and fails where an acknowledged record is not in the file. */
  stop(): Promise<{
    readonly acknowledged: number;
    /** The longest time between two records, in seconds. */
    readonly gap: number;
  }>;
}

const program = (file: string) => `use IO::Handle;
sub up { open my $u, "<", "/proc/uptime"; (split " ", <$u>)[0] }
open my $f, ">>", "${file}" or die "open: $!";
open my $a, ">", "/run/acknowledged" or die; $a->autoflush(1);
for (my $n = 1; !-e "/run/stop-writing"; $n++) {
  print $f "record $n\\n" or die "write $n: $!";
  $f->flush && $f->sync or die "sync $n: $!";
  print $a "$n ", up(), "\\n";
  select undef, undef, undef, 0.05;
}
`;

/** Starts the writer on a node; it has written when this resolves. */
export async function startWriter(
  lab: Scenario,
  node: string,
  file: string,
): Promise<RecordWriter> {
  const acknowledged = async () => (await lab.ssh(node, 'cat /run/acknowledged')).split('\n');
  const count = async () => (await acknowledged()).length - 1;
  await lab.ssh(
    node,
    `rm -f /run/stop-writing && : >/run/acknowledged && cat >/run/writer.pl <<'PERL'
${program(file)}PERL
systemd-run --quiet --collect --unit writer perl /run/writer.pl`,
  );
  await until('the writer has begun', 60, async () => (await count()) > 0);
  return {
    async goesOn() {
      const before = await count();
      // Some may have been under way.
      await until('the writer goes on', 240, async () => (await count()) > before + 10);
    },
    async stop() {
      await lab.ssh(node, 'touch /run/stop-writing');
      await until('the writer has ended', 60, async () =>
        (await lab.ssh(node, 'systemctl is-active writer || true')).startsWith('inactive'),
      );
      const lines = (await acknowledged()).filter((line) => line !== '');
      const found = new Set((await lab.ssh(node, `cat ${file}`)).split('\n'));
      const lost = lines.map((line) => line.split(' ')[0]).filter((n) => !found.has(`record ${n}`));
      expect(lost, 'acknowledged records that are not in the file').toEqual([]);
      const times = lines.map((line) => Number(line.split(' ')[1]));
      const gaps = times.slice(1).map((time, i) => time - (times[i] ?? time));
      return { acknowledged: lines.length, gap: Math.round(Math.max(...gaps) * 10) / 10 };
    },
  };
}
