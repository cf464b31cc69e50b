//! Convolutions of 3x3 by Winograd's minimal filtering `F(4x4, 3x3)`.
//!
//! Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (2016): a patch of 6x6 pixels and the kernel are
//! transformed, multiplied element by element and transformed back to 4x4 pixels of the output, 36 multiplications
//! instead of 144. The interpolation points are 0, +-5/8, +-3/2 and infinity. With the usual 0, +-1, +-2 the error in
//! single precision is three times that of the plain sum, with these it is about one and a half times (the influence of
//! the points: Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
//! Networks", 2020); and every constant of the transformations but those of the weights is exact.

mod transforms;

use std::borrow::Cow;

use rayon::prelude::*;

use transforms::{Back, Patch, Weights};

use crate::Pictures;
use crate::filter::Filter;
use crate::panel::{Cut, Panel, WIDTH};
use crate::product::Product;
use crate::scratch::Scratch;
use crate::source::{Band, Rows};
use crate::vector::arch;

/// Pixels of the output, a side of a tile.
const TILE: usize = 4;
/// Pixels of the input, a side of what a tile needs.
const PATCH: usize = 6;
/// Elements of a transformed patch.
const TAPS: usize = PATCH * PATCH;

/// Most tiles of a group: their products stay in the second-level cache.
const GROUP: usize = 64;
/// What separates the elements of a transformed patch, beside their values: sizes are powers of two so often that all 36
/// would otherwise fall on the same lines of the cache.
const GAP: usize = 16;
/// Inputs whose transformed weights for one panel stay in the second-level cache.
const BLOCK: usize = 96;
/// Elements of the transformed input that exist at a time, so that they stay in the last-level cache...
const TRANSFORMED: usize = 2 << 20;
/// ... but for so many tiles, which the transformation of the weights is worth.
const TILES: usize = 256;

/// `input` convolved with a 3x3 filter under one pixel of zeros all around, plus a bias and a residual; one that is owned becomes
/// the output.
///
/// `prepared` are the weights by [`transform`], if they are kept.
pub(crate) fn convolve(
    input: Rows<'_>,
    size: Pictures,
    filter: Filter<'_>,
    prepared: Option<&[f32]>,
    bias: Option<&[f32]>,
    residual: Option<Cow<'_, [f32]>>,
) -> Vec<f32> {
    let Pictures { batch, rows, columns } = size;
    let (inputs, outputs) = (filter.inputs, filter.outputs);
    let across = columns.div_ceil(TILE);
    let down = rows.div_ceil(TILE);
    let (mut out, residual) = match residual {
        Some(Cow::Owned(residual)) => (residual, Residual::There),
        Some(Cow::Borrowed(residual)) => (vec![0.0; residual.len()], Residual::At(residual)),
        None => (vec![0.0; size.pixels() * outputs], Residual::None),
    };
    assert_eq!(out.len(), size.pixels() * outputs, "conv2d: size of the residual");
    let zeros = vec![0.0; inputs];

    // Some lines of tiles at a time.
    let most = (TRANSFORMED / (TAPS * inputs)).max(TILES).div_ceil(across);
    let mut band = Band::new(input, (most * TILE + 2).min(batch * rows));
    let mut lines = 0..batch * down;
    let mut rest = out.as_mut_slice();
    let mut first_row = 0;
    while !lines.is_empty() {
        let these = lines.start..lines.end.min(lines.start + most);
        lines.start = these.end;
        let line_rows = |line: usize| TILE.min(rows - line % down * TILE);
        let heights: Vec<usize> = these.clone().map(line_rows).collect();
        let end_row = first_row + heights.iter().sum::<usize>();
        let (part, others) = rest.split_at_mut((end_row - first_row) * columns * outputs);
        rest = others;
        let residual = residual.of(first_row * columns * outputs, part.len());
        let needed = first_row.saturating_sub(1)..(end_row + 1).min(batch * rows);
        first_row = end_row;

        let tiles: Vec<Tile> = these
            .clone()
            .flat_map(|line| (0..across).map(move |column| Tile { batch: line / down, row: line % down, column }))
            .collect();
        let group = group(tiles.len(), outputs, prepared.is_some());
        let transformed = transform_input(band.at(needed.clone()), needed.start, size, &tiles, group, &zeros);
        // By the size of a picture, so that a batch sums as its pictures alone do.
        let in_blocks = across * down <= GROUP && prepared.is_none();
        let products = multiply(&transformed, tiles.len(), group, filter, prepared, in_blocks);
        let layout = Layout { across, columns, cut: Cut { columns: outputs }, tiles: tiles.len() };
        unite(&products, layout, &heights, bias, residual, part);
    }
    out
}

/// What is added to the output by element.
#[derive(Clone, Copy, Debug)]
enum Residual<'a> {
    None,
    At(&'a [f32]),
    /// It lies where the output goes.
    There,
}

