//! Loops of a product, from panels of columns down to one tile of registers. The documentation of [`gemm`](super) draws
//! them and explains the terms.

use std::array;
use std::mem::MaybeUninit;

use crate::activation::Activation;
use crate::gemm::dot::{Columns, Dot, DotKernel, Staged, Staging, Weight};
use crate::gemm::product::Product;
use crate::layout::Cursor;
use crate::simd::Simd;

/// Largest number of weight bytes in a block of k. A block fits a first-level cache of 32 KiB together with the rows of
/// a tile.
const BLOCK_BYTES: usize = 24 << 10;
/// Largest number of weight bytes in a block if vectors have more than 8 lanes. It may exceed 32 KiB, because weights
/// are prefetched meanwhile.
const BLOCK_BYTES_WIDE: usize = 36 << 10;

/// Largest number of rows whose partial sums are kept between two blocks of k.
const BLOCK_ROWS: usize = 128;

const CACHE_LINE: usize = 64;

/// Runs the body for each number below a constant of at most 8, unrolled. Sums stay in registers only if every index
/// into them is a constant early in compilation; the compiler's own loop unrolling may come too late.
macro_rules! each {
    ($i:ident < $count:expr, $body:block) => {
        each!($i < $count, $body, 0 1 2 3 4 5 6 7)
    };
    ($i:ident < $count:expr, $body:block, $($number:literal)*) => {
        $(if $number < $count {
            let $i: usize = $number;
            $body
        })*
    };
}

/// Arguments of [`gemm`](super::gemm), after it has checked them.
pub(super) struct Gemm<'a> {
    pub(super) product: &'a Product<'a>,
    pub(super) input: &'a [f32],
    pub(super) staging: &'a mut Staging,
    pub(super) output: &'a mut [f32],
}

impl DotKernel for Gemm<'_> {
    #[inline(always)]
    fn run<D: Dot>(self, dot: D) {
        let weights = self.product.weights;
        let (k, padded) = (weights.k(), weights.padded());
        let panel_columns = D::S::TILE_VECTORS * D::S::LANES;
        // SAFETY: `gemm` asserted that all rows with all taps are inside `input`, and that `staging` is large enough.
        let staged = unsafe { dot.stage(self.product, self.input, self.staging) };
        let panels = D::Weight::panels(weights);
        for first in (0..padded).step_by(panel_columns) {
            let width = panel_columns.min(padded - first);
            let panel = Panel {
                dot,
                product: self.product,
                staged: &staged,
                weights: panels[first * k..][..width * k].as_ptr(),
                end: panels.as_ptr_range().end,
                columns: weights.columns(first),
                first,
                count: width.min(weights.n() - first),
                output: self.output.as_mut_ptr(),
            };
            // SAFETY: `gemm` asserted that every row of both layouts is inside its slice for all taps and columns. The
            // panel, its bias, scales and offsets hold `width` columns.
            unsafe {
                match width / D::S::LANES {
                    1 => panel.run::<1>(),
                    2 if D::S::TILE_VECTORS >= 2 => panel.run::<2>(),
                    3 if D::S::TILE_VECTORS >= 3 => panel.run::<3>(),
                    4 if D::S::TILE_VECTORS >= 4 => panel.run::<4>(),
                    vectors => unreachable!("a panel of {vectors} vectors"),
                }
            }
        }
    }
}

/// One panel of weights, to be multiplied by all rows.
struct Panel<'a, D: Dot> {
    dot: D,
    product: &'a Product<'a>,
    staged: &'a Staged<D::Input>,
    weights: *const D::Weight,
    /// End of the weights of the last panel.
    end: *const D::Weight,
    columns: Columns,
    /// First column of the panel.
    first: usize,
    /// Number of columns of the panel, padding excluded.
    count: usize,
    output: *mut f32,
}

/// A range of k within one panel.
#[derive(Clone, Copy)]
struct Block<W> {
    /// Range of values in each tap.
    from: usize,
    to: usize,
    weights: *const W,
    chain: Chain,
    /// True for the first block of k, in which totals start from the bias.
    starts: bool,
    /// True for the last block of k, after which sums are finished.
    ends: bool,
}

/// Size of the chains of multiply-adds in a block: `len` values in each of `taps` taps.
#[derive(Clone, Copy)]
struct Chain {
    taps: usize,
    len: usize,
}

