//! The loops of a product: panels of columns outside, blocks of k that stay in a core's first cache, rows inside, one
//! tile of registers at a time.

use std::array;
use std::mem::MaybeUninit;

use crate::activation::Activation;
use crate::gemm::dot::{Columns, Dot, DotKernel, Staged, Staging, Weight};
use crate::gemm::product::Product;
use crate::layout::Cursor;
use crate::simd::Simd;

/// Bytes of a panel that are multiplied with all rows before the next ones: half of a first-level cache of 32 KiB, or a
/// little more where vectors are wide, since what follows is fetched meanwhile.
const BLOCK_BYTES: usize = 24 << 10;
const BLOCK_BYTES_WIDE: usize = 36 << 10;

/// Rows whose unfinished sums are kept between two blocks of k.
const BLOCK_ROWS: usize = 128;

const CACHE_LINE: usize = 64;

/// Runs the body for each number below a constant of at most 8, without a loop: sums stay in registers only if every
/// index into them is a constant before the compiler looks, and its own unrolling may come too late for that.
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
        // SAFETY: `gemm` asserted that the input's rows lie in it for all taps, and that staging is large enough.
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
            // SAFETY: `gemm` asserted that every row of both layouts lies in its slice for all taps and columns; the
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

/// One panel of weights against all rows.
struct Panel<'a, D: Dot> {
    dot: D,
    product: &'a Product<'a>,
    staged: &'a Staged<D::Input>,
    weights: *const D::Weight,
    /// Where the weights of the last panel end.
    end: *const D::Weight,
    columns: Columns,
    /// First column of the panel, and how many it has that are not padding.
    first: usize,
    count: usize,
    output: *mut f32,
}

/// A part of k, for all rows of a panel.
#[derive(Clone, Copy)]
struct Block<W> {
    /// Within each run of inputs.
    from: usize,
    to: usize,
    weights: *const W,
    /// Whether sums start here, and whether they end here.
    starts: bool,
    ends: bool,
}

/// Where the rows of input and output lie that come next, and which cache lines of weights are to be fetched.
#[derive(Clone)]
struct At {
    input: Cursor,
    output: Cursor,
    row: usize,
    ahead: *const u8,
    ahead_end: *const u8,
    lines_per_tile: usize,
}

