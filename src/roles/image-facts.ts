/** What an overlay must know of the image it lies on; recorded in the manifest, so no root is mounted. */
export interface ImageFacts {
  /** Version by package name. */
  readonly packages: Readonly<Record<string, string>>;
  /** `[Install]` by unit name. */
  readonly units: Readonly<Record<string, UnitInstall>>;
  readonly users: Readonly<Record<string, { readonly uid: number; readonly gid: number }>>;
  /** Group id by name. */
  readonly groups: Readonly<Record<string, number>>;
}

/** The `[Install]` section of a unit, as in systemd.unit(5). */
export interface UnitInstall {
  readonly alias: readonly string[];
  readonly wantedBy: readonly string[];
  readonly requiredBy: readonly string[];
  readonly also: readonly string[];
}
