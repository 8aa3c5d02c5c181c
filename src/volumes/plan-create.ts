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
  | {
      readonly kind: 'refuse';
      readonly reasons: readonly string[];
      readonly hint: string;
      /** Whether it is only early: all that is missing comes by itself. */
      readonly isEarly: boolean;
    };

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
      isEarly: false,
    };
  }
  const holders = pair.filter(({ report }) => holdsData(report));
  const rest = pair.filter(({ report }) => !holdsData(report));
  if (rest.length === 0) {
    return {
      kind: 'refuse',
      reasons: pair.map(({ node, report }) => `the disk of ${node} holds it: ${report?.disk}`),
      hint: 'it is made already: rolecall volume status. A volume that shall be lost: on each node, drbdadm down and wipefs --all',
      isEarly: false,
    };
  }
  const reasons = rest.flatMap(({ node, report }) => refusalsOf(node, report, force));
  if (reasons.length > 0) {
    const [first] = reasons.map(({ way }) => way);
    const way = reasons.every((one) => one.way === first) ? first : 'none';
    return {
      kind: 'refuse',
      reasons: reasons.map(({ text }) => text),
      hint: `nothing was changed${hints[way ?? 'none']}`,
      isEarly: way === 'wait',
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

interface Refusal {
  readonly text: string;
  /** What helps. */
  readonly way: 'force' | 'wait' | 'none';
}

const hints: Readonly<Record<Refusal['way'], string>> = {
  force: '. If all of it may be lost: --force',
  wait: '. A node that has started looks at its disks by itself: rolecall volume status',
  none: '; --force does not help here',
};

function refusalsOf(
  node: string,
  report: VolumeReport | undefined,
  force: boolean,
): readonly Refusal[] {
  const survey = report?.survey;
  const no = (text: string, way: Refusal['way'] = 'none') => [{ text: `${node}: ${text}`, way }];
  if (!survey) return no('its disk was not looked at yet', 'wait');
  switch (survey.state) {
    case 'absent':
      return no('there is no such disk');
    case 'unreadable':
      return no(`its disk cannot be read: ${survey.found}`);
    case 'used':
      return no(`its disk is in use: ${survey.found}`);
    case 'signed':
      return force ? [] : no(`its disk is not blank: ${survey.found}`, 'force');
    case 'blank':
      return [];
  }
}
