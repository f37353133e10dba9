//! Requests that a task sent to S3.

use serde::{Deserialize, Serialize};

/// Requests that a task sent to S3, or to a store with the same protocol, and their times. A repeated request counts
/// again, because S3 charges for it. The request that writes the report of the task itself is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StoreRequests {
    /// Number of requests that read objects or their properties: GET and HEAD.
    pub reads: u64,
    /// Number of requests that write or list: PUT, POST and the pages of listings.
    pub writes: u64,
    /// Number of other requests, such as DELETE. S3 does not charge for them.
    pub others: u64,
    /// Sum over the requests of the seconds from the request to the headers of its answer, or to its failure.
    pub seconds: f64,
    /// Shortest of these times in seconds.
    pub min_seconds: f64,
    /// Longest of these times in seconds.
    pub max_seconds: f64,
    /// Time of the first request, in seconds since 1970.
    pub first: f64,
    /// Time of the last answer, in seconds since 1970.
    pub last: f64,
}

impl StoreRequests {
    /// Number of all requests.
    pub fn count(&self) -> u64 {
        self.reads.saturating_add(self.writes).saturating_add(self.others)
    }

    /// Requests of two parts of a task together.
    pub fn and(self, other: Self) -> Self {
        Self {
            reads: self.reads.saturating_add(other.reads),
            writes: self.writes.saturating_add(other.writes),
            others: self.others.saturating_add(other.others),
            seconds: self.seconds + other.seconds,
            min_seconds: self.min_seconds.min(other.min_seconds),
            max_seconds: self.max_seconds.max(other.max_seconds),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_adds_counts_and_keeps_the_extremes() {
        let one = |reads, seconds, first| StoreRequests {
            reads,
            writes: 1,
            others: 0,
            seconds,
            min_seconds: seconds / 4.0,
            max_seconds: seconds / 2.0,
            first,
            last: first + seconds,
        };
        let both = one(3, 0.4, 100.0).and(one(5, 0.8, 99.0));
        assert_eq!((both.reads, both.writes, both.others, both.count()), (8, 2, 0, 10));
        assert_eq!((both.min_seconds, both.max_seconds), (0.1, 0.4));
        assert_eq!((both.first, both.last), (99.0, 100.4));
        assert!((both.seconds - 1.2).abs() < 1e-12);
        let many = StoreRequests { reads: u64::MAX, ..both };
        assert_eq!((many.count(), many.and(many).reads), (u64::MAX, u64::MAX));
    }
}
