import type { QuantSchemeName } from '../tensor/functions/index.ts';
import { ConfigReader } from './config-reader.ts';

/** Schemes that weights can be computed with as they lie: blocks of whole 32s, no zero points. */
const SCHEMES: readonly unknown[] = [
  'int8-g32',
  'int4-g32',
  'int4-g128',
] as const satisfies QuantSchemeName[];

/** The key `quantization_config` of a config.json, for models whose weights Tersor has packed. */
export interface QuantizationConfig {
  /** Of all packed matrices but the exceptions. */
  readonly scheme: QuantSchemeName;
  /** By dotted name of the layer. */
  readonly exceptions: ReadonlyMap<string, QuantSchemeName>;
}

/** @throws Error naming the method or scheme that is not supported */
export function quantizationOf(config: unknown): QuantizationConfig | undefined {
  const given = new ConfigReader(config).object('quantization_config');
  if (!given) return undefined;
  const { quant_method: method, scheme } = given.json;
  if (method !== 'tersor') {
    throw given.unsupported(
      'quant_method',
      '"tersor"; load the model that was quantised, and compress that',
    );
  }
  given.only('activations', 'int8');
  given.only('scheme', ...SCHEMES);
  const exceptions = given.object('exceptions');
  const others = Object.entries(exceptions?.json ?? {});
  for (const [layer] of others) exceptions?.only(layer, ...SCHEMES);
  return {
    scheme: scheme as QuantSchemeName,
    exceptions: new Map(others as [string, QuantSchemeName][]),
  };
}

/** The scheme of a layer, by its dotted name. */
export function schemeOf(config: QuantizationConfig, layer: string): QuantSchemeName {
  return config.exceptions.get(layer) ?? config.scheme;
}

/** @param unpacked the matrices that have stayed parameters, by dotted name without `.weight` */
export function quantizationToJson(
  { scheme, exceptions }: QuantizationConfig,
  unpacked: readonly string[],
): Record<string, unknown> {
  return {
    quant_method: 'tersor',
    scheme,
    activations: 'int8',
    ...(exceptions.size > 0 && { exceptions: Object.fromEntries(exceptions) }),
    modules_to_not_convert: unpacked,
  };
}
