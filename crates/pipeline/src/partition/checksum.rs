//! CRC-32 of data whose pieces arrive in any order.

use std::collections::BTreeMap;

use crc32fast::Hasher;

/// CRC-32 of data of `bytes` bytes, updated with each piece that is read.
#[derive(Debug)]
pub(super) struct Checksum {
    bytes: u64,
    /// Ends and checksums of contiguous ranges, by their first byte.
    runs: BTreeMap<u64, (u64, Hasher)>,
}

impl Checksum {
    /// Starts the checksum of data of `bytes` bytes.
    pub(super) fn new(bytes: u64) -> Self {
        Self { bytes, runs: BTreeMap::new() }
    }

    /// Adds the piece that starts at byte `start`. Returns the checksum of all data when the last missing piece
    /// arrives. Ignores a piece that overlaps an earlier one, such as a row that is read again.
    pub(super) fn add(&mut self, start: u64, piece: &[u8]) -> Option<u32> {
        let end = start + piece.len() as u64;
        let before = self.runs.range(..end).next_back().map(|(&start, &(end, _))| (start, end));
        if piece.is_empty() || before.is_some_and(|(_, before_end)| before_end > start) {
            return None;
        }
        let mut run = Hasher::new();
        run.update(piece);
        let mut run_start = start;
        let mut run_end = end;
        if let Some((before_start, _)) = before.filter(|&(_, before_end)| before_end == start)
            && let Some((_, mut joined)) = self.runs.remove(&before_start)
        {
            joined.combine(&run);
            (run_start, run) = (before_start, joined);
        }
        if let Some((after_end, after)) = self.runs.remove(&end) {
            run.combine(&after);
            run_end = after_end;
        }
        if run_start == 0 && run_end == self.bytes {
            let whole = run.clone().finalize();
            self.runs.insert(run_start, (run_end, run));
            return Some(whole);
        }
        self.runs.insert(run_start, (run_end, run));
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn overlaps_and_gaps_do_not_complete_the_checksum() {
        let mut checksum = Checksum::new(4);
        assert_eq!(checksum.add(0, b"ab"), None);
        assert_eq!(checksum.add(1, b"bc"), None);
        assert_eq!(checksum.add(3, b"d"), None);
        assert_eq!(checksum.add(0, b"abcd"), None);
        assert_eq!(checksum.add(2, b"c"), Some(crc32fast::hash(b"abcd")));
        assert_eq!(checksum.add(2, b"c"), None);
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_give_the_checksum_of_the_whole(
            lengths in prop::collection::vec(1_usize..50, 1..20),
            order in any::<prop::sample::Index>(),
            seed in any::<u8>(),
        ) {
            let total: usize = lengths.iter().sum();
            let bytes: Vec<u8> = (0..total).map(|i| (i as u8).wrapping_mul(31) ^ seed).collect();
            let mut pieces: Vec<(usize, usize)> = Vec::new();
            let mut at = 0;
            for length in lengths {
                pieces.push((at, at + length));
                at += length;
            }
            let turn = order.index(pieces.len());
            pieces.rotate_left(turn);
            if seed & 1 == 0 {
                pieces.reverse();
            }
            let mut checksum = Checksum::new(bytes.len() as u64);
            let add = |&(from, to): &(usize, usize)| checksum.add(from as u64, &bytes[from..to]);
            let mut results: Vec<_> = pieces.iter().map(add).collect();
            prop_assert_eq!(results.pop(), Some(Some(crc32fast::hash(&bytes))));
            prop_assert!(results.iter().all(Option::is_none));
        }
    }
}
