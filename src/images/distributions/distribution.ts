import type { HardwareClass } from '../hardware-class.ts';

/** Debian's word for a processor. */
export type Architecture = 'amd64' | 'arm64';

/** What differs from one distribution of Debian packages to the next; each is one file beside this one. */
export interface Distribution {
  /** As `distribution:` of an image definition names it. */
  readonly name: string;
  /** `Origin:` of its signed indices. */
  readonly origin: string;
  /** Suites by code name or alias, as a machine's own apt sources may name them; the group is what follows. */
  readonly suite: RegExp;
  /** Suffixes of the suites that hold updates and security updates. */
  readonly pockets: readonly string[];
  /** The component that every image needs. */
  readonly component: string;
  /** The component that holds firmware which is not free. */
  readonly firmwareComponent: string;
  /** Package of the kernel by flavour and architecture. */
  readonly kernels: Readonly<Record<string, Readonly<Partial<Record<Architecture, string>>>>>;
  /** Package that makes locales. */
  readonly locales: string;
  /** Packages of firmware and microcode by the hardware that needs them. */
  readonly firmware: Readonly<
    Partial<Record<HardwareClass, Readonly<Partial<Record<Architecture, readonly string[]>>>>>
  >;
}
