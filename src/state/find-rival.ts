import type { MachineIdentity } from '../boot/identify-machine.ts';
import type { MacAddress } from '../net/mac.ts';
import type { SiteNode } from '../site/site.ts';
import type { MachineState, Machines } from './fold-events.ts';

/** A node that reports is alive for three reports, one that boots for as long as a slow step takes. Milliseconds. */
const aliveFor = 30_000;
const bootingFor = 120_000;

/**
 * Another machine that lives as this node now. Two of them would have one address and one set of keys: the one
 * that is there goes on, and the newcomer waits until it is silent.
 */
export function findRival(
  machines: Machines,
  node: SiteNode,
  identity: MachineIdentity,
  now: number,
): MacAddress | undefined {
  for (const state of machines.values()) {
    if (state.run.node !== node.name || state.run.bootId === '') continue;
    if (!isAlive(state, now) || isSameMachine(state, node, identity)) continue;
    return state.machine;
  }
  return undefined;
}

function isAlive({ run }: MachineState, now: number): boolean {
  const isUp = run.stage === 'ready' || run.stage === 'failed';
  return !run.silent && now - run.heardAt <= (isUp ? aliveFor : bootingFor);
}

/** One machine boots by any of its cards. */
function isSameMachine(
  { machine, hardware }: MachineState,
  node: SiteNode,
  { mac, uuid, serial }: MachineIdentity,
): boolean {
  if (machine === mac) return true;
  const { macs } = node.id;
  if (macs.includes(machine) && macs.includes(mac)) return true;
  if (!hardware) return false;
  if (hardware.nics.some((nic) => nic.mac.toLowerCase() === mac)) return true;
  // Some makers give one UUID to all their boards.
  return hardware.uuid.toLowerCase() === uuid && hardware.serial === serial;
}
