/**
 * Keeps a network with one BIOS and one UEFI guest in the folder of its argument, until it is killed.
 * Prints the pid of the namespace's holder and of both guests when they run.
 */
import { join } from 'node:path';
import { startNetwork } from '../../../src/lab/network.ts';
import { planNetwork } from '../../../src/lab/network-plan.ts';
import { startVm } from '../../../src/lab/vm.ts';
import { planGuests } from '../../../src/lab/vm-spec.ts';
import { loadSite } from '../../../src/site/load-site.ts';

const [folder = ''] = process.argv.slice(2);
const site = await loadSite(new URL('../sites/webs', import.meta.url).pathname);
if (!site.ok) throw new Error(JSON.stringify(site.problems));
const guests = planGuests(site.value, { spares: 0, memory: 128 });
const plan = planNetwork(site.value, guests);
const network = await startNetwork(plan, folder);
const pids = [network.pid];
for (const guest of guests) {
  const taps = plan.taps.filter((tap) => tap.guest === guest.name).map((tap) => tap.name);
  const vm = await startVm(guest, {
    network,
    taps,
    accelerator: 'tcg',
    roms: {},
    folder: join(folder, guest.name),
  });
  pids.push(vm.pid);
}
process.stdout.write(`${JSON.stringify(pids)}\n`);
