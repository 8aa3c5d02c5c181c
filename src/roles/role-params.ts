import type { ErrorObject, ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { suggestion } from '../site/did-you-mean.ts';
import type { Site, SiteNode } from '../site/site.ts';
import type { Role } from './role.ts';

/** Parameters of one role. */
export type Params = Readonly<Record<string, unknown>>;

/** One parameter that its role's schema refuses. */
export interface ParamFault {
  /** Keys from the parameters' top down to the value. */
  readonly keys: readonly string[];
  readonly message: string;
  readonly hint: string;
}

/** What a role's parameters are on a node, and which files of the site they name. */
export interface CheckedParams {
  /** With the defaults of the schema filled in. */
  readonly params: Params;
  readonly faults: readonly ParamFault[];
  /** Values of parameters that the schema declares `format: site-file`, those outside the site left out. */
  readonly siteFiles: readonly string[];
}

/** Why the value is no JSON Schema (draft 2020-12, no unknown keywords); undefined where it is one. */
export function schemaProblem(schema: Params): string | undefined {
  try {
    createAjv([]).compile(schema);
    return undefined;
  } catch (error) {
    if (error instanceof Error) return error.message;
    throw error;
  }
}

/** The node's parameters over the site's; mappings are merged, anything else is replaced. */
export function mergeParams(site: Site, node: SiteNode, role: string): Params {
  return merge(site.roleParams.get(role) ?? {}, node.params[role] ?? {}) as Params;
}

/** Checks parameters against the role's schema; every fault at once. */
export function checkParams(role: Role, written: Params): CheckedParams {
  const { validate, siteFiles } = validatorOf(role.parameters);
  siteFiles.length = 0;
  const params = structuredClone(written);
  const faults = validate(params) ? [] : (validate.errors ?? []).map(explain);
  return { params, faults, siteFiles: [...new Set(siteFiles)].sort() };
}

interface Validator {
  readonly validate: ValidateFunction;
  /** Filled by the format as values pass through it. */
  readonly siteFiles: string[];
}

/** Compiling a schema takes milliseconds, and a site has one role on many nodes. */
const validators = new WeakMap<Params, Validator>();

function validatorOf(schema: Params): Validator {
  const known = validators.get(schema);
  if (known) return known;
  const siteFiles: string[] = [];
  const validator = { validate: createAjv(siteFiles).compile(schema), siteFiles };
  validators.set(schema, validator);
  return validator;
}

function createAjv(siteFiles: string[]): Ajv2020 {
  const ajv = new Ajv2020({ allErrors: true, useDefaults: true, verbose: true });
  ajv.addFormat('site-file', (path: string) => {
    const inside = isInsideSite(path);
    if (inside) siteFiles.push(path);
    return inside;
  });
  return ajv;
}

/** Whether a path is relative and stays in the site folder, as written. */
function isInsideSite(path: string): boolean {
  return (
    path !== '' && path.split('/').every((part) => part !== '' && part !== '..' && part !== '.')
  );
}

function explain(error: ErrorObject): ParamFault {
  const keys = error.instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  const name = keys.at(-1) ?? 'parameters';
  const written = JSON.stringify(error.data);
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(error.params.additionalProperty);
      const known = Object.keys((error.parentSchema?.properties as Params | undefined) ?? {});
      return {
        keys: [...keys, key],
        message: `unknown parameter ${key}`,
        hint: suggestion(key, known, 'possible here'),
      };
    }
    case 'required': {
      const key = String(error.params.missingProperty);
      return { keys, message: `the parameter ${key} is missing`, hint: `add ${key}:` };
    }
    case 'enum': {
      const words = (error.params.allowedValues as readonly unknown[]).map(String);
      return {
        keys,
        message: `${name}: ${written} is not possible`,
        hint: suggestion(String(error.data), words, 'one of'),
      };
    }
    case 'format':
      return error.params.format === 'site-file'
        ? {
            keys,
            message: `${name}: ${written} is no file inside the site folder`,
            hint: 'a path relative to site.yaml, such as users/tokyo.yaml',
          }
        : { keys, message: `${name}: ${error.message ?? ''}`, hint: '' };
    default:
      return { keys, message: `${name}: ${written} ${error.message ?? ''}`, hint: '' };
  }
}

function merge(under: unknown, over: unknown): unknown {
  if (!isPlain(under) || !isPlain(over)) return over;
  const merged: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    merged[key] = key in under ? merge(under[key], value) : value;
  }
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
