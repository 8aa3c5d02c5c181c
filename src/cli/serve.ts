import { AppError } from '../errors.ts';
import { startServer } from '../server/start-server.ts';
import { type RegisterCommand, say } from './command.ts';
import { readVersion } from './version.ts';

/** `rolecall serve`: the boot server, in the foreground until SIGTERM or SIGINT. */
export const register: RegisterCommand = (program, globals) => {
  program
    .command('serve')
    .description('answer DHCP, TFTP and HTTP: boot the machines of the site')
    .option('--admin <address:port>', 'where console, API and metrics listen', '127.0.0.1:8470')
    .option('--no-admin', 'only the unix socket in the state folder')
    .action(async (options: { admin: string | false }) => {
      const { site, state } = globals();
      const server = await startServer({
        siteDir: site,
        stateDir: state,
        version: readVersion(),
        log: say,
        ...(options.admin === false ? {} : { admin: parseListen(options.admin) }),
      });
      say(`rolecall serves site ${server.site}: ${server.listens.join(' · ')}`);
      await new Promise<void>((resolve) => {
        process.once('SIGTERM', resolve);
        process.once('SIGINT', resolve);
      });
      say('rolecall: stopping; transfers under way get a moment to end');
      await server.stop();
    });
};

function parseListen(text: string): { host: string; port: number } {
  const found = /^(.+):(\d{1,5})$/.exec(text);
  const port = Number(found?.[2]);
  if (!found?.[1] || port > 65535) {
    throw new AppError('usage', `--admin ${text} is no address:port`, '--admin 127.0.0.1:8470');
  }
  return { host: found[1], port };
}
