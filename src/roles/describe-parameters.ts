/** One parameter of a role as people read it; those inside another have a dotted name. */
export interface DescribedParameter {
  /** `domains.<name>.users`; `[]` stands for each of a list. */
  readonly name: string;
  /** `integer`, `list of string`, `one of multicast, unicast`. */
  readonly type: string;
  readonly required: boolean;
  /** JSON; empty where there is none. */
  readonly preset: string;
  /** `at least 4`, `matches ^/`; empty where the type is all. */
  readonly bounds: string;
  readonly description: string;
}

/** The keywords of JSON Schema that role files use. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly propertyNames?: Schema;
  readonly additionalProperties?: boolean | Schema;
}

/** Every parameter of a role's schema in its order, each before those inside it. */
export function describeParameters(
  parameters: Readonly<Record<string, unknown>>,
): readonly DescribedParameter[] {
  return inside(parameters as Schema, '');
}

function inside(schema: Schema, prefix: string): readonly DescribedParameter[] {
  const named = Object.entries(schema.properties ?? {}).flatMap(([key, value]) =>
    described(`${prefix}${key}`, value, schema.required?.includes(key) ?? false),
  );
  const others = schema.additionalProperties;
  const any = typeof others === 'object' ? described(`${prefix}<name>`, others, false) : [];
  const each = schema.items ? inside(schema.items, `${prefix.replace(/\.$/, '')}[].`) : [];
  return [...named, ...any, ...each];
}

function described(name: string, schema: Schema, required: boolean): readonly DescribedParameter[] {
  const own = {
    ...{ name, type: typeOf(schema), required },
    preset: schema.default === undefined ? '' : JSON.stringify(schema.default),
    bounds: boundsOf(schema),
    description: schema.description ?? '',
  };
  return [own, ...inside(schema, `${name}.`)];
}

function typeOf(schema: Schema): string {
  const choices = schema.anyOf ?? schema.oneOf;
  if (schema.enum) return `one of ${schema.enum.map(String).join(', ')}`;
  if (choices) return choices.map(typeOf).join(' or ');
  if (schema.format === 'site-file') return 'file of the site';
  if (schema.type === 'array') return `list${schema.items ? ` of ${typeOf(schema.items)}` : ''}`;
  if (schema.type === 'object') return 'mapping';
  return [schema.type ?? 'anything'].flat().join(' or ');
}

function boundsOf(schema: Schema): string {
  const bound = (word: string, value: unknown) => (value === undefined ? [] : [`${word} ${value}`]);
  const of = (what: string, inner: Schema | undefined) => {
    const text = inner ? boundsOf(inner) : '';
    return text === '' ? [] : [`${what} ${text}`];
  };
  return [
    ...bound('at least', schema.minimum),
    ...bound('at most', schema.maximum),
    ...bound('more than', schema.exclusiveMinimum),
    ...bound('less than', schema.exclusiveMaximum),
    ...bound('characters: at least', schema.minLength),
    ...bound('characters: at most', schema.maxLength),
    ...bound('entries: at least', schema.minItems),
    ...bound('entries: at most', schema.maxItems),
    ...bound('matches', schema.pattern),
    ...of('each', schema.items),
    ...of('names:', schema.propertyNames),
  ].join('; ');
}
