import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import {
  type CompressionReport,
  compressModel,
  layerRows,
  reportPage,
  SCHEMES,
  type Scheme,
  summaryRows,
  verdict,
} from '../../compress/index.ts';
import { writeFileAtomic } from '../../io/index.ts';
import { saveModel } from '../../models/node.ts';
import { interruptible } from '../interrupt.ts';
import { type MeasureOptions, measure, protocolOption } from '../measure.ts';
import { openModel } from '../open-model.ts';
import { integer } from '../options.ts';
import { percentLine } from '../percent-line.ts';
import { table } from '../table.ts';
import { printJson } from '../training-view.ts';

interface CompressOptions extends MeasureOptions {
  readonly scheme: Scheme;
  readonly out?: string;
  readonly ignore?: readonly string[];
  readonly json?: boolean;
}

const EXAMPLES = `
Examples:
  tersor compress my-model --scheme int4-g32
  tersor compress my-model --scheme int8 --out small --text book.txt
  tersor compress my-model --scheme int4-g128 --ignore lm_head '/.*layers\\.0\\..*/'

The folder that is written can be used like any model. It also gets report.json and report.html.`;

export function compressCommand(finish: (code: number) => void): Command {
  return new Command('compress')
    .description('make a model smaller: weights rounded to 8 or 4 bits, packed, computed packed')
    .argument('<model>', 'a folder with config.json and model.safetensors')
    .addOption(
      new Option('-s, --scheme <name>', 'bits of a weight, and weights that share a scale')
        .choices(Object.keys(SCHEMES))
        .default('int4-g32'),
    )
    .option('-o, --out <folder>', 'where to write it (default: MODEL-SCHEME)')
    .option('--ignore <layer...>', 'layers that stay: ends of names, or /expressions/')
    .option('-t, --text <file>', 'a text for the perplexity before and after')
    .addOption(protocolOption())
    .option('--context <n>', 'tokens of a window of the perplexity', integer(2))
    .option('--json', 'one object of JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (folder: string, options: CompressOptions) => {
      finish(await interruptible((signal) => compress(folder, options, signal)));
    });
}

async function compress(
  folder: string,
  options: CompressOptions,
  signal: AbortSignal,
): Promise<void> {
  const { scheme, ignore, json = false } = options;
  const out = options.out ?? `${folder.replace(/\/+$/, '')}-${scheme}`;
  refuseOverwriting(folder, out);
  const pretrained = await openModel(folder);
  const { model } = pretrained;
  const before = await measure(pretrained, options, signal);
  const line = percentLine('packing');
  const layers = await compressModel(model, {
    scheme,
    ignore,
    signal,
    onLayer: (_, done, all) => line.update(done, all),
  }).finally(line.end);
  const after = await measure(pretrained, options, signal);
  const report: CompressionReport = {
    model: basename(resolve(folder)),
    scheme,
    method: 'round to nearest (RTN)',
    activations: 'int8',
    before,
    after,
    layers,
    ...(options.text !== undefined && { text: basename(options.text) }),
  };
  await saveModel(out, pretrained);
  await writeFileAtomic(join(out, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writeFileAtomic(join(out, 'report.html'), await reportPage(report));
  if (json) printJson('result', { out, ...report });
  else console.log(asText(report, out));
  model.dispose();
}

function asText(report: CompressionReport, out: string): string {
  const kept = report.layers.filter(({ reason }) => reason !== undefined);
  const others =
    kept.length === 0
      ? []
      : ['', 'Not stored as was asked for:', '', indent(table(layerRows(kept)))];
  return [
    `${report.model}, ${report.scheme}: ${verdict(report)}`,
    '',
    indent(table(summaryRows(report))),
    ...others,
    '',
    ...(report.text === undefined ? ['No perplexity was measured: give a text by --text.'] : []),
    `Written: ${out} (layer by layer in ${join(out, 'report.html')})`,
  ].join('\n');
}

/** A folder with a model is replaced only if it is one that this command wrote. */
function refuseOverwriting(folder: string, out: string): void {
  if (resolve(folder) === resolve(out)) {
    throw new Error(`--out ${JSON.stringify(out)} is the model itself; choose another folder`);
  }
  if (!existsSync(join(out, 'config.json')) || existsSync(join(out, 'report.json'))) return;
  throw new Error(
    `--out ${JSON.stringify(out)} holds another model (config.json without report.json); ` +
      'choose another folder, or remove it',
  );
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
