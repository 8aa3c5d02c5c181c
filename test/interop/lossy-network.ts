import { runProgram } from '../../src/system/run-program.ts';

/** Two network namespaces with a cable between them that loses packets. */
export interface LossyNetwork {
  readonly server: { readonly name: string; readonly address: string };
  readonly client: { readonly name: string; readonly address: string };
  /** From now on so many of a hundred UDP datagrams are lost, in each direction. */
  lose(percent: number): Promise<void>;
  /** From now on the first acknowledgement of each client's options is lost. */
  loseFirstAnswers(): Promise<void>;
  remove(): Promise<void>;
}

/** Makes the namespaces `<name>-s` and `<name>-c`; needs root. */
export async function createLossyNetwork(name: string): Promise<LossyNetwork> {
  const server = { name: `${name}-s`, address: '192.0.2.1' };
  const client = { name: `${name}-c`, address: '192.0.2.2' };
  const ends = [server, client];
  const remove = async () => {
    for (const end of ends) await runProgram('ip', ['netns', 'del', end.name], { accept: [1] });
  };
  await remove();
  for (const end of ends) await runProgram('ip', ['netns', 'add', end.name]);
  const cable = ['link', 'add', 'eth0', 'netns', server.name, 'type', 'veth'];
  await runProgram('ip', [...cable, 'peer', 'name', 'eth0', 'netns', client.name]);
  for (const end of ends) {
    await runProgram('ip', ['-n', end.name, 'address', 'add', `${end.address}/24`, 'dev', 'eth0']);
    await runProgram('ip', ['-n', end.name, 'link', 'set', 'eth0', 'up']);
  }
  const filter = async (end: { readonly name: string }, sets: string, rule: string) => {
    const rules = `
      table inet loss
      delete table inet loss
      table inet loss {
        ${sets}
        chain arriving {
          type filter hook input priority 0
          ${rule}
        }
      }`;
    await runProgram('ip', ['netns', 'exec', end.name, 'nft', '-f', '-'], { input: rules });
  };
  return {
    server,
    client,
    remove,
    // Dropped where they arrive: where they leave, the sender would be told.
    lose: async (percent) => {
      const rule = `meta l4proto udp numgen random mod 100 < ${percent} drop`;
      for (const end of ends) await filter(end, '', rule);
    },
    loseFirstAnswers: async () => {
      // Four bytes: opcode 4, block 0.
      const rule =
        'udp length 12 @th,64,32 0x00040000 udp sport != @heard add @heard { udp sport } drop';
      await filter(client, '', 'accept');
      await filter(server, 'set heard { type inet_service; flags dynamic; timeout 5m; }', rule);
    },
  };
}
