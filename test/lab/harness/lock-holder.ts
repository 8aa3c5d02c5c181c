import { expect } from 'vitest';
import type { Scenario } from '../../../src/lab/scenario.ts';
import { until } from './processes.ts';

/**
 * A program on a node that holds a lock of a file on a volume and writes under it, and a second client that
 * wants it all the time: an NFS client of its own, with another name and address, in a network namespace of
 * the same machine.
 */
export interface LockHolder {
  /** Fails where the holder lost the lock, or the second client got it, since the last look. */
  isHeld(): Promise<void>;
  /** Ends the holder; resolves when the second client has the lock. */
  letGo(): Promise<void>;
}

const holder = (file: string) => `use IO::Handle; use Fcntl ":flock";
open my $f, ">>", "${file}" or die "open: $!";
flock $f, LOCK_EX or die "flock: $!";
open my $said, ">", "/run/holder.said"; $said->autoflush(1);
for (my $n = 1; ; $n++) {
  my $ok = print($f "held $n\\n") && $f->flush && $f->sync;
  print $said $ok ? "held\\n" : "lost: $!\\n";
  $f->clearerr;
  select undef, undef, undef, 0.5;
}
`;

const rival = (file: string) => `use IO::Handle; use Fcntl ":flock";
open my $f, ">>", "${file}" or die "open: $!";
open my $said, ">", "/run/rival.said"; $said->autoflush(1);
while (1) {
  my $got = flock $f, LOCK_EX | LOCK_NB;
  print $said $got ? "GOT\\n" : "no: $!\\n";
  flock $f, LOCK_UN if $got;
  select undef, undef, undef, 0.5;
}
`;

/** Where, from what and as whom. */
export interface LockSetting {
  readonly node: string;
  /** The node's address on the boot network, and another one that the volume lets in. */
  readonly address: string;
  readonly rivalAddress: string;
  /** `10.77.0.110:/www`, and where the node has it mounted. */
  readonly export: string;
  readonly at: string;
  /** The nodes that may lead the volume. */
  readonly servers: readonly string[];
}

/** Starts both; the holder has its lock and the rival was refused it when this resolves. */
export async function startLockHolder(lab: Scenario, setting: LockSetting): Promise<LockHolder> {
  const { node, address, rivalAddress, at, servers } = setting;
  await lab.ssh(
    node,
    `cat >/run/holder.pl <<'PERL'
${holder(`${at}/lock`)}PERL
cat >/run/rival.pl <<'PERL'
${rival('/run/rival/lock')}PERL
cat >/run/rival.sh <<'SH'
ip link set lo up
ip address add ${rivalAddress}/24 dev rival0
ip link set rival0 up
hostname rival
mkdir -p /run/rival
until mount -t nfs4 -o vers=4.2,hard ${setting.export} /run/rival; do sleep 1; done
exec perl /run/rival.pl
SH
ip netns add rival
ip link add rival0 link $(ip -o -4 address show to ${address} | awk '{ print $2; exit }') type macvlan mode bridge
ip link set rival0 netns rival
: >/run/holder.said; : >/run/rival.said
systemd-run --quiet --collect --unit holder perl /run/holder.pl
until grep -q held /run/holder.said; do sleep 0.2; done
systemd-run --quiet --collect --unit rival ip netns exec rival unshare -u -m sh /run/rival.sh`,
    120,
  );
  const said = async (who: string) => (await lab.ssh(node, `cat /run/${who}.said`)).split('\n');
  await until('the second client is refused the lock', 120, async () =>
    (await said('rival')).includes('no: Resource temporarily unavailable'),
  );
  // What is left of a run elsewhere is what it said.
  const whatTheySay = async () => {
    const logs = await Promise.all(
      [node, ...servers].map(async (name) => {
        const of =
          "journalctl -b -o short-precise --no-pager | grep -vE 'sshd|rolecall-agent' | grep -iE 'nfsd|nfs:|volume|ext4|drbd|rolecall:' | tail -n 60";
        return `${name}:\n${await lab.ssh(name, of).catch((error) => String(error))}`;
      }),
    );
    return logs.join('\n');
  };
  return {
    async isHeld() {
      const [held, refused] = [(await said('holder')).length, (await said('rival')).length];
      // Who waits for the server says nothing; both have been answered since.
      await until('both were answered since', 60, async () => {
        const now = [(await said('holder')).length, (await said('rival')).length] as const;
        return now[0] > held + 3 && now[1] > refused + 3;
      });
      const lost = (await said('holder')).filter((line) => line.startsWith('lost')).length;
      if (lost > 0) expect.fail(`the lock is lost, ${lost} times:\n${await whatTheySay()}`);
      expect(await said('rival'), 'the second client got the lock').not.toContain('GOT');
    },
    async letGo() {
      await lab.ssh(node, 'systemctl stop holder');
      await until('the second client has the lock', 60, async () =>
        (await said('rival')).includes('GOT'),
      );
      await lab.ssh(node, 'systemctl stop rival; ip netns delete rival');
    },
  };
}
