import { runProgram } from '../../src/system/run-program.ts';

/** Two network namespaces with a cable between them that loses packets. */
export interface LossyNetwork {
  readonly server: { readonly name: string; readonly address: string };
  readonly client: { readonly name: string; readonly address: string };
  /** From now on so many of a hundred UDP datagrams are lost, in each direction. */
  lose(percent: number): Promise<void>;
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
  return {
    server,
    client,
    remove,
    // Dropped where they arrive: where they leave, the sender would be told.
    lose: async (percent) => {
      const rules = `
        table inet loss
        delete table inet loss
        table inet loss {
          chain arriving {
            type filter hook input priority 0
            meta l4proto udp numgen random mod 100 < ${percent} drop
          }
        }`;
      for (const end of ends) {
        await runProgram('ip', ['netns', 'exec', end.name, 'nft', '-f', '-'], { input: rules });
      }
    },
  };
}
