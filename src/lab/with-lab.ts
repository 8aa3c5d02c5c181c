import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Digest } from '../digest.ts';
import { AppError } from '../errors.ts';
import { openImageStore } from '../images/image-store.ts';
import { loadSite } from '../site/load-site.ts';
import { acceleratorMemory, chooseAccelerator } from './accelerator.ts';
import { startLab } from './lab.ts';
import {
  type LabFolder,
  labFolder,
  prepareLabSite,
  prepareLabState,
  prepareLabStateOf,
  requireSocketPaths,
} from './lab-folder.ts';
import { ensureImage, type LabImage, labImageOf } from './lab-image.ts';
import { planNetwork } from './network-plan.ts';
import type { Accelerator } from './qemu-args.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import { bootsAtOnce, switchOnInTurn } from './switch-on.ts';
import { defaultMemory, type GuestHardware, planGuests } from './vm-spec.ts';

/** What a scenario wants to start with. */
export interface ScenarioOptions {
  /** For its report. */
  readonly name: string;
  /** State folder whose image is booted; it is built there where it is not yet. */
  readonly images: string;
  /**
   * Digests of images of that folder that nodes boot, published there or not, in place of the one that is
   * built; the first is the one whose kernel and ROMs try the host.
   */
  readonly boot?: readonly [Digest, ...Digest[]];
  /** The site to copy. */
  readonly site: string;
  /** Changes the copy before anything starts. */
  readonly edit?: (siteFolder: string) => Promise<void>;
  /** Names of guests to start; all where absent. */
  readonly only?: readonly string[];
  /**
   * How guests are switched on: all at once where absent, a few at a time, as many as the processors carry, or
   * each by the scenario.
   */
  readonly switchOn?: 'in-turn' | 'by-scenario';
  /** Machines that no role file names; none where absent. */
  readonly spares?: number;
  /** Names of guests with UEFI firmware; none where absent. */
  readonly uefi?: readonly string[];
  /** Hardware other than the usual, by name of the guest. */
  readonly hardware?: Readonly<Record<string, GuestHardware>>;
  /** How many disks besides those of its volumes a guest has, by name. */
  readonly spareDisks?: Readonly<Record<string, number>>;
  /** MiB of each guest. */
  readonly memory?: number;
  /** How guests run; as a try shows where absent. */
  readonly accelerator?: Accelerator;
  /** A folder of its own for the lab, taken away before and after; a new one where absent. */
  readonly folder?: string;
  /** Where folders of scenarios that failed are kept; they go with the scenario where absent. */
  readonly keep?: string;
  /** Takes one line at a time of what happens. */
  readonly report: (line: string) => void;
}

/**
 * Brings a lab up in a folder of its own, runs the scenario and takes all down again, whatever happened.
 * A scenario that fails leaves the console logs in its report, and its folder where it is to be kept.
 */
export async function withLab<T>(
  options: ScenarioOptions,
  run: (scenario: Scenario) => Promise<T>,
): Promise<T> {
  const { report } = options;
  const start = Date.now();
  const folder = labFolder(options.folder ?? (await mkdtemp(join(tmpdir(), 'rc-lab-'))));
  await rm(folder.root, { recursive: true, force: true });
  const stops: (() => Promise<void>)[] = [];
  try {
    await prepareLabSite(folder, options.site, true);
    await options.edit?.(folder.site);
    const loaded = await loadSite(folder.site);
    if (!loaded.ok) throw new AppError('invalid-site', JSON.stringify(loaded.problems, null, 2));
    const guests = planGuests(loaded.value, {
      spares: options.spares ?? 0,
      uefi: options.uefi ?? [],
      hardware: options.hardware ?? {},
      memory: options.memory ?? defaultMemory,
      spareDisks: options.spareDisks ?? {},
      ...(options.only ? { only: options.only } : {}),
    });
    requireSocketPaths(folder, guests);
    const image = await prepareImage(options, folder);
    const memory = acceleratorMemory(options.images);
    const accelerator =
      options.accelerator ?? (await chooseAccelerator(image.kernel, memory)).accelerator;
    const names = guests.map(({ name }) => name);
    const atOnce = options.switchOn === 'in-turn' ? bootsAtOnce(accelerator) : guests.length;
    const inTurn = names.slice(atOnce);
    const lab = await startLab(
      folder,
      {
        network: planNetwork(loaded.value, guests),
        guests,
        off: options.switchOn === 'by-scenario' ? names : inTurn,
        vips: [],
        accelerator,
        roms: image.roms,
        ports: 'free',
      },
      () => {},
    );
    stops.push(() => lab.stop());
    const over = new AbortController();
    stops.push(async () => over.abort());
    const turns = switchOnInTurn(lab, { guests, inTurn, atOnce }, () => {}, over.signal);
    const result = await Promise.race([
      run(scenarioOf(lab, report, stops)),
      // Its failure is the scenario's; its end is nobody's.
      turns.then(() => new Promise<never>(() => {})),
    ]);
    await stopAll(stops);
    await rm(folder.root, { recursive: true });
    report(`${options.name}: ${seconds(start)} s under ${accelerator}`);
    return result;
  } catch (error) {
    report(`${options.name}: failed after ${seconds(start)} s: ${(error as Error).message}`);
    await stopAll(stops);
    if (options.keep !== undefined) {
      await mkdir(options.keep, { recursive: true });
      const kept = join(options.keep, `${options.name.replaceAll(/\W+/g, '-')}-${start}`);
      await cp(folder.root, kept, {
        recursive: true,
        // Neither sockets nor the image, which is only linked to.
        filter: (path) => !path.endsWith('.sock') && !path.endsWith('/images'),
      });
      report(`its logs are kept in ${kept}`);
    }
    await rm(folder.root, { recursive: true, force: true });
    throw error;
  }
}

/** Sees to it that the lab's server has the images that its machines shall boot. */
async function prepareImage(
  { images, boot, report }: ScenarioOptions,
  folder: LabFolder,
): Promise<LabImage> {
  if (!boot) {
    const image = await ensureImage(images, folder.site, (event) => {
      if (event.kind === 'step-started') report(`building the image: ${event.step.kind}`);
    });
    await prepareLabState(folder, images);
    return image;
  }
  const store = openImageStore(images);
  const image = await store.read(boot[0]);
  if (!image) throw new AppError('no-such-image', `no image ${boot[0]} in the store`);
  await prepareLabStateOf(folder, images, boot);
  return labImageOf(store, image);
}

async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1);
}