impl<D: Dot> Panel<'_, D> {
    /// # Safety
    /// The panel has NV vectors, and its layouts lie within the memory behind its pointers.
    #[inline(always)]
    unsafe fn run<const NV: usize>(&self) {
        let Product { taps, input, output, .. } = self.product;
        let mut left = input.rows();
        let mut at = At {
            input: self.staged.layout.cursor(),
            output: output.cursor(),
            row: 0,
            ahead: std::ptr::null(),
            ahead_end: std::ptr::null(),
            lines_per_tile: 0,
        };
        // Sums are kept between blocks of k; a single block needs nothing kept, so any number of rows may go through it.
        let len = if taps.offsets.len() > 1 { taps.len } else { self.block_len::<NV>() };
        let most = if len == taps.len { left } else { BLOCK_ROWS };
        let mut kept = [[const { MaybeUninit::<D::Sum>::uninit() }; NV]; BLOCK_ROWS];
        while left > 0 {
            let rows = left.min(most);
            let start = at.clone();
            for from in (0..taps.len).step_by(len) {
                let to = taps.len.min(from + len);
                at = start.clone();
                // SAFETY: `from` < k, and a panel holds k rows of NV vectors. `kept` holds BLOCK_ROWS rows of sums; they
                // are written by the block that starts, and read by others, only where there is more than one.
                unsafe {
                    let weights = self.weights.add(from * NV * D::S::LANES);
                    let block = Block { from, to, weights, starts: from == 0, ends: to == taps.len };
                    self.rows::<NV>(block, rows, &mut at, kept.as_mut_ptr().cast());
                }
            }
            left -= rows;
        }
    }

    /// Values of k in a block: equal parts of k, as many as fit the cache.
    #[inline(always)]
    fn block_len<const NV: usize>(&self) -> usize {
        let bytes = if D::S::LANES > 8 { BLOCK_BYTES_WIDE } else { BLOCK_BYTES };
        let k = self.product.taps.len;
        let blocks = (k * NV * D::S::LANES * size_of::<D::Weight>()).div_ceil(bytes);
        k.div_ceil(blocks.max(1)).next_multiple_of(D::DEPTH)
    }

    /// # Safety
    /// As for `run`; `rows` rows are left under the cursors; unless the block starts and ends all sums, `kept` holds NV
    /// sums for each of the rows.
    #[inline(always)]
    unsafe fn rows<const NV: usize>(&self, block: Block<D::Weight>, rows: usize, at: &mut At, kept: *mut [D::Sum; NV]) {
        let tile_rows = D::S::TILE_ROWS;
        // What the next block or panel will read is fetched a little with every tile.
        let len = (block.to - block.from) * self.product.taps.offsets.len() * NV * D::S::LANES;
        let next = block.weights.wrapping_add(len);
        at.ahead = next.cast();
        at.ahead_end = next.wrapping_add(len).min(self.end).cast();
        at.lines_per_tile = (len * size_of::<D::Weight>()).div_ceil(CACHE_LINE).div_ceil(rows.div_ceil(tile_rows));
        let mut left = rows;
        let mut kept = kept;
        let finished = at.output.clone();
        // SAFETY: handed on from the caller; the tiles take each row once.
        unsafe {
            while left >= tile_rows {
                match tile_rows {
                    4 => self.tile::<4, NV>(block, at, kept),
                    6 => self.tile::<6, NV>(block, at, kept),
                    8 => self.tile::<8, NV>(block, at, kept),
                    mr => unreachable!("a tile of {mr} rows"),
                }
                left -= tile_rows;
                kept = kept.wrapping_add(tile_rows);
            }
            match left {
                0 => {}
                1 => self.tile::<1, NV>(block, at, kept),
                2 => self.tile::<2, NV>(block, at, kept),
                3 => self.tile::<3, NV>(block, at, kept),
                4 if tile_rows > 4 => self.tile::<4, NV>(block, at, kept),
                5 if tile_rows > 5 => self.tile::<5, NV>(block, at, kept),
                6 if tile_rows > 6 => self.tile::<6, NV>(block, at, kept),
                7 if tile_rows > 7 => self.tile::<7, NV>(block, at, kept),
                left => unreachable!("{left} rows left"),
            }
            if block.ends {
                self.activate::<NV>(rows, finished);
            }
        }
    }

    /// # Safety
    /// As for `rows`, and MR rows are left under the cursors of input and output.
    #[inline(always)]
    unsafe fn tile<const MR: usize, const NV: usize>(
        &self,
        block: Block<D::Weight>,
        at: &mut At,
        kept: *mut [D::Sum; NV],
    ) {
        let (dot, lanes) = (self.dot, D::S::LANES);
        // SAFETY: `gemm` asserted that every start + tap + run lies in its slice; loads of weights advance through the
        // block's rows of NV vectors, which lie in the panel; `kept` is the caller's promise.
        unsafe {
            let rows: [*const D::Input; MR] = array::from_fn(|_| self.staged.input.add(at.input.advance()));
            let mut sums = MaybeUninit::<[[D::Sum; NV]; MR]>::uninit();
            each!(v < NV, {
                let start = dot.start(self.columns, v * lanes);
                each!(r < MR, {
                    let sum = if block.starts { start } else { (*kept.add(r))[v] };
                    sums.as_mut_ptr().cast::<D::Sum>().add(r * NV + v).write(sum);
                });
            });
            let mut sums = sums.assume_init();
            at.fetch(dot.simd());
            let mut weights = block.weights;
            for &tap in self.product.taps.offsets {
                for p in (tap + block.from..tap + block.to).step_by(D::DEPTH) {
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
            // Loops over rows would index the sums by what is no constant: they go over a copy.
            let mut copy = MaybeUninit::<[[D::Sum; NV]; MR]>::uninit();
            let to = if block.ends { copy.as_mut_ptr().cast::<[D::Sum; NV]>() } else { kept };
            each!(r < MR, {
                each!(v < NV, {
                    to.add(r).cast::<D::Sum>().add(v).write(sums[r][v]);
                });
            });
            if block.ends {
                self.finish::<MR, NV>(copy.assume_init_ref(), at);
            } else {
                at.row += MR;
                (0..MR).for_each(|_| _ = at.output.advance());
            }
        }
    }

    /// Sums to values, into the output.
    ///
    /// # Safety
    /// MR rows are left under the output's cursor, `count` columns from `first` on lie in each.
    #[inline(always)]
    unsafe fn finish<const MR: usize, const NV: usize>(&self, sums: &[[D::Sum; NV]; MR], at: &mut At) {
        let (s, lanes) = (self.dot.simd(), D::S::LANES);
        let accumulate = self.product.accumulate;
        for sums in sums {
            // SAFETY: handed on from the caller; a vector that is not all columns is stored in part.
            unsafe {
                let scale = self.staged.scale(at.row);
                let c = self.output.add(at.output.advance() + self.first);
                for (v, &sum) in sums.iter().enumerate() {
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
            at.row += 1;
        }
    }

    /// Applies the activation to finished rows of the panel, which are still in the first cache: apart from the tiles, so
    /// that its code is there once and not for each size of tile.
    ///
    /// # Safety
    /// `rows` rows are left under the cursor, `count` columns from `first` on lie in each.
    #[inline(always)]
    unsafe fn activate<const NV: usize>(&self, rows: usize, mut output: Cursor) {
        let (s, lanes, activation) = (self.dot.simd(), D::S::LANES, self.product.activation);
        if activation == Activation::Identity {
            return;
        }
        for _ in 0..rows {
            // SAFETY: handed on from the caller; a vector that is not all columns is loaded and stored in part.
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

impl At {
    /// Asks for the next cache lines of weights. Fetching is a hint: it reads nothing and cannot fault.
    #[inline(always)]
    fn fetch<S: Simd>(&mut self, s: S) {
        for _ in 0..self.lines_per_tile {
            if self.ahead >= self.ahead_end {
                break;
            }
            s.prefetch(self.ahead);
            self.ahead = self.ahead.wrapping_add(CACHE_LINE);
        }
    }
}
