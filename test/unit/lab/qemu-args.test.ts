import { describe, expect, it } from 'vitest';
import { planNetwork } from '../../../src/lab/network-plan.ts';
import { type Accelerator, renderQemuArgs } from '../../../src/lab/qemu-args.ts';
import { vmPaths } from '../../../src/lab/vm.ts';
import { type GuestHardware, planGuests } from '../../../src/lab/vm-spec.ts';
import { loadSite } from '../../../src/site/load-site.ts';

const loaded = await loadSite(new URL('../../lab/sites/webs', import.meta.url).pathname);
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
const site = loaded.value;

const cases = (['kvm', 'tcg'] satisfies Accelerator[]).flatMap((accelerator) =>
  [undefined, '/store/rom'].flatMap((rom) =>
    [['web1'], ['web2'], ['web1', 'web2', 'spare-525400770099']].flatMap((uefi) => {
      const guests = planGuests(site, { spares: 1, memory: 512, uefi });
      const { taps } = planNetwork(site, guests);
      return guests.map((guest) => ({
        guest,
        rom,
        accelerator,
        args: renderQemuArgs(
          guest,
          vmPaths('/lab/guest', guest, rom ? { 'virtio-net-pci': rom } : {}),
          taps.filter((tap) => tap.guest === guest.name).map((tap) => tap.name),
          accelerator,
        ),
      }));
    }),
  ),
);

describe.each(cases)('$guest.name, $guest.firmware, $accelerator, ROM $rom', (one) => {
  const { args, guest } = one;
  /** What follows each `flag`. */
  const values = (flag: string) => args.filter((_, i) => args[i - 1] === flag);

  it('gets no kernel', () => {
    for (const flag of ['-kernel', '-initrd', '-append', '-shim', '-dtb']) {
      expect(args).not.toContain(flag);
    }
    expect(args.join(' ')).not.toMatch(/-device loader|linuxboot/);
  });

  it('gets no disk: the only drives are the flash chips of its firmware', () => {
    const disks = /^-(hd[a-d]|cdrom|fd[ab]|sd|mtdblock|pflash|blockdev|virtfs|fsdev|usbdevice)$/;
    expect(args.filter((arg) => disks.test(arg))).toEqual([]);
    const drives = values('-drive');
    expect(drives).toHaveLength(guest.firmware === 'uefi' ? 2 : 0);
    for (const drive of drives) expect(drive).toMatch(/^if=pflash,/);
    for (const device of values('-device')) {
      expect(device).toMatch(/^(virtio-net-pci|e1000e?|virtio-rng-pci)\b/);
    }
    expect(args).toContain('-nodefaults');
    expect(args).toContain('-no-user-config');
  });

  it('writes only into its own copy of the UEFI variables', () => {
    const writable = values('-drive').filter((drive) => !drive.includes('readonly=on'));
    expect(writable.every((drive) => drive.endsWith('file=/lab/guest/vars.fd'))).toBe(true);
  });

  it('has one card per MAC, each on a tap of its own', () => {
    expect(values('-netdev').map((n) => /ifname=(tap\d+)/.exec(n)?.[1])).toHaveLength(
      guest.nics.length,
    );
    for (const nic of guest.nics) {
      expect(values('-device').filter((d) => d.includes(`mac=${nic.mac}`))).toHaveLength(1);
    }
  });

  it("boots by the firmware's own network stack, or the given ROM", () => {
    const [card] = values('-device').filter((d) => d.includes('netdev=net0'));
    const romfile = /romfile=([^,]*)/.exec(card ?? '')?.[1];
    expect(romfile).toBe(guest.firmware === 'uefi' ? '' : one.rom);
  });

  it('is known by its UUID and serial number', () => {
    expect(values('-uuid')).toEqual([guest.uuid]);
    expect(values('-smbios')[0]).toContain(`serial=${guest.serial}`);
  });
});

describe('hardware other than the usual', () => {
  const ordered = (hardware: GuestHardware) => {
    const [guest] = planGuests(site, { spares: 0, memory: 512, hardware: { web1: hardware } });
    if (!guest) throw new Error('no guest');
    const paths = vmPaths('/lab/guest', guest, { 'virtio-net-pci': '/virtio', e1000: '/e1000' });
    return { guest, paths, args: renderQemuArgs(guest, paths, ['tap0'], 'tcg').join(' ') };
  };

  it('offers HTTP Boot alone', () => {
    const { args } = ordered({ firmware: 'uefi', bootBy: 'http' });
    expect(args).toContain('-fw_cfg name=opt/org.tianocore/IPv4PXESupport,string=n');
    expect(ordered({ firmware: 'uefi' }).args).not.toContain('-fw_cfg');
  });

  it('enforces Secure Boot: its keys, flash that only the firmware writes', () => {
    const { guest, paths, args } = ordered({ secureBoot: true });
    expect(guest.firmware).toBe('uefi');
    expect(paths.ovmfCode).toMatch(/[.]ms[.]fd$/);
    expect(args).toContain('smm=on');
    expect(args).toContain('-global driver=cfi.pflash01,property=secure,value=on');
  });

  it('is an arm64 machine', () => {
    const { guest, paths, args } = ordered({ processor: 'arm64' });
    expect(guest.firmware).toBe('uefi');
    expect(paths.ovmfCode).toContain('AAVMF');
    expect(args).toMatch(/-machine virt .*-cpu cortex/);
  });

  it('has disks that a node knows by serial number', () => {
    const disks = [
      { serial: 'www', size: 256 },
      { serial: 'mail', size: 256 },
    ];
    const { paths, args } = ordered({ firmware: 'bios', disks });
    expect(paths.disks).toEqual(['/lab/guest/www.raw', '/lab/guest/mail.raw']);
    expect(args).toContain('-device virtio-blk-pci,drive=disk1,serial=mail');
    expect(args).toMatch(/-drive if=none,id=disk1,format=raw,\S*file=.lab.guest.mail[.]raw /);
  });

  it("takes the ROM of its card, or the host's", () => {
    expect(ordered({ firmware: 'bios', nicModel: 'e1000' }).args).toMatch(/e1000,.*romfile=.e1000/);
    expect(ordered({ firmware: 'bios', rom: 'host' }).args).not.toContain('romfile=');
    expect(ordered({ firmware: 'bios', nicModel: 'e1000e' }).args).not.toContain('romfile=');
  });
});
