import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../src/http/boot-service.ts';
import type { Ipv4 } from '../../src/net/ipv4.ts';
import { parseMac } from '../../src/net/mac.ts';
import type { Fleet } from '../../src/roles/fleet.ts';
import { spareNode } from '../../src/roles/fleet.ts';
import { loadFleet } from '../../src/roles/load-fleet.ts';
import { renderContents } from '../../src/roles/render-contents.ts';
import { readyDir } from '../../src/roles/render-overlay.ts';
import type { SiteNode, Volume } from '../../src/site/site.ts';
import { images } from './harness/lab-under-test.ts';
import { bootSet, type NamespacedNode, startNode } from './harness/node-in-namespace.ts';
import { until } from './harness/processes.ts';

const site = join(import.meta.dirname, '../golden/overlay/lab-swap/site');
const mac = parseMac('52:54:00:77:00:99');
const spareOfTest = mac && spareNode('spare-525400770099', mac);
const started: NamespacedNode[] = [];

/** The mail server serves pages too: several roles on one node. */
function both(node: SiteNode | undefined): SiteNode {
  if (!node) throw new Error('no such node');
  return { ...node, roles: ['web', ...node.roles] };
}

let fleet: Fleet;
let web: NamespacedNode;
let mail: NamespacedNode;
let spare: NamespacedNode;

beforeAll(async () => {
  const loaded = await loadFleet(site);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded));
  fleet = loaded.value;
  const { nodes } = fleet.site;
  const start = async (node: Parameters<typeof startNode>[3] | undefined) => {
    if (!node) throw new Error('no such node');
    const running = await startNode(images, site, fleet, node);
    started.push(running);
    return running;
  };
  web = await start(nodes.get('web1'));
  mail = await start(both(nodes.get('web2')));
  spare = await start(spareOfTest);
});

afterAll(async () => {
  for (const node of started) await node.stop();
});

const isReady = (report: Report) => report.stage === 'ready';

/** Breaks a service, sees the reason reported, mends it, sees the node ready again. */
async function breaks(node: NamespacedNode, stop: string, reason: RegExp, start: string) {
  await node.report('it is ready', isReady);
  const before = node.reports().length;
  expect(await node.sh(stop)).toBe('');
  try {
    const failed = await node.report('it fails', (r) => r.stage === 'failed', before);
    expect(failed).toMatchObject({ reason: expect.stringMatching(reason) });
  } finally {
    await node.sh(start);
  }
  await node.report('it is ready again', isReady, before);
}

describe('a node whose service breaks says which and why, and is ready again when it works', () => {
  it('base: SSH', async () => {
    await breaks(web, 'systemctl stop ssh', /^base: SSH does not greet/, 'systemctl start ssh');
  });

  it('web: nginx', async () => {
    const reason = /^web: Failed to connect to 10\.77\.0\.11 port 80/;
    await breaks(web, 'systemctl stop nginx', reason, 'systemctl start nginx');
  });

  it('mail: dovecot', async () => {
    const reason = /^mail: IMAP: Failed to connect to mail\.lab\.example port 993/;
    await breaks(mail, 'systemctl stop dovecot', reason, 'systemctl start dovecot');
  });

  it('mail: postfix', async () => {
    const reason = /^mail: SMTP: Failed to connect to 10\.77\.0\.12 port 25/;
    await breaks(mail, 'systemctl stop postfix', reason, 'systemctl start postfix');
  });

  it('spare: a boot server that does not take the hardware', async () => {
    await spare.report('it is ready', isReady);
    spare.answer('refuse', true);
    const before = spare.reports().length;
    await spare.sh('systemctl restart rolecall-report');
    const failed = await spare.report('it fails', (r) => r.stage === 'failed', before);
    expect(failed).toMatchObject({ reason: 'spare: the hardware is not reported yet' });
    spare.answer('refuse', false);
    await spare.report('it is ready again', isReady, before);
    expect(
      spare
        .reports()
        .slice(before)
        .map((r) => r.stage),
    ).toContain('hardware');
  });
});