impl Chain {
    /// Divides a block of `len` values in each of `taps` taps into the fewest chains of at most `most` values, of nearly
    /// equal size. A chain has either several whole taps or a part of one tap.
    #[inline(always)]
    fn new<D: Dot>(most: usize, taps: usize, len: usize) -> Chain {
        let groups = taps.div_ceil((most / len.max(1)).max(1));
        let parts = len.div_ceil(most);
        let equal = |whole: usize, parts: usize| whole.div_ceil(parts.max(1)).max(1);
        Chain { taps: equal(taps, groups), len: equal(len, parts).next_multiple_of(D::DEPTH) }
    }
}

/// Position in the rows of input and output, and in the weights to prefetch.
#[derive(Clone)]
struct Progress {
    input: Cursor,
    output: Cursor,
    row: usize,
    /// Next cache line of weights to prefetch.
    prefetch: *const u8,
    prefetch_end: *const u8,
    lines_per_tile: usize,
}

impl<D: Dot> Panel<'_, D> {
    /// Multiplies the panel by all rows.
    ///
    /// # Safety
    /// The panel has NV vectors, and its layouts are inside the memory that its pointers refer to.
    #[inline(always)]
    unsafe fn run<const NV: usize>(&self) {
        let Product { taps, input, output, .. } = self.product;
        let mut left = input.rows();
        let mut progress = Progress {
            input: self.staged.layout.cursor(),
            output: output.cursor(),
            row: 0,
            prefetch: std::ptr::null(),
            prefetch_end: std::ptr::null(),
            lines_per_tile: 0,
        };
        // Several blocks of k keep partial sums for up to BLOCK_ROWS rows. A single block keeps none and takes all
        // rows.
        let len = if taps.offsets.len() > 1 { taps.len } else { self.block_len::<NV>() };
        let most = if len == taps.len { left } else { BLOCK_ROWS };
        let chain = Chain::new::<D>(D::chain_len(self.product.weights.k()), taps.offsets.len(), len);
        let mut partial_sums = [[const { MaybeUninit::<D::Sum>::uninit() }; NV]; BLOCK_ROWS];
        while left > 0 {
            let rows = left.min(most);
            let start = progress.clone();
            for from in (0..taps.len).step_by(len) {
                let to = taps.len.min(from + len);
                progress = start.clone();
                // SAFETY: `from` < k, and a panel holds k rows of NV vectors. `partial_sums` holds BLOCK_ROWS rows. If
                // there is more than one block, the first block writes them before later blocks read them.
                unsafe {
                    let weights = self.weights.add(from * NV * D::S::LANES);
                    let block = Block { from, to, weights, chain, starts: from == 0, ends: to == taps.len };
                    self.rows::<NV>(block, rows, &mut progress, partial_sums.as_mut_ptr().cast());
                }
            }
            left -= rows;
        }
    }

    /// Number of values of k in a block: k is divided into as few equal parts as fit the cache.
    #[inline(always)]
    fn block_len<const NV: usize>(&self) -> usize {
        let bytes = if D::S::LANES > 8 { BLOCK_BYTES_WIDE } else { BLOCK_BYTES };
        let k = self.product.taps.len;
        let blocks = (k * NV * D::S::LANES * size_of::<D::Weight>()).div_ceil(bytes);
        k.div_ceil(blocks.max(1)).next_multiple_of(D::DEPTH)
    }

    /// Multiplies one block by `rows` rows, tile by tile, and applies the activation after the last block.
    ///
    /// # Safety
    /// The conditions of `run` hold, at least `rows` rows are left under the cursors, and `partial_sums` has NV sums
    /// for each of them unless the block both starts and ends the sums.
    #[inline(always)]
    unsafe fn rows<const NV: usize>(
        &self,
        block: Block<D::Weight>,
        rows: usize,
        progress: &mut Progress,
        partial_sums: *mut [D::Sum; NV],
    ) {
        let tile_rows = D::S::TILE_ROWS;
        // Each tile prefetches its share of the weights of the next block or panel.
        let len = (block.to - block.from) * self.product.taps.offsets.len() * NV * D::S::LANES;
        let next = block.weights.wrapping_add(len);
        progress.prefetch = next.cast();
        progress.prefetch_end = next.wrapping_add(len).min(self.end).cast();
        progress.lines_per_tile =
            (len * size_of::<D::Weight>()).div_ceil(CACHE_LINE).div_ceil(rows.div_ceil(tile_rows));
        let mut left = rows;
        let mut partial_sums = partial_sums;
        let finished = progress.output.clone();
        // SAFETY: guaranteed by the caller; the tiles take each row once.
        unsafe {
            while left >= tile_rows {
                match tile_rows {
                    4 => self.tile::<4, NV>(block, progress, partial_sums),
                    6 => self.tile::<6, NV>(block, progress, partial_sums),
                    8 => self.tile::<8, NV>(block, progress, partial_sums),
                    mr => unreachable!("a tile of {mr} rows"),
                }
                left -= tile_rows;
                partial_sums = partial_sums.wrapping_add(tile_rows);
            }
            match left {
                0 => {}
                1 => self.tile::<1, NV>(block, progress, partial_sums),
                2 => self.tile::<2, NV>(block, progress, partial_sums),
                3 => self.tile::<3, NV>(block, progress, partial_sums),
                4 if tile_rows > 4 => self.tile::<4, NV>(block, progress, partial_sums),
                5 if tile_rows > 5 => self.tile::<5, NV>(block, progress, partial_sums),
                6 if tile_rows > 6 => self.tile::<6, NV>(block, progress, partial_sums),
                7 if tile_rows > 7 => self.tile::<7, NV>(block, progress, partial_sums),
                left => unreachable!("{left} rows left"),
            }
            if block.ends {
                self.activate::<NV>(rows, finished);
            }
        }
    }

    /// Multiplies one block by one tile of MR rows. This is the micro-kernel.
    ///
    /// # Safety
    /// The conditions of `rows` hold, and MR rows are left under the cursors of input and output.
    #[inline(always)]
    unsafe fn tile<const MR: usize, const NV: usize>(
        &self,
        block: Block<D::Weight>,
        progress: &mut Progress,
        partial_sums: *mut [D::Sum; NV],
    ) {
        let (dot, lanes) = (self.dot, D::S::LANES);
        // SAFETY: `gemm` asserted that row start + tap + run is inside its slice. Loads of weights advance through the
        // block's rows of NV vectors, which are inside the panel. The caller guarantees `partial_sums`.
        unsafe {
            let rows: [*const D::Input; MR] = array::from_fn(|_| self.staged.input.add(progress.input.advance()));
            progress.prefetch_weights(dot.simd());
            // Totals of the finished chains of the block are in memory, because the registers hold the sums of the current
            // chain.
            let mut totals = MaybeUninit::<[[D::Sum; NV]; MR]>::uninit();
            let totals = totals.as_mut_ptr().cast::<D::Sum>();
            let partial_sums = partial_sums.cast::<D::Sum>();
            let mut is_first = true;
            let mut weights = block.weights;
            for taps in self.product.taps.offsets.chunks(block.chain.taps) {
                for from in (block.from..block.to).step_by(block.chain.len) {
                    let to = block.to.min(from + block.chain.len);
                    let mut sums = MaybeUninit::<[[D::Sum; NV]; MR]>::uninit();
                    each!(v < NV, {
                        let start = dot.start(self.columns, v * lanes);
                        each!(r < MR, {
                            let at = r * NV + v;
                            let sum = match (is_first, block.starts) {
                                (true, true) => dot.next_chain(start),
                                (true, false) => dot.next_chain(partial_sums.add(at).read()),
                                (false, _) => dot.next_chain(totals.add(at).read()),
                            };
                            sums.as_mut_ptr().cast::<D::Sum>().add(at).write(sum);
                        });
                    });
                    let mut sums = sums.assume_init();
                    for &tap in taps {
                        for p in (tap + from..tap + to).step_by(D::DEPTH) {
                            each!(part < D::PARTS, {
                                let mut columns = [dot.weights(weights.add(D::offset(NV, 0, part)), part); NV];
                                each!(v < NV, {
                                    if v > 0 {
                                        columns[v] = dot.weights(weights.add(D::offset(NV, v, part)), part);
                                    }
                                });
                                each!(r < MR, {
                                    let inputs = dot.inputs(rows[r].add(p), part);
                                    each!(v < NV, {
                                        sums[r][v] = dot.dot(inputs, columns[v], sums[r][v]);
                                    });
                                });
                            });
                            weights = weights.add(NV * lanes * D::DEPTH);
                        }
                    }
                    each!(v < NV, {
                        let start = dot.start(self.columns, v * lanes);
                        each!(r < MR, {
                            let at = r * NV + v;
                            let total = match (is_first, block.starts) {
                                (true, true) => dot.join_chains(start, sums[r][v]),
                                (true, false) => sums[r][v],
                                (false, _) => dot.join_chains(totals.add(at).read(), sums[r][v]),
                            };
                            totals.add(at).write(total);
                        });
                    });
                    is_first = false;
                }
            }
            if !block.starts {
                each!(r < MR, {
                    each!(v < NV, {
                        let at = r * NV + v;
                        let total = dot.join_chains(partial_sums.add(at).read(), totals.add(at).read());
                        if block.ends { totals } else { partial_sums }.add(at).write(total);
                    });
                });
            } else if !block.ends {
                each!(r < MR, {
                    each!(v < NV, {
                        let at = r * NV + v;
                        partial_sums.add(at).write(totals.add(at).read());
                    });
                });
            }
            if block.ends {
                self.finish::<MR, NV>(totals, progress);
            } else {
                progress.row += MR;
                (0..MR).for_each(|_| _ = progress.output.advance());
            }
        }
    }

    /// Converts finished sums to values and writes them to the output.
    ///
    /// # Safety
    /// MR rows are left under the cursor of the output, and each has `count` columns from `first` on.
    #[inline(always)]
    unsafe fn finish<const MR: usize, const NV: usize>(&self, sums: *const D::Sum, progress: &mut Progress) {
        let (s, lanes) = (self.dot.simd(), D::S::LANES);
        let accumulate = self.product.accumulate;
        for r in 0..MR {
            // SAFETY: guaranteed by the caller; only the first `count` columns are loaded and stored.
            unsafe {
                let scale = self.staged.scale(progress.row);
                let c = self.output.add(progress.output.advance() + self.first);
                for v in 0..NV {
                    let sum = sums.add(r * NV + v).read();
                    let c = c.add(v * lanes);
                    let value = self.dot.finish(sum, self.columns, v * lanes, scale);
                    if (v + 1) * lanes <= self.count {
                        let value = if accumulate { s.add(s.load(c), value) } else { value };
                        s.store(c, value);
                    } else {
                        let part = self.count - v * lanes;
                        let value = if accumulate { s.add(s.load_part(c, part), value) } else { value };
                        s.store_part(c, value, part);
                    }
                }
            }
            progress.row += 1;
        }
    }

    /// Applies the activation to finished rows of the panel, which are still in the first-level cache. It is not part
    /// of `tile`, so that its code is compiled once and not for each tile size.
    ///
    /// # Safety
    /// At least `rows` rows are left under the cursor, and each has `count` columns from `first` on.
    #[inline(always)]
    unsafe fn activate<const NV: usize>(&self, rows: usize, mut output: Cursor) {
        let (s, lanes, activation) = (self.dot.simd(), D::S::LANES, self.product.activation);
        if activation == Activation::Identity {
            return;
        }
        for _ in 0..rows {
            // SAFETY: guaranteed by the caller; only the first `count` columns are loaded and stored.
            unsafe {
                let c = self.output.add(output.advance() + self.first);
                if self.count == NV * lanes {
                    let mut values = [s.splat(0.0); NV];
                    for (v, value) in values.iter_mut().enumerate() {
                        *value = s.load(c.add(v * lanes));
                    }
                    for (v, value) in activation.apply_all(s, values).into_iter().enumerate() {
                        s.store(c.add(v * lanes), value);
                    }
                    continue;
                }
                for first in (0..self.count).step_by(lanes) {
                    let (c, part) = (c.add(first), lanes.min(self.count - first));
                    s.store_part(c, activation.apply(s, s.load_part(c, part)), part);
                }
            }
        }
    }
}

impl Progress {
    /// Prefetches the next cache lines of weights. A prefetch is a hint: it reads nothing and cannot fault.
    #[inline(always)]
    fn prefetch_weights<S: Simd>(&mut self, s: S) {
        for _ in 0..self.lines_per_tile {
            if self.prefetch >= self.prefetch_end {
                break;
            }
            s.prefetch(self.prefetch);
            self.prefetch = self.prefetch.wrapping_add(CACHE_LINE);
        }
    }
}
