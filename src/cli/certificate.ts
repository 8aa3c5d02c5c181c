import { readFile } from 'node:fs/promises';
import { AppError } from '../errors.ts';
import {
  type Certificate,
  findCertificate,
  importCertificate,
  listCertificates,
} from '../state/certificates.ts';
import { unreadable } from '../system/unreadable.ts';
import { type RegisterCommand, say } from './command.ts';
import { renderTable } from './table.ts';

/** `rolecall certificate`: the TLS keys and certificates that nodes get with their secrets. */
export const register: RegisterCommand = (program, globals) => {
  const certificate = program
    .command('certificate')
    .description('TLS certificates of roles, kept in the state folder');

  certificate
    .command('ls')
    .description('list them; the server makes one when a node first needs it')
    .action(async () => {
      const found = await listCertificates(globals().state);
      const broken = found.filter((one) => one instanceof AppError);
      const rows = found.flatMap((one) => (one instanceof AppError ? [] : [rowOf(one)]));
      if (globals().json) say(JSON.stringify(rows, null, 2));
      else if (rows.length > 0) {
        say(
          renderTable(
            ['certificate', 'for', 'made by', 'until'],
            rows.map((row) => [
              row.name,
              row.hosts.join(' '),
              row.selfSigned ? 'itself' : row.issuer,
              row.until.slice(0, 10),
            ]),
          ),
        );
      } else if (broken.length === 0) {
        say('no certificate yet: the server makes one when a node first needs it');
      }
      const [first] = broken;
      if (first) {
        throw new AppError(first.code, broken.map((one) => one.message).join('\n'), first.hint);
      }
    });

  certificate
    .command('show')
    .description('print the certificate, without its key, as clients may have it')
    .argument('<name>', 'such as mail')
    .action(async (name: string) => {
      const found = await findCertificate(globals().state, name);
      if (!found) {
        const hint = 'rolecall certificate ls; the server makes one when a node first needs it';
        throw new AppError('no-certificate', `there is no certificate ${name}`, hint);
      }
      if (globals().json) say(JSON.stringify([{ ...rowOf(found), pem: found.chain }], null, 2));
      else process.stdout.write(found.chain);
    });

  certificate
    .command('import')
    .description('put your own key and certificates in its place')
    .argument('<name>', 'such as mail')
    .argument(
      '<pem...>',
      'files with the key, its certificate and those between it and the root; one may hold all',
    )
    .action(async (name: string, files: string[]) => {
      const pems = await Promise.all(files.map(readPem));
      const found = await importCertificate(globals().state, name, pems, Date.now());
      if (globals().json) return say(JSON.stringify([rowOf(found)], null, 2));
      const { file, hosts, until } = rowOf(found);
      say(`wrote ${file}: for ${hosts.join(' ')}, until ${until.slice(0, 10)}`);
      say('nodes get it with their next boot');
    });
};

function rowOf(found: Certificate) {
  const { name, file, hosts, issuer, selfSigned, validUntil, fingerprint } = found;
  const names = hosts.map((host) => host.replace(/^DNS:/, ''));
  const until = new Date(validUntil).toISOString();
  return { name, file, hosts: names, issuer, selfSigned, until, fingerprint };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const why = unreadable(error);
    if (!why) throw error;
    throw new AppError('usage', `${file}: ${why.message}`, why.hint);
  }
}
