import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import type { GlobalOptions } from './cli/command.ts';
import { loadCommands } from './cli/commands.ts';
import { strangeAnswer } from './cli/strange-answer.ts';
import { systemFailure } from './cli/system-failure.ts';
import { readVersion } from './cli/version.ts';
import { AppError } from './errors.ts';
import { parseListenFds } from './system/inherited-sockets.ts';

/** `/var/lib/rolecall` for root, the XDG state folder for users. */
function defaultState(): string {
  if (process.env.ROLECALL_STATE) return process.env.ROLECALL_STATE;
  if (process.getuid?.() === 0) return '/var/lib/rolecall';
  return join(process.env.XDG_STATE_HOME ?? join(homedir(), '.local/state'), 'rolecall');
}

const program = new Command('rolecall')
  .description(
    'One image for every server. A small role file says what each machine is;\nat power-on it asks the network, and becomes it.',
  )
  .option(
    '--site <dir>',
    'the site folder; ROLECALL_SITE says it too',
    process.env.ROLECALL_SITE ?? '.',
  )
  .option('--state <dir>', "the server's own folder; ROLECALL_STATE says it too", defaultState())
  .option('--json', 'print JSON for other programs')
  .version(readVersion(), '--version', 'print the version')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride();

const listenFds = parseListenFds(process.env, process.pid);
const globals = (): GlobalOptions => {
  const options = program.opts<{ site: string; state: string; json?: boolean }>();
  return {
    site: resolve(options.site),
    state: resolve(options.state),
    json: options.json ?? false,
    supervised: process.env.NOTIFY_SOCKET !== undefined,
    ...(listenFds ? { listenFds } : {}),
  };
};

for (const register of await loadCommands(process.argv.slice(2))) register(program, globals);
showUsageAfterErrors(program);

// A reader such as head(1) may leave before the end: then the shell's code for SIGPIPE (signal(7)), and no word.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 128 + 13 : report(error));
});
// Who reads the progress may leave too: a build or a server goes on, and the exit code stays what it is.
process.stderr.on('error', () => {});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Who typed a command wrongly sees how it is called, and not the list of all commands. */
function showUsageAfterErrors(command: Command, path = 'rolecall'): void {
  command.showHelpAfterError(`usage: ${path} ${command.usage()}\n(${path} --help says more)`);
  for (const inner of command.commands) showUsageAfterErrors(inner, `${path} ${inner.name()}`);
}

/** Exit codes: 0 done, 1 failed, 2 bad usage or invalid site. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const failure =
    error instanceof AppError ? error : (systemFailure(error) ?? strangeAnswer(error));
  if (!failure) throw error;
  process.stderr.write(`rolecall: ${failure.message}\n`);
  if (failure.hint) process.stderr.write(`  ${failure.hint.replaceAll('\n', '\n  ')}\n`);
  return ['usage', 'invalid-site', 'lock-misfit'].includes(failure.code) ? 2 : 1;
}
