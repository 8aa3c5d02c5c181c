import { closestTo } from '../site/did-you-mean.ts';
import type { UnitInstall } from './image-facts.ts';
import { type OverlayFile, rootLink } from './overlay-file.ts';

/** Where the units of packages lie on a merged-/usr Debian. */
const imageUnitDir = '/usr/lib/systemd/system';
const enabledDir = '/etc/systemd/system';

/** What is known of the units of one node: by the image, and by the overlay's own unit files. */
export interface KnownUnits {
  /** `[Install]` by unit name; a template under its own name, `getty@.service`. */
  readonly install: Readonly<Record<string, UnitInstall>>;
  /** Path by unit name, where it is not the image's own folder. */
  readonly path: Readonly<Record<string, string>>;
}

/** A unit that cannot be enabled. */
export interface UnitFault {
  readonly unit: string;
  readonly message: string;
  readonly hint: string;
}

/** The links that `systemctl enable` would make for the units and all that come along (Also=). */
export function enableUnits(
  units: readonly string[],
  known: KnownUnits,
): { readonly links: readonly OverlayFile[]; readonly faults: readonly UnitFault[] } {
  const links = new Map<string, OverlayFile>();
  const faults: UnitFault[] = [];
  const seen = new Set<string>();
  const enable = (unit: string, asked: boolean): void => {
    if (seen.has(unit)) return;
    seen.add(unit);
    const file = unitFileName(unit);
    const install = known.install[file];
    if (!install) {
      // systemctl passes over an Also= that is not installed.
      if (asked) faults.push(unknownUnit(unit, file, known));
      return;
    }
    const target = known.path[file] ?? `${imageUnitDir}/${file}`;
    const link = (path: string) => links.set(path, rootLink(path, target));
    if (unit === file && file.includes('@.')) {
      if (asked) faults.push(bareTemplate(unit));
      return;
    }
    const { alias, wantedBy, requiredBy, also } = install;
    if (asked && alias.length + wantedBy.length + requiredBy.length + also.length === 0) {
      faults.push(nothingToInstall(unit));
      return;
    }
    for (const name of alias) link(`${enabledDir}/${expand(name, unit)}`);
    for (const by of wantedBy) link(`${enabledDir}/${expand(by, unit)}.wants/${unit}`);
    for (const by of requiredBy) link(`${enabledDir}/${expand(by, unit)}.requires/${unit}`);
    for (const name of also) enable(expand(name, unit), false);
  };
  for (const unit of units) enable(unit, true);
  return { links: [...links.values()], faults };
}

/** The file that defines a unit: of `getty@ttyS0.service` it is `getty@.service`. */
function unitFileName(unit: string): string {
  return unit.replace(/@[^.@]*(?=\.[a-z]+$)/, '@');
}

/** The specifiers that systemd expands in [Install]: %n, %p, %i, %j and %% (systemd.unit(5)). */
function expand(text: string, unit: string): string {
  const [, prefix = '', instance = ''] = /^([^@]+)(?:@(.*))?\.[a-z]+$/.exec(unit) ?? [];
  const last = prefix.slice(prefix.lastIndexOf('-') + 1);
  const values: Record<string, string> = { n: unit, p: prefix, i: instance, j: last, '%': '%' };
  return text.replace(/%([npij%])/g, (_, letter: string) => values[letter] ?? '');
}

function unknownUnit(unit: string, file: string, known: KnownUnits): UnitFault {
  const near = closestTo(file, Object.keys(known.install));
  return {
    unit,
    message: `the unit ${unit} is neither in the image nor in the files of the node's roles`,
    hint: near ? `did you mean ${near}?` : 'list its package under packages, then: rolecall build',
  };
}

function bareTemplate(unit: string): UnitFault {
  return {
    unit,
    message: `the unit ${unit} is a template`,
    hint: `name an instance, such as ${unit.replace('@.', '@ttyS0.')}`,
  };
}

function nothingToInstall(unit: string): UnitFault {
  return {
    unit,
    message: `the unit ${unit} has no [Install]: enabling it does nothing`,
    hint: 'take it out, or link it under files/etc/systemd/system/…wants/',
  };
}
