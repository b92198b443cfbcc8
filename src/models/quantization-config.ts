import { type QuantSchemeName, quantScheme } from '../tensor/functions/index.ts';
import { ConfigReader } from './config-reader.ts';

/** The key `quantization_config` of a config.json, for models whose weights Tersor has packed. */
export interface QuantizationConfig {
  readonly scheme: QuantSchemeName;
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
  try {
    quantScheme(scheme as QuantSchemeName, 1);
  } catch {
    throw given.unsupported('scheme', '"int8-g32", "int4-g32" or "int4-g128"');
  }
  return { scheme: scheme as QuantSchemeName };
}

/** @param unpacked the matrices that have stayed parameters, by dotted name without `.weight` */
export function quantizationToJson(
  { scheme }: QuantizationConfig,
  unpacked: readonly string[],
): Record<string, unknown> {
  return {
    quant_method: 'tersor',
    scheme,
    activations: 'int8',
    modules_to_not_convert: unpacked,
  };
}