describe('a mail server on a machine that is busy', () => {
  /** What the check says that has `limit` seconds while dovecot stands still, for `seconds` or to its end. */
  const ask = async (limit: number, seconds = '') => {
    await mail.report('it is ready', isReady);
    const thaw = seconds && `(sleep ${seconds}; systemctl thaw dovecot) >/dev/null 2>&1 &`;
    try {
      return await mail.sh(
        `systemctl freeze dovecot; ${thaw}
         READY_SECONDS=${limit} timeout -k 2 ${limit} ${readyDir}/mail; echo "ended with $?"`,
      );
    } finally {
      await mail.sh('systemctl thaw dovecot');
    }
  };

  it('is ready where IMAP takes as long as a machine that boots beside seven others', async () => {
    const given = await mail.sh("sed -n 's/^export READY_SECONDS=//p' /usr/lib/rolecall/report");
    expect(await ask(Number(given), '9')).toBe('ended with 0');
    const inbox = 'curl --config /run/rolecall-mail/login imaps://mail.lab.example/INBOX';
    const left = () => mail.sh(`${inbox} --request 'SEARCH ALL'`);
    await expect.poll(left, { timeout: 10_000 }).toBe('* SEARCH');
  });

  it('is not where IMAP does not answer, and says so in the time that it has', async () => {
    expect(await ask(5)).toMatch(/^IMAP: .*timed out.*\nended with 1$/);
  });
});

