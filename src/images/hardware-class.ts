/** Kinds of hardware whose drivers and firmware an image has or has not. */
export const hardwareClasses = [
  'network',
  'storage',
  'infiniband',
  'cpu',
  'graphics',
  'sound',
  'media',
  'wireless',
  'bluetooth',
  'can',
  'input',
  'measuring',
  'legacy',
] as const;

export type HardwareClass = (typeof hardwareClasses)[number];

/**
 * Folders below `usr/lib/modules/<version>/kernel` that only this hardware needs. What virtual machines have, and
 * the graphics of management controllers (ast, mgag200), is in none of them: it always stays.
 */
const driverFolders: Readonly<Record<HardwareClass, readonly string[]>> = {
  network: ['drivers/net/ethernet'],
  // Host bus adapters and RAID controllers; SCSI itself, NVMe and AHCI stay.
  storage: [
    'drivers/message/fusion',
    'drivers/scsi/aacraid',
    'drivers/scsi/aic7xxx',
    'drivers/scsi/aic94xx',
    'drivers/scsi/arcmsr',
    'drivers/scsi/be2iscsi',
    'drivers/scsi/bfa',
    'drivers/scsi/bnx2fc',
    'drivers/scsi/bnx2i',
    'drivers/scsi/csiostor',
    'drivers/scsi/cxgbi',
    'drivers/scsi/elx',
    'drivers/scsi/esas2r',
    'drivers/scsi/fnic',
    'drivers/scsi/hpsa.ko.xz',
    'drivers/scsi/isci',
    'drivers/scsi/lpfc',
    'drivers/scsi/megaraid',
    'drivers/scsi/mpi3mr',
    'drivers/scsi/mpt3sas',
    'drivers/scsi/mvsas',
    'drivers/scsi/pm8001',
    'drivers/scsi/qedf',
    'drivers/scsi/qedi',
    'drivers/scsi/qla2xxx',
    'drivers/scsi/qla4xxx',
    'drivers/scsi/smartpqi',
    'drivers/scsi/snic',
  ],
  infiniband: ['drivers/infiniband'],
  cpu: [],
  graphics: [
    'drivers/accel',
    'drivers/gpu/drm/amd',
    'drivers/gpu/drm/gma500',
    'drivers/gpu/drm/i915',
    'drivers/gpu/drm/nouveau',
    'drivers/gpu/drm/radeon',
    'drivers/gpu/drm/vmwgfx',
    'drivers/gpu/drm/xe',
  ],
  sound: ['sound'],
  media: ['drivers/media'],
  wireless: [
    'drivers/net/ieee802154',
    'drivers/net/wireless',
    'drivers/net/wwan',
    'drivers/nfc',
    'net/6lowpan',
    'net/ieee802154',
    'net/mac80211',
    'net/mac802154',
    'net/nfc',
    'net/wireless',
  ],
  bluetooth: ['drivers/bluetooth', 'net/bluetooth'],
  can: ['drivers/net/can', 'net/can'],
  input: ['drivers/input/joystick', 'drivers/input/tablet', 'drivers/input/touchscreen'],
  measuring: ['drivers/comedi', 'drivers/gnss', 'drivers/iio'],
  legacy: ['drivers/firewire', 'drivers/isdn', 'drivers/pcmcia', 'drivers/staging'],
};

/** Folders and files of drivers that the image leaves out: those it names, and those of hardware that it has not. */
export function prunedModules({
  hardware: { drivers },
  prune,
}: {
  readonly hardware: { readonly drivers: readonly HardwareClass[] | undefined };
  readonly prune: { readonly modules: readonly string[] };
}): readonly string[] {
  const without = drivers ? hardwareClasses.filter((kind) => !drivers.includes(kind)) : [];
  return [...new Set([...prune.modules, ...without.flatMap((kind) => driverFolders[kind])])].sort();
}
