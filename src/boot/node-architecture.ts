/** The architecture of every node so far, in Debian's word: of which image a machine boots. */
export const nodeArchitecture = 'amd64';
