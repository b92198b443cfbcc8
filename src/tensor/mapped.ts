import { badArgument } from '../base/errors.ts';
import type { Device } from '../device/index.ts';
import type { DType } from '../ir/dtype.ts';
import type { Shape } from '../ir/shape.ts';
import { Lazy } from './lazy.ts';
import { allocateMapped } from './storage.ts';
import { Tensor } from './tensor.ts';

/**
 * A tensor whose numbers are a piece of a file, row by row: read as they are used, never written
 * back. The file must not be cut short while the tensor lives; it may be replaced or removed.
 *
 * @param offset bytes from the start of the file
 * @throws TypeError for a device that cannot map files
 * @throws Error naming the file that cannot be mapped
 */
export function mappedTensor(
  path: string,
  offset: number,
  options: { readonly dtype: DType; readonly shape: Shape; readonly device: Device },
): Tensor {
  const { dtype, shape, device } = options;
  if (!canMap(device)) throw badArgument('mappedTensor', 'device', device.name, 'device native');
  const storage = allocateMapped(device, { path, offset }, dtype, shape);
  return new Tensor(new Lazy(device, storage.node, [], storage));
}

function canMap(device: Device): device is Device & Required<Pick<Device, 'map'>> {
  return device.map !== undefined;
}
