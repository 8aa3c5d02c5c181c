import { AppError } from '../errors.ts';
import { openLastGoodSite } from '../server/last-good-site.ts';
import { withOpenSockets } from '../server/open-sockets.ts';
import { startServer } from '../server/start-server.ts';
import { loadSite } from '../site/load-site.ts';
import { inheritedListeners, inheritedSockets } from '../system/inherited-sockets.ts';
import { runProgram } from '../system/run-program.ts';
import type { RegisterCommand } from './command.ts';
import { createLineLog } from './line-log.ts';
import { readVersion } from './version.ts';

/** `rolecall serve`: the boot server, in the foreground until SIGTERM or SIGINT. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('serve')
    .description('answer DHCP, TFTP and HTTP: boot the machines of the site')
    .option('--admin <address:port>', 'where console, API and metrics listen', '127.0.0.1:8470')
    .option('--no-admin', 'only the unix socket in the state folder')
    .action(async (options: { admin: string | false }) => {
      const { site, state, supervised, listenFds } = globals();
      if (!listenFds) await restartWithSockets(site, state);
      const log = createLineLog((text) => process.stdout.write(text));
      process.once('exit', log.flush);
      const server = await startServer({
        siteDir: site,
        stateDir: state,
        version: readVersion(),
        log: log.add,
        ...(listenFds
          ? {
              broadcasts: inheritedSockets(listenFds, 67),
              listeners: inheritedListeners(listenFds),
            }
          : {}),
        ...(options.admin === false ? {} : { admin: parseListen(options.admin) }),
      });
      const serves = `serves site ${server.site}: ${server.listens.join(' · ')}`;
      log.add(`rolecall ${serves}`);
      // sd_notify(3) sends a datagram over a unix socket, which Node has not.
      if (supervised) await runProgram('systemd-notify', ['--ready', `--status=${serves}`]);
      await new Promise<void>((resolve) => {
        process.once('SIGTERM', resolve);
        process.once('SIGINT', resolve);
      });
      log.add('rolecall: stopping; transfers under way get a moment to end');
      await server.stop();
    });
};

/** Becomes this same program with its sockets open; returns where no site says which those are. */
async function restartWithSockets(siteDir: string, stateDir: string): Promise<void> {
  const loaded = await loadSite(siteDir);
  const site = loaded.ok ? loaded.value : (await openLastGoodSite(stateDir).load())?.site;
  const self = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const command = site && (await withOpenSockets(site, { dhcp: 67, http: 80 }, self));
  if (command) process.execve?.(command[0] ?? '', command, process.env);
}

function parseListen(text: string): { host: string; port: number } {
  // An IPv6 address stands in brackets (RFC 3986 §3.2.2).
  const found = /^(?:\[(.+)\]|([^[\]:]+)):(\d{1,5})$/.exec(text);
  const host = found?.[1] ?? found?.[2];
  const port = Number(found?.[3]);
  if (host === undefined || port > 65535) {
    throw new AppError(
      'usage',
      `--admin ${text} is no address:port`,
      '--admin 127.0.0.1:8470 or --admin [::1]:8470',
    );
  }
  return { host, port };
}