impl Residual<'_> {
    /// That of `count` elements from `first` on.
    fn of(self, first: usize, count: usize) -> Self {
        match self {
            Self::At(residual) => Self::At(&residual[first..][..count]),
            other => other,
        }
    }
}

/// The place of a tile in the output.
#[derive(Clone, Copy, Debug)]
struct Tile {
    batch: usize,
    row: usize,
    column: usize,
}

/// Tiles of a group: fewer where tasks would be few and large, and nothing has to be done for every one.
fn group(tiles: usize, outputs: usize, is_prepared: bool) -> usize {
    if !is_prepared {
        return GROUP;
    }
    let panels = Cut { columns: outputs }.count();
    let parts = (4 * rayon::current_num_threads()).div_ceil(panels);
    tiles.div_ceil(parts).next_multiple_of(12).min(GROUP)
}

/// Elements of a group of transformed patches: `[taps, tiles, inputs]`, with a gap after every tap.
fn group_size(tiles: usize, inputs: usize) -> usize {
    TAPS * (tiles * inputs + GAP)
}

/// The transformed patches in groups, see [`group_size`]. `band` has the rows of all pictures from `first_row` on.
fn transform_input(
    band: &[f32],
    first_row: usize,
    size: Pictures,
    tiles: &[Tile],
    group: usize,
    zeros: &[f32],
) -> Scratch {
    let inputs = zeros.len();
    let sizes = tiles.chunks(group).map(|tiles| group_size(tiles.len(), inputs));
    let mut transformed = Scratch::new(sizes.sum());
    let groups = transformed.par_chunks_mut(group_size(group, inputs)).zip(tiles.par_chunks(group));
    groups.for_each(|(group, tiles)| {
        for (index, tile) in tiles.iter().enumerate() {
            let patch: [&[f32]; TAPS] = std::array::from_fn(|tap| {
                let row = (tile.row * TILE + tap / PATCH).checked_sub(1).filter(|row| *row < size.rows);
                let column = (tile.column * TILE + tap % PATCH).checked_sub(1).filter(|column| *column < size.columns);
                match (row, column) {
                    (Some(row), Some(column)) => {
                        let row = tile.batch * size.rows + row - first_row;
                        &band[(row * size.columns + column) * inputs..][..inputs]
                    }
                    _ => zeros,
                }
            });
            let out = &mut group[index * inputs..];
            arch().dispatch(Patch { pixels: patch, out, stride: tiles.len() * inputs + GAP });
        }
    });
    transformed
}

/// The output in tiles: `[panel, tile, pixel of the tile, column of the panel]`.
///
/// Every task transforms the weights of a panel, multiplies some groups of tiles by them and transforms back; if `in_blocks`, some inputs
/// at a time, so that weights that are used for few tiles go from cache to cache.
fn multiply(
    transformed: &[f32],
    tiles: usize,
    group: usize,
    filter: Filter<'_>,
    prepared: Option<&[f32]>,
    in_blocks: bool,
) -> Scratch {
    let cut = Cut { columns: filter.outputs };
    let groups = tiles.div_ceil(group);
    let share = groups.div_ceil((4 * rayon::current_num_threads()).div_ceil(cut.count()).min(groups));
    let mut out = Scratch::new(tiles * TILE * TILE * cut.padded());
    let mut tasks = Vec::new();
    for (panel, out) in cut.split(tiles * TILE * TILE, &mut out).into_iter().enumerate() {
        let shares = out.chunks_mut(share * group * TILE * TILE * cut.width(panel)).enumerate();
        tasks.extend(shares.map(|(index, out)| (panel, index * share, out)));
    }
    tasks.into_par_iter().for_each(|(panel, first, out)| {
        let (inputs, width) = (filter.inputs, cut.width(panel));
        let groups = transformed[first * group_size(group, inputs)..].chunks(group_size(group, inputs));
        let mut groups: Vec<_> = groups.zip(out.chunks_mut(group * TILE * TILE * width)).collect();
        let prepared = prepared.map(|prepared| &prepared[panel_start(cut, panel, inputs)..]);
        let block = if in_blocks { BLOCK.min(inputs) } else { inputs };
        let mut scratch = Scratch::new(if prepared.is_none() { TAPS * (block * width + GAP) } else { 0 });
        // Sums that go on with the next block are kept for every group.
        let size = TAPS * (group.min(tiles) * width + GAP);
        let mut all_products = Scratch::new(if block < inputs { groups.len() * size } else { size });
        for start in (0..inputs).step_by(block) {
            let depth = block.min(inputs - start);
            let weights = prepared.unwrap_or_else(|| {
                transform_weights(filter, start, depth, cut, panel, &mut scratch);
                &scratch
            });
            for (index, (patches, out)) in groups.iter_mut().enumerate() {
                let tiles = out.len() / (TILE * TILE * width);
                let rows: Vec<usize> = (0..tiles).map(|tile| tile * inputs + start).collect();
                let stride = tiles * width + GAP;
                let first = if block < inputs { index * size } else { 0 };
                let products = &mut all_products[first..][..TAPS * stride];
                for tap in 0..TAPS {
                    let product = Product {
                        a: &patches[tap * (tiles * inputs + GAP)..][..tiles * inputs],
                        rows: &rows,
                        segments: &[0],
                        depth,
                        step: 1,
                        panel: Panel { values: &weights[tap * (depth * width + GAP)..][..depth * width], width },
                    };
                    product.compute(&mut products[tap * stride..][..tiles * width], start > 0);
                }
                if start + depth == inputs {
                    arch().dispatch(Back { products: &*products, out, width });
                }
            }
        }
    });
    out
}