describe('on the node', () => {
  it('no unit has failed', async () => {
    for (const node of [web, mail, spare]) {
      await node.report('it is ready', isReady);
      const failed = await node.sh('systemctl list-units --failed --plain --no-legend');
      expect(failed).toBe('');
    }
  });

  it('what listens is what its roles say', async () => {
    const open = async (node: NamespacedNode) => {
      await node.report('it is ready', isReady);
      const lines = await node.sh(
        'ss -Hltun | awk \'$5 !~ /^(127[.]|\\[::1\\])/ { sub(".*:", "", $5); print $1 "/" $5 }\' | sort -u',
      );
      return lines.trim().split('\n').sort();
    };
    const declared = (node: SiteNode | undefined) => {
      if (!node) throw new Error('no such node');
      const { listens, problems } = renderContents(fleet, node);
      expect(problems).toEqual([]);
      return [...listens.values()].flat().sort();
    };
    expect(await open(web)).toEqual(declared(fleet.site.nodes.get('web1')));
    expect(await open(mail)).toEqual(declared(both(fleet.site.nodes.get('web2'))));
    expect(await open(spare)).toEqual(declared(spareOfTest));
    // Two roles on one node.
    expect(await open(mail)).toEqual(expect.arrayContaining(['tcp/80', 'tcp/993']));
  });

  it('the page and the console name the boot set', async () => {
    expect(await web.sh('curl -s http://10.77.0.11/')).toContain(`>${bootSet}</code>`);
    expect(await web.sh('curl -s http://10.77.0.11/health')).toBe('ok');
    expect(await web.sh('cat /etc/issue /run/issue.d/*')).toBe(
      `web1 (web) of lab\nboot set ${bootSet.slice(0, 12)}\n`,
    );
  });

  it('SSH takes keys only and shows the host key of the secrets', async () => {
    const config = await web.sh('sshd -T');
    expect(config).toContain('\npasswordauthentication no\n');
    expect(config).toContain('\nkbdinteractiveauthentication no\n');
    expect(config).toContain('\npermitrootlogin without-password\n');
    const shown = (await web.sh('ssh-keyscan -q -t ed25519 127.0.0.1')).split(' ')[2];
    const made = (await web.sh('ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key')).split(' ')[1];
    expect(shown?.trim()).toBe(made);
    expect(await web.sh('ls /etc/ssh/ssh_host_*')).toBe('/etc/ssh/ssh_host_ed25519_key');
  });

  it('no account has a password', async () => {
    const open = await web.sh("awk -F: '$2 !~ /^[!*]/ { print $1 }' /etc/shadow");
    expect(open).toBe('');
  });

  it('what fills the RAM is warned of once', async () => {
    await mail.report('it is ready', isReady);
    const before = mail.reports().length;
    await mail.sh('head -c 57000000 /dev/zero >/srv/mail/big');
    const warning = await mail.report('it warns', (r) => r.stage === 'warning', before);
    expect(warning).toMatchObject({ reason: expect.stringMatching(/^\/srv\/mail is 8\d % full$/) });
    await mail.sh('rm /srv/mail/big');
    expect(mail.reports().filter((r) => r.stage === 'warning')).toHaveLength(1);
  });

  it('mail comes in for users and aliases only, and is read by their owner only', async () => {
    await mail.report('it is ready', isReady);
    const send = (to: string) =>
      mail.sh(
        `printf 'Subject: hello\\r\\n\\r\\nhello\\r\\n' | curl -sS --max-time 20 -T - --mail-from a@b.example --mail-rcpt ${to} smtp://10.77.0.12/client.example`,
      );
    const read = (login: string) =>
      mail.sh(`curl -sS --max-time 20 -k -u ${login} imaps://10.77.0.12/INBOX -X 'SEARCH ALL'`);
    expect(await send('postmaster@lab.example')).toBe('');
    expect(await send('ops+tag@lab.example')).toBe('');
    expect(await send('nobody@lab.example')).toContain('RCPT failed: 550');
    expect(await send('someone@elsewhere.example')).toContain('RCPT failed: 554');
    expect(await send('probe@mail.lab.example')).toBe('');
    await expect
      .poll(() => read('ops@lab.example:lab'), { timeout: 10_000 })
      .toContain('SEARCH 1 2');
    expect(await read('ops@lab.example:other')).toContain('Login denied');
    expect(await read('alice@lab.example:lab')).toBe('* SEARCH');
  });

  it('users send by TLS and with their password only, and in their own name', async () => {
    await mail.report('it is ready', isReady);
    const tls = '--ssl-reqd --cacert /etc/ssl/private/mail.pem';
    const send = (login: string, from: string, to: string, how = tls, port = 587) =>
      mail.sh(
        `printf 'Subject: hello\\r\\n\\r\\nhello\\r\\n' | curl -sS --max-time 20 ${how} --resolve mail.lab.example:${port}:10.77.0.12 -u ${login} -T - --mail-from ${from} --mail-rcpt ${to} smtp://mail.lab.example:${port}/client.example`,
      );
    const ops = 'ops@lab.example';
    expect(await send(`${ops}:lab`, ops, 'alice@lab.example')).toBe('');
    expect(await send(`${ops}:lab`, 'postmaster@lab.example', 'alice@lab.example')).toBe('');
    expect(await send(`${ops}:lab`, ops, 'you@elsewhere.invalid')).toBe('');
    expect(await mail.sh('postqueue -p')).toContain('you@elsewhere.invalid');
    expect(await send(`${ops}:lab`, 'alice@lab.example', ops)).toContain('RCPT failed: 553');
    expect(await send(`${ops}:other`, ops, ops)).toContain('Login denied');
    expect(await send(`${ops}:lab`, ops, ops, '')).toContain('MAIL failed: 530');
    const relayed = await send(`${ops}:lab`, ops, 'you@elsewhere.invalid', tls, 25);
    expect(relayed).toContain('RCPT failed: 554');
    // In the clear a password is not even looked at, but for the machine itself.
    await mail.sh('ip address add 10.99.0.2/32 dev lo');
    const clear = 'curl -sS --interface 10.99.0.2 -u alice@lab.example:lab imap://10.77.0.12/INBOX';
    expect(await mail.sh(`${clear} -X 'SEARCH ALL'`)).toContain('Login denied');
    await mail.sh('postsuper -d ALL');
  });

  it('the key of the certificate is readable by root only', async () => {
    expect(await mail.sh("stat -c '%a %U' /etc/ssl/private/mail.pem")).toBe('600 root');
    expect(await mail.sh("grep -c 'BEGIN.*PRIVATE' /etc/ssl/private/mail.pem")).toBe('1');
  });

  it('mailboxes that are lost stop the mail server, which comes back with them', async () => {
    await mail.report('it is ready', isReady);
    const before = mail.reports().length;
    await mail.sh('systemctl mask --runtime srv-mail.mount; umount -l /srv/mail');
    // A check that was under way may first say what it met.
    const why =
      /^mail: (the file system is gone from|waits for the file system: it is not mounted on) \/srv\/mail/;
    await mail.report(
      'it fails for that',
      (r) => r.stage === 'failed' && why.test(r.reason),
      before,
    );
    const ports = /:(25|143|587|993) /;
    await until('its ports close', 30, async () => !ports.test(await mail.sh('ss -Hltn')));
    const sinceFailed = mail.reports().length;
    await mail.sh('systemctl unmask --runtime srv-mail.mount; systemctl daemon-reload');
    await mail.report('it is ready again', isReady, sinceFailed);
  });

  it('a mail from elsewhere does not come into the mailbox of the probe', async () => {
    await mail.sh('ip address add 10.99.0.1/32 dev lo');
    const said = await mail.sh(
      "printf 'x' | curl -sS --interface 10.99.0.1 -T - --mail-from a@b.example --mail-rcpt probe@mail.lab.example smtp://10.77.0.12/x.example",
    );
    expect(said).toContain('RCPT failed: 554');
  });
});

