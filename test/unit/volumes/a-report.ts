import type { VolumeReport } from '../../../src/volumes/volume-report.ts';

/** A copy that is whole and connected to the other one, both waiting. */
export function aReport(facts: Partial<VolumeReport> = {}): VolumeReport {
  return {
    ...{ at: 100, role: 'Secondary', peerRole: 'Secondary', connection: 'Connected' },
    ...{ disk: 'UpToDate', peerDisk: 'UpToDate', done: 100, suspended: false, serving: false },
    ...{ fence: false, release: false, met: true, problem: '' },
    ...facts,
  };
}

/** The other copy cannot be reached. */
export const alone = { connection: 'WFConnection', peerRole: 'Unknown', peerDisk: 'DUnknown' };
