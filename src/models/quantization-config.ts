import { type QuantSchemeName, quantScheme } from '../tensor/functions/index.ts';
import { ConfigReader } from './config-reader.ts';

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
  const others = given.object('exceptions')?.json ?? {};
  for (const [key, name] of [['scheme', scheme], ...Object.entries(others)] as const) {
    if (isScheme(name)) continue;
    const what = key === 'scheme' ? given : given.object('exceptions');
    throw (what ?? given).unsupported(key, '"int8-g32", "int4-g32" or "int4-g128"');
  }
  return {
    scheme: scheme as QuantSchemeName,
    exceptions: new Map(Object.entries(others as Record<string, QuantSchemeName>)),
  };
}

function isScheme(name: unknown): name is QuantSchemeName {
  try {
    quantScheme(name as QuantSchemeName, 1);
    return true;
  } catch {
    return false;
  }
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
