import type { Architecture } from './distributions/distribution.ts';
import { chainOf, type ImageDefinition } from './image-definition.ts';
import type { WantedPackages } from './package-lock.ts';

/** What the image asks for: kernel, packages, the roles' packages, and those that loaders are taken from. */
export function wantedPackages(
  definition: ImageDefinition,
  architecture: Architecture,
  rolePackages: readonly string[],
): WantedPackages {
  const { suite, variant, loaders } = definition;
  const wanted = chainOf(definition).flatMap((image) => [
    ...(image.parent ? [] : basePackages(image, architecture)),
    ...image.packages,
    ...(image.rolePackages ? rolePackages : []),
  ]);
  const sources = Object.values(loaders).map(
    (l) => `${l.package}:${l.architecture ?? architecture}`,
  );
  return {
    ...{ suite, architecture, variant },
    packages: [...new Set(wanted)].sort(),
    loaders: [...new Set(sources)].sort(),
  };
}

function basePackages(image: ImageDefinition, architecture: Architecture): readonly string[] {
  const { kernel, locale, distribution } = image;
  return [
    kernel[architecture] ?? [],
    locale === undefined ? [] : distribution.locales,
    firmwarePackages(image, architecture),
  ].flat();
}

/** Packages of firmware and microcode for the hardware of the image; not every mirror has them. */
export function firmwarePackages(
  { hardware, distribution }: ImageDefinition,
  architecture: Architecture,
): readonly string[] {
  const of = hardware.firmware.flatMap((kind) => distribution.firmware[kind]?.[architecture] ?? []);
  return [...new Set(of)].sort();
}
