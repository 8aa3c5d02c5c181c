import { type DiskSurvey, describeDisk, type VolumeReport } from './volume-report.ts';

/** A disk that `volume create` would overwrite. */
export interface DiskToOverwrite {
  readonly node: string;
  readonly survey: DiskSurvey;
  /** What the operator agrees to; the node compares it with its disk once more. */
  readonly token: string;
}

/** What `volume create` would do. */
export type CreatePlan =
  | {
      readonly kind: 'create' | 'join';
      /** All disks that lose what is on them. */
      readonly overwrite: readonly DiskToOverwrite[];
      /** The node that has the data; only with `join`. */
      readonly source?: string;
    }
  | { readonly kind: 'refuse'; readonly reasons: readonly string[]; readonly hint: string };

/** A node of the pair and the last that was heard of it. */
export interface PairMember {
  readonly node: string;
  /** undefined where it does not report. */
  readonly report: VolumeReport | undefined;
}

/**
 * What may be overwritten. Nothing that serves or holds this volume's data, whatever the operator says;
 * a disk with anything on it only with `force`. One good copy and one blank disk: the copy stays, and the
 * disk joins it.
 */
export function planCreate(pair: readonly [PairMember, PairMember], force: boolean): CreatePlan {
  const deaf = pair.filter(({ report }) => report === undefined);
  if (deaf.length > 0) {
    return {
      kind: 'refuse',
      reasons: deaf.map(({ node }) => `${node} does not report`),
      hint: 'both nodes must run: rolecall node ls',
    };
  }
  const holders = pair.filter(({ report }) => holdsData(report));
  const rest = pair.filter(({ report }) => !holdsData(report));
  if (rest.length === 0) {
    return {
      kind: 'refuse',
      reasons: pair.map(({ node, report }) => `the disk of ${node} holds it: ${report?.disk}`),
      hint: 'it is made already: rolecall volume status. A volume that shall be lost: on each node, drbdadm down and wipefs --all',
    };
  }
  const reasons = rest.flatMap(({ node, report }) => refusalsOf(node, report, force));
  const forcible = reasons.every(({ isForcible }) => isForcible);
  if (reasons.length > 0) {
    return {
      kind: 'refuse',
      reasons: reasons.map(({ text }) => text),
      hint: forcible
        ? 'nothing was changed. If all of it may be lost: --force'
        : 'nothing was changed; --force does not help here',
    };
  }
  const overwrite = rest.flatMap(({ node, report }) =>
    report?.survey ? [{ node, survey: report.survey, token: describeDisk(report.survey) }] : [],
  );
  const [source] = holders;
  return source ? { kind: 'join', overwrite, source: source.node } : { kind: 'create', overwrite };
}

/** Whether the resource is up with a disk that was ever good. */
function holdsData(report: VolumeReport | undefined): boolean {
  return report !== undefined && !['', 'Diskless', 'Inconsistent'].includes(report.disk);
}

function refusalsOf(
  node: string,
  report: VolumeReport | undefined,
  force: boolean,
): readonly { readonly text: string; readonly isForcible: boolean }[] {
  const survey = report?.survey;
  const no = (text: string, isForcible = false) => [{ text: `${node}: ${text}`, isForcible }];
  if (!survey) return no('its disk was not looked at yet');
  switch (survey.state) {
    case 'absent':
      return no('there is no such disk');
    case 'unreadable':
      return no(`its disk cannot be read: ${survey.found}`);
    case 'used':
      return no(`its disk is in use: ${survey.found}`);
    case 'signed':
      return force ? [] : no(`its disk is not blank: ${survey.found}`, true);
    case 'blank':
      return [];
  }
}
