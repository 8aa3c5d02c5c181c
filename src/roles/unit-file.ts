import type { UnitInstall } from './image-facts.ts';

/** The `[Install]` section of a unit file's text, as systemd.unit(5) has it; lists may repeat. */
export function parseUnitInstall(text: string): UnitInstall {
  const lists = { Alias: [], WantedBy: [], RequiredBy: [], Also: [] } as Record<string, string[]>;
  let section = '';
  for (const line of text.replace(/\\\r?\n/g, ' ').split(/\r?\n/)) {
    const heading = /^\s*\[(.+)\]\s*$/.exec(line);
    if (heading) section = heading[1] ?? '';
    const [, key = '', value = ''] = /^\s*([A-Za-z]+)\s*=(.*)$/.exec(line) ?? [];
    const list = lists[key];
    if (section !== 'Install' || !list) continue;
    // An empty assignment resets the list.
    if (value.trim() === '') list.length = 0;
    else list.push(...value.trim().split(/\s+/));
  }
  return {
    alias: lists.Alias ?? [],
    wantedBy: lists.WantedBy ?? [],
    requiredBy: lists.RequiredBy ?? [],
    also: lists.Also ?? [],
  };
}
