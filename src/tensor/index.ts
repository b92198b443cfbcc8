export type { Device, DeviceName } from '../device/index.ts';
export { type DeviceChoice, device, setThreads } from '../device/index.ts';
export { DTYPES, type DType, isDType } from '../ir/dtype.ts';
export { type Dim, type Shape, type Var, variable } from '../ir/shape.ts';
export { autocast, PRECISIONS, type Precision, requirePrecision } from './autocast.ts';
export type { AxesTree } from './axes-tree.ts';
export type { ProgramMemory } from './captured.ts';
export { Cell, Parameter } from './cell.ts';
export { checkpoint } from './checkpoint.ts';
export { customGradient, type InputGradients, stopGradient } from './custom-gradient.ts';
export { hessian, hvp, jacobian, jvp, type ValueAndTangent } from './derivatives.ts';
export { Flag } from './flag.ts';
export { grad, type Pullback, type ValueAndGrad, valueAndGrad, vjp } from './grad.ts';
export { Handle, type Nested, type Operand } from './handle.ts';
export { type Bound, BoundVar, bind, type CallOptions, type Jitted, jit } from './jit.ts';
export { mappedTensor } from './mapped.ts';
export type { Placed } from './ordering.ts';
export * as random from './random.ts';
export { realize } from './realize-tensors.ts';
export { scope } from './scope.ts';
export { setMemoryBudget } from './storage.ts';
export {
  arange,
  concat,
  eye,
  full,
  ones,
  sizeValue,
  stack,
  Tensor,
  type TensorOptions,
  tensor,
  zeros,
} from './tensor.ts';
export { type GradientsOf, isParameterised, type Parameterised } from './tree.ts';
export { type VmapOptions, vmap } from './vmap.ts';
