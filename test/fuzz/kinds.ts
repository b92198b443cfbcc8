import * as fc from 'fast-check';
import { arrayClass, type TypedArray } from '../../src/ir/dtype.ts';
import { sizeOf } from '../../src/ir/shape.ts';
import { anyAttentionCase, attentionGraph } from '../support/attention-case.ts';
import { anyGraphRecipe } from '../support/graph-recipes.ts';
import { nativeDevices } from '../support/native-devices.ts';
import { anyPackedCase, packedGraph } from '../support/packed-case.ts';
import { anyProductCase, productGraph } from '../support/product-case.ts';
import { buildGraph } from '../support/random-graph.ts';
import { anyRecipe } from '../support/random-kernel.ts';
import { anyOpsRecipe } from '../support/random-ops.ts';
import { numbers } from '../support/run-graph.ts';
import { anyTypedRecipe, buildTypedGraph } from '../support/typed-graph.ts';
import { checkGraph } from './check-graph.ts';
import { checkKernel } from './check-kernel.ts';
import { compareNative } from './check-native-graph.ts';
import { checkNativeOps, checkNativeRecipe } from './check-native-kernel.ts';
import { checkPacked } from './check-packed.ts';
import { checkSmallFloats, elements } from './check-small-floats.ts';

const seed = fc.nat({ max: 999 });
const form = fc.constantFrom('scalar' as const, 'vector' as const, 'masked' as const);
const smallFloat = fc.constantFrom(
  'f16' as const,
  'bf16' as const,
  'f8e4m3' as const,
  'f8e5m2' as const,
);

export type Kinds = Readonly<Record<string, () => fc.IAsyncProperty<unknown[]>>>;

const kind = <T extends [unknown, ...unknown[]]>(make: () => fc.IAsyncProperty<T>) =>
  make as unknown as () => fc.IAsyncProperty<unknown[]>;

/** What is compared with WebAssembly. */
const WASM: Kinds = {
  kernels: kind(() =>
    fc.asyncProperty(anyRecipe(['f32', 'i32', 'u32']), form, async (recipe, f) => {
      fc.pre(await checkKernel(recipe, f));
    }),
  ),
  graphs: kind(() => fc.asyncProperty(anyGraphRecipe, seed, checkGraph)),
  packed: kind(() => fc.asyncProperty(anyPackedCase, checkPacked)),
  floats: kind(() => fc.asyncProperty(anyGraphRecipe, smallFloat, seed, checkSmallFloats)),
};

const someDevices = () => fc.constantFrom(...nativeDevices());

/** What is compared with x86-64 code. */
const NATIVE: Kinds = {
  kernels: kind(() =>
    fc.asyncProperty(
      anyRecipe(['f32', 'i32', 'u32'], 40),
      form,
      someDevices(),
      async (recipe, f, devices) => {
        fc.pre(await checkNativeRecipe(recipe, f, devices));
      },
    ),
  ),
  ops: kind(() => {
    const most = fc.oneof({ weight: 4, arbitrary: fc.constant(40) }, fc.constantFrom(10, 200));
    return fc.asyncProperty(most.chain(anyOpsRecipe), someDevices(), checkNativeOps);
  }),
  graphs: kind(() =>
    fc.asyncProperty(anyGraphRecipe, seed, async (recipe, s) => {
      const { inputs, outputs, description } = buildGraph(recipe);
      const values = inputs.map((node, i) => numbers(s + i, sizeOf(node.shape)));
      const options = { fuse: s % 3 !== 0 };
      await compareNative({ inputs, outputs, values, options }, s, description);
    }),
  ),
  typed: kind(() =>
    fc.asyncProperty(anyTypedRecipe, async (recipe) => {
      const { inputs, outputs, values } = buildTypedGraph(recipe);
      const data = inputs.map(({ dtype }, i): TypedArray => {
        const array = new (arrayClass(dtype))(values[i].length);
        array.set(values[i]);
        return array;
      });
      await compareNative({ inputs, outputs, values: data }, recipe.seed, 'typed');
    }),
  ),
  floats: kind(() =>
    fc.asyncProperty(anyGraphRecipe, smallFloat, seed, async (recipe, dtype, s) => {
      const { inputs, outputs, description } = buildGraph(recipe, dtype);
      const values = inputs.map((node, i) => elements(dtype, s + i, sizeOf(node.shape)));
      const options = { fuse: s % 3 !== 0 };
      await compareNative({ inputs, outputs, values, options }, s, `${dtype} ${description}`);
    }),
  ),
  packed: kind(() =>
    fc.asyncProperty(anyPackedCase, async (c) => {
      const { inputs, output, values, vars } = packedGraph(c);
      const options = { templates: c.seed % 5 === 0 ? ('none' as const) : ('all' as const) };
      const graph = { inputs, outputs: [output], values, vars, options };
      await compareNative(graph, c.seed, JSON.stringify(c));
    }),
  ),
  products: kind(() =>
    fc.asyncProperty(anyProductCase, async (c) => {
      const { inputs, output, values } = productGraph(c);
      await compareNative({ inputs, outputs: [output], values }, c.seed, JSON.stringify(c));
    }),
  ),
  attention: kind(() =>
    fc.asyncProperty(anyAttentionCase, seed, async (c, s) => {
      const { inputs, output, gradients, values, vars } = attentionGraph(c, s);
      const outputs = s % 3 === 0 ? [output, ...gradients] : [output];
      await compareNative({ inputs, outputs, values, vars }, s, JSON.stringify(c));
    }),
  ),
};

export const KINDS = { wasm: WASM, native: NATIVE };
