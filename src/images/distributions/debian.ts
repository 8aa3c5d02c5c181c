import type { Distribution } from './distribution.ts';

/** Debian, https://www.debian.org/. */
export const debian: Distribution = {
  name: 'debian',
  origin: 'Debian',
  suite:
    /^(?:stable|testing|oldstable|buster|bullseye|bookworm|trixie|forky|duke)(|-updates|-security|\/updates)$/,
  pockets: ['', '-updates', '-security'],
  component: 'main',
  firmwareComponent: 'non-free-firmware',
  kernels: {
    general: { amd64: 'linux-image-amd64', arm64: 'linux-image-arm64' },
    cloud: { amd64: 'linux-image-cloud-amd64', arm64: 'linux-image-cloud-arm64' },
  },
  locales: 'locales',
  firmware: {
    // Not firmware-netronome: 140 MB for one family of cards; name it under packages where one is in.
    network: both([
      'firmware-bnx2',
      'firmware-bnx2x',
      'firmware-cavium',
      'firmware-intel-misc',
      'firmware-misc-nonfree',
      'firmware-myricom',
      'firmware-netxen',
      'firmware-qlogic',
      'firmware-realtek',
    ]),
    storage: both(['firmware-qlogic']),
    cpu: { amd64: ['amd64-microcode', 'intel-microcode'] },
    graphics: both(['firmware-amd-graphics', 'firmware-intel-graphics']),
    wireless: both(['firmware-atheros', 'firmware-iwlwifi', 'firmware-mediatek']),
  },
};

function both(packages: readonly string[]) {
  return { amd64: packages, arm64: packages };
}
