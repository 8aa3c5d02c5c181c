import type { YamlPlace } from './yaml-file.ts';

const keyTypes = [
  'ssh-ed25519',
  'ssh-rsa',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
] as const;

/** Why a text is no public key of OpenSSH (`type base64 comment`), or undefined where it is one. */
export function publicKeyFault(text: string): string | undefined {
  if (text.includes('PRIVATE KEY')) return 'this is a private key: never write it into the site';
  if (/[\r\n]/.test(text)) return 'a key is one line';
  const [type = '', body = ''] = text.trim().split(/\s+/);
  if (!(keyTypes as readonly string[]).includes(type)) {
    return `a key starts with its type, such as ssh-ed25519; this starts with ${type.slice(0, 24)}`;
  }
  // RFC 4253 §6.6: the body starts with the length and the name of the type once more.
  const bytes = Buffer.from(body, 'base64');
  const length = bytes.length >= 4 ? bytes.readUInt32BE(0) : 0;
  const inner = bytes.subarray(4, 4 + length).toString('latin1');
  const whole = /^[A-Za-z0-9+/]+=*$/.test(body) && body.length % 4 === 0 && inner === type;
  const shortest = type === 'ssh-ed25519' ? 51 : 70;
  return whole && bytes.length >= shortest ? undefined : 'the key is cut off or changed';
}

/** The admins' keys; without one nobody could ever log in, so an empty list is refused. */
export function readAdmins(place: YamlPlace): readonly string[] {
  const keys: string[] = [];
  for (const item of place.items()) {
    const text = item.text('ssh-ed25519 AAAA… ops')?.trim();
    if (text === undefined) continue;
    const fault = publicKeyFault(text);
    if (fault) item.problem(`not an SSH public key: ${fault}`, 'paste the line of a .pub file');
    else if (keys.includes(text)) item.problem('this key is listed twice', 'once is enough');
    else keys.push(text);
  }
  if (place.items().length === 0) {
    place.problem(
      'admins is empty: nobody could log in to any node',
      'paste the line of ~/.ssh/id_ed25519.pub; ssh-keygen -t ed25519 makes one',
    );
  }
  return keys;
}