it('a mail server says which volume it waits for, then whose turn it is, and serves when it is its own', async () => {
  // The kernel here has no NFS; what the node waits for is put in place by hand.
  const [vip, at] = [new Map([['boot', '10.77.0.111' as Ipv4]]), '/srv/mail'];
  const post: Volume = {
    ...{ name: 'post', nodes: ['nfs1', 'nfs2'], device: '/dev/vda', replication: 'boot', vip, at },
    clients: { kind: 'role', role: 'mail' },
  };
  const withVolume = { ...fleet, site: { ...fleet.site, volumes: new Map([['post', post]]) } };
  const node = fleet.site.nodes.get('web2');
  if (!node) throw new Error('no such node');
  const waiting = await startNode(images, site, withVolume, node);
  started.push(waiting);
  const says = async (reason: RegExp, from = 0) =>
    waiting.report(`it says ${reason}`, (r) => r.stage === 'failed' && reason.test(r.reason), from);
  await says(
    /^mail: waits for the volume post: it is not mounted on .srv.mail from 10.77.0.111:.post/,
  );

  let before = waiting.reports().length;
  await waiting.sh(`mkdir /run/post && echo mail9 >/run/post/holder
    systemd-run --quiet --unit other flock /run/post/holder sleep infinity
    until ! flock -n /run/post/holder true; do sleep 0.1; done
    mount --bind /run/post /srv/mail`);
  const standby = { stage: 'ready', reason: 'mail: stands by: mail9 uses the volume post' };
  expect(await waiting.report('it stands by', isReady, before)).toMatchObject(standby);
  expect(await waiting.sh('ss -Hltn')).not.toMatch(/:(25|143|587|993) /);

  before = waiting.reports().length;
  await waiting.sh('systemctl stop other');
  expect(await waiting.report('it is ready', isReady, before)).toMatchObject({ reason: '' });

  const pidsOfBoth = async () =>
    (
      await waiting.sh(
        'cd /sys/fs/cgroup/system.slice; cat postfix.service/cgroup.procs dovecot.service/cgroup.procs; true',
      )
    )
      .split('\n')
      .filter((pid) => pid !== '');
  const serving = await pidsOfBoth();
  expect(serving.length).toBeGreaterThan(2);

  // Another one took it while this node stalled: nothing is finished, and what is stopped comes back by itself.
  await waiting.sh('echo mail9 >/srv/mail/holder');
  const said = (unit: string) => waiting.sh(`journalctl -o cat -u ${unit}`);
  await until('the reason is said', 20, async () =>
    (await said('rolecall-mail-store')).includes('the volume post is used by mail9\n'),
  );
  // Asked to stop, these would say so and finish what they do. How systemd words a kill depends on what it
  // sees first, the signal or the empty cgroup.
  await until(
    'postfix and dovecot are gone',
    20,
    async () => !(await pidsOfBoth()).some((pid) => serving.includes(pid)),
  );
  expect(await said('postfix')).not.toMatch(/stopping the Postfix mail system|terminating on/);
  expect(await said('dovecot')).not.toMatch(/[Kk]illed with signal 15/);
  await until('both serve again', 60, async () => {
    const ports = await waiting.sh('ss -Hltn');
    return [/:25 /, /:993 /].every((port) => port.test(ports));
  });
});

it('a spare that has a role file now reboots when the server says so', async () => {
  await spare.report('it is ready', isReady);
  spare.answer('reboot', true);
  await spare.ended;
});