/// The transformed weights of all panels, four times as many as the weights: those of a panel as [`transform_weights`] gives
/// them for all inputs.
pub(crate) fn transform(filter: Filter<'_>) -> Vec<f32> {
    let cut = Cut { columns: filter.outputs };
    let mut out = vec![0.0; panel_start(cut, cut.count(), filter.inputs)];
    let mut rest = out.as_mut_slice();
    for panel in 0..cut.count() {
        let length = TAPS * (filter.inputs * cut.width(panel) + GAP);
        let weights = rest.split_off_mut(..length).expect("room for every panel");
        transform_weights(filter, 0, filter.inputs, cut, panel, weights);
    }
    out
}

/// Where the weights of a panel begin among those of [`transform`].
fn panel_start(cut: Cut, panel: usize, inputs: usize) -> usize {
    TAPS * (inputs * cut.start(panel).min(cut.padded()) + panel * GAP)
}

/// The transformed weights of a panel for `depth` inputs from `start` on: `[taps, depth, width]`, with a gap after every tap.
fn transform_weights(filter: Filter<'_>, start: usize, depth: usize, cut: Cut, panel: usize, weights: &mut [f32]) {
    /// Inputs whose weights stay in the first-level cache on the way.
    const SOME: usize = 16;
    let (output, used, width) = (cut.start(panel), cut.used(panel), cut.width(panel));
    let mut plain = Scratch::new(9 * (SOME * WIDTH + GAP));
    for first in (0..depth).step_by(SOME) {
        let count = SOME.min(depth - first);
        let values = count * width;
        filter.gather(start + first, count, output, used, width, values + GAP, &mut plain[..9 * (values + GAP)]);
        let out = &mut weights[first * width..];
        arch().dispatch(Weights { plain: &plain, out, values, stride: depth * width + GAP });
    }
}

/// How tiles make up lines of the output.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Tiles side by side.
    across: usize,
    /// Columns of the output.
    columns: usize,
    cut: Cut,
    /// Tiles of every panel.
    tiles: usize,
}

/// Puts tiles and panels beside each other. `heights` are the rows of every line of tiles.
fn unite(
    products: &[f32],
    layout: Layout,
    heights: &[usize],
    bias: Option<&[f32]>,
    residual: Residual<'_>,
    out: &mut [f32],
) {
    let Layout { across, columns, cut, tiles } = layout;
    let line = columns * cut.columns;
    let rows: Vec<(usize, usize)> =
        heights.iter().enumerate().flat_map(|(tile, height)| (0..*height).map(move |row| (tile, row))).collect();
    out.par_chunks_mut(line).with_min_len(4).zip(rows).enumerate().for_each(|(index, (out, (tile_line, row)))| {
        for (column, out) in out.chunks_exact_mut(cut.columns).enumerate() {
            let tile = tile_line * across + column / TILE;
            let pixel = row * TILE + column % TILE;
            if let Residual::At(residual) = residual {
                out.copy_from_slice(&residual[index * line + column * cut.columns..][..cut.columns]);
            }
            let is_there = !matches!(residual, Residual::None);
            for panel in 0..cut.count() {
                let (start, width, used) = (cut.start(panel), cut.width(panel), cut.used(panel));
                let from = &products[(tiles * start + tile * width) * TILE * TILE + pixel * width..][..used];
                let out = &mut out[start..start + used];
                let bias = bias.map(|bias| &bias[start..start + used]);
                match (bias, is_there) {
                    (None, false) => out.copy_from_slice(from),
                    (None, true) => out.iter_mut().zip(from).for_each(|(out, from)| *out += from),
                    (Some(bias), false) => {
                        out.iter_mut().zip(from).zip(bias).for_each(|((out, from), bias)| *out = from + bias);
                    }
                    (Some(bias), true) => {
                        out.iter_mut().zip(from).zip(bias).for_each(|((out, from), bias)| *out += from + bias);
                    }
                }
            }
        }
    });
}

const _: () = assert!(WIDTH.is_multiple_of(16), "a panel is whole vectors");
