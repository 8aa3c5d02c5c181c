import { canonicalJson, type Digest, digestOf } from '../digest.ts';
import type { Software } from './software-of-root.ts';

/** A package of an image, with the SHA-256 of its file where that is known. */
export interface SbomPackage extends Software {
  readonly digest?: Digest;
  /** Whether it is installed in the root, or only a loader is taken from it. */
  readonly installed: boolean;
}

/** What a bill of materials is about. */
export interface SbomSubject {
  readonly name: string;
  readonly architecture: string;
  readonly suite: string;
  readonly kernelVersion: string;
}

/**
 * A bill of materials in CycloneDX 1.6 (ECMA-424) as JSON: every package with version, architecture, package URL,
 * licences as Debian names them and the hash of its file. The same packages give the same bytes: it has no
 * timestamp, and its serial number is made of its content.
 */
export function renderSbom(subject: SbomSubject, packages: readonly SbomPackage[]): string {
  const components = packages.map((one) => componentOf(one, subject.suite));
  const sorted = components.sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1));
  const top = {
    type: 'operating-system',
    'bom-ref': `rolecall:${subject.name}:${subject.architecture}`,
    name: subject.name,
    version: subject.suite,
    description: `rolecall image ${subject.name} for ${subject.architecture}, Debian ${subject.suite}, kernel ${subject.kernelVersion}`,
  };
  const refs = sorted.map((component) => component['bom-ref']);
  const body = {
    metadata: { lifecycles: [{ phase: 'build' }], component: top },
    components: sorted,
    dependencies: [{ ref: top['bom-ref'], dependsOn: refs }, ...refs.map((ref) => ({ ref }))],
  };
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(digestOf(canonicalJson(body)))}`,
    version: 1,
    ...body,
  };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

function componentOf(one: SbomPackage, suite: string) {
  const purl = packageUrl(one, suite);
  return {
    type: 'library',
    'bom-ref': purl,
    name: one.name,
    version: one.version,
    ...(one.digest === undefined ? {} : { hashes: [{ alg: 'SHA-256', content: one.digest }] }),
    ...(one.licenses.length === 0
      ? {}
      : {
          licenses: one.licenses.map((name) => ({
            license: { name, acknowledgement: 'declared' },
          })),
        }),
    purl,
    properties: [
      { name: 'rolecall:debian:architecture', value: one.architecture },
      { name: 'rolecall:debian:source', value: `${one.source} ${one.sourceVersion}` },
      { name: 'rolecall:use', value: one.installed ? 'root' : 'loader' },
    ],
  };
}

/** `pkg:deb/debian/curl@8.14.1-2?arch=amd64&distro=trixie`, as the package URL specification has it. */
export function packageUrl(
  { name, version, architecture }: Pick<Software, 'name' | 'version' | 'architecture'>,
  suite: string,
): string {
  const encode = (text: string) => encodeURIComponent(text).replaceAll('%3A', ':');
  return `pkg:deb/debian/${encode(name)}@${encode(version)}?arch=${architecture}&distro=${suite}`;
}

/** A UUID of 128 bits of a digest, marked as version 8: made by rules of its own (RFC 9562). */
function uuidOf(digest: Digest): string {
  const hex = `${digest.slice(0, 12)}8${digest.slice(13, 16)}8${digest.slice(17, 32)}`;
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}
