import { writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import { lastBootSchema } from '../http/api-schemas.ts';
import { type MacAddress, parseMac } from '../net/mac.ts';
import { renderProblems } from '../render-problems.ts';
import { loadFleet } from '../roles/load-fleet.ts';
import { sortProblems } from '../site/parse-site.ts';
import { fetchAdmin, fetchAdminBytes } from './admin-client.ts';
import { type GlobalOptions, type RegisterCommand, say } from './command.ts';
import { fetchLastBoot } from './last-boot.ts';
import { namedMachine } from './which-machine.ts';

interface CaptureOptions {
  readonly output?: string;
  readonly seconds?: string;
  readonly server?: string;
}

/** Milliseconds between looks whether the machine is up. */
const lookInterval = 500;

/** `rolecall capture <node|mac>`: what the running server heard of a machine and told it, as a file for Wireshark. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('capture')
    .description("a machine's boot as a capture file for Wireshark")
    .argument('<node|mac>', 'a node of the site, or the MAC of any machine')
    .option('--output <file>', 'where to write it; else <node|mac>.pcap')
    .option('--seconds <n>', 'wait for its next boot, until it is ready or so long')
    .option('--server <url>', 'ask this server; else the one of the state folder')
    .addHelpText('after', contents)
    .action(async (who: string, options: CaptureOptions) => {
      const macs = await macsNamed(who, globals(), options.server);
      const seconds = readSeconds(options.seconds);
      const { mac, since } = await chooseBoot(macs, seconds, options, globals());
      const query = since === undefined ? '' : `?since=${since}`;
      const path = `/api/v1/machines/${mac}/boot.pcap${query}`;
      const bytes = await fetchAdminBytes(globals(), path, options.server);
      if (bytes.length <= emptyCapture) throw nothingSeen(mac, seconds);
      const file = options.output ?? `${who.replaceAll(':', '-')}.pcap`;
      writeFileSync(file, bytes);
      const row = { file, machine: mac, bytes: bytes.length };
      say(
        globals().json
          ? JSON.stringify([row], null, 2)
          : `${file}: ${bytes.length} bytes; open it with: wireshark ${file}`,
      );
    });
};

const contents = `
In the file: every DHCP message; of TFTP the requests, agreed options and errors; of HTTP the heads of
requests and answers. Not in it: TFTP's data blocks and acknowledgements, HTTP's bodies (their frames say how
long they were), what other servers on the segment send. The server sees datagrams and no frames, so Ethernet,
IP and TCP headers are made up around them: addresses, ports, lengths and times are right, the server's MAC
(02:00:00:00:00:01), TCP's sequence numbers and handshakes are not. No privilege is needed.`;

/** A capture file without a packet has its header alone. */
const emptyCapture = 24;

async function macsNamed(
  who: string,
  globals: GlobalOptions,
  server: string | undefined,
): Promise<readonly MacAddress[]> {
  const mac = parseMac(who);
  if (mac) return [mac];
  const loaded = await loadFleet(globals.site);
  if (!loaded.ok) throw new AppError('invalid-site', renderProblems(sortProblems(loaded.problems)));
  const { node, macs } = await namedMachine(loaded.value.site, who, globals, server);
  if (macs.length > 0) return macs;
  throw new AppError(
    'nothing-seen',
    `${node?.file ?? who} names no MAC, and no machine has asked as ${who} yet`,
    'name it by the MAC that it boots by: rolecall capture <mac>',
  );
}

function readSeconds(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const seconds = Number(text);
  if (/^\d{1,6}$/.test(text) && seconds > 0) return seconds;
  throw new AppError('usage', `--seconds ${text} is no number of seconds`, '--seconds 300');
}

/** The card whose boot is wanted, and from when on its packets count; milliseconds since the epoch. */
async function chooseBoot(
  macs: readonly MacAddress[],
  seconds: number | undefined,
  { server }: CaptureOptions,
  globals: GlobalOptions,
): Promise<{ readonly mac: string; readonly since?: number }> {
  // Also where nothing is waited for: it says so where no server runs.
  const [first = ''] = macs;
  const start = lastBootSchema.parse(
    await fetchAdmin(globals, `/api/v1/machines/${first}/boot`, server),
  );
  // The server's clock stamps the packets, and may differ from this one.
  const since = Date.parse(start.at);
  const end = Date.now() + (seconds ?? 0) * 1000;
  for (;;) {
    const found = await fetchLastBoot(globals, macs, server);
    const boot = found.kind === 'boot' ? found.boot : undefined;
    const isHeard = Date.parse(boot?.packets.at(-1)?.at ?? '') >= since;
    const isOver = isHeard && (boot?.state === 'ready' || boot?.state === 'failed');
    if (seconds === undefined) return { mac: boot?.machine ?? first };
    if (isOver || Date.now() >= end) return { mac: boot?.machine ?? first, since };
    await delay(lookInterval);
  }
}

function nothingSeen(mac: string, seconds: number | undefined): AppError {
  return seconds === undefined
    ? new AppError(
        'nothing-seen',
        `no boot of ${mac} was seen since the server started`,
        'switch it on; --seconds 300 waits for that. Is the cable in the boot network?',
      )
    : new AppError(
        'nothing-seen',
        `nothing came from ${mac} in ${seconds} s`,
        'is it switched on, does it boot from the network, is the cable in the boot network?',
      );
}
