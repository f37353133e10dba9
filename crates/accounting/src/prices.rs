//! Table of prices: one entry with date and source for each thing that is charged for.

use records::ExecutorKind;
use serde::{Deserialize, Serialize};

/// Format version of the table.
const PRICES_FORMAT: u32 = 1;
/// Largest table that is read, in bytes.
pub const MAX_PRICES_BYTES: u64 = 1 << 20;
/// Highest price of a unit, in USD.
const MAX_USD: f64 = 1e6;
/// Table that is used if the user gives no other.
pub const DEFAULT: &str = include_str!("prices.toml");

/// Table of prices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    format_version: u32,
    /// Region and terms of the prices.
    pub name: String,
    /// Lambda's memory × time on x86_64.
    pub lambda_x86_64: Price,
    /// Lambda's memory × time on arm64.
    pub lambda_arm64: Price,
    /// Lambda's disk beyond the free part.
    pub lambda_ephemeral: Price,
    /// Lambda's requests.
    pub lambda_request: Price,
    /// Transitions of a Standard state machine.
    pub state_transition: Price,
    /// S3 requests that write or list.
    pub s3_put: Price,
    /// S3 requests that read.
    pub s3_get: Price,
    /// One hour of this machine.
    pub local_hour: Price,
    /// One hour of one core of a cluster.
    pub slurm_core_hour: Price,
    /// One hour of one accelerator of a cluster. Tables of earlier versions do not have it.
    #[serde(default = "free_accelerator")]
    pub slurm_accelerator_hour: Price,
    /// Quantities of each month that are free of charge.
    pub free_tier: FreeTier,
}

/// Price of one thing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Thing that is charged for.
    pub what: String,
    /// Unit of the quantity.
    pub unit: String,
    /// Prices by quantity of a month. The first tier starts at 0.
    pub tiers: Vec<Tier>,
    /// Source of the price.
    pub source: String,
    /// Date on which the price was read there.
    pub read: String,
}

/// Price of a unit beyond a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Quantity at which the tier starts.
    pub above: f64,
    /// Price of a unit in USD.
    pub usd: f64,
}

/// Quantities of a month that are free of charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreeTier {
    /// Lambda's memory × time, in GB·s.
    pub lambda_gb_s: f64,
    /// Lambda's requests.
    pub lambda_request: f64,
    /// State transitions.
    pub state_transition: f64,
}

/// Processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Intel or AMD.
    #[serde(rename = "x86_64")]
    X86,
    /// Graviton.
    #[serde(rename = "arm64")]
    Arm,
}

impl std::fmt::Display for Architecture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::X86 => "x86_64",
            Self::Arm => "arm64",
        })
    }
}

/// Error of [`Prices::parse`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricesError {
    /// The text is not TOML, or has missing or unknown keys.
    #[error("{0}")]
    Malformed(String),
    /// The table has another format version.
    #[error("format_version is {0}; expected {PRICES_FORMAT}")]
    FormatVersion(u32),
    /// The tiers of an entry are invalid.
    #[error("{0}: `tiers` must start at `above = 0` and ascend, with prices from 0 to {MAX_USD} USD")]
    Tiers(&'static str),
    /// An entry counts in another unit.
    #[error("{entry}: `unit` is `{found}`; quantities are computed in `{expected}`")]
    Unit {
        /// Name of the entry.
        entry: &'static str,
        /// Unit in the table.
        found: String,
        /// Unit of the quantities.
        expected: &'static str,
    },
    /// A text has a control character.
    #[error("{0}: control characters are not allowed")]
    ControlCharacter(&'static str),
    /// A quantity of the free tier is invalid.
    #[error("free_tier: quantities must be 0 or more")]
    FreeTier,
}

impl Prices {
    /// Reads a table in TOML.
    ///
    /// # Errors
    /// If the text is not a table of prices, if its format version is unknown, or if an entry is invalid.
    pub fn parse(toml: &str) -> Result<Self, PricesError> {
        let prices: Self = toml::from_str(toml).map_err(|error| PricesError::Malformed(error.to_string()))?;
        if prices.format_version != PRICES_FORMAT {
            return Err(PricesError::FormatVersion(prices.format_version));
        }
        if prices.name.chars().any(char::is_control) {
            return Err(PricesError::ControlCharacter("name"));
        }
        for (name, unit, price) in prices.entries() {
            let is_price = |usd: f64| (0.0..=MAX_USD).contains(&usd);
            let is_ascending = price.tiers.windows(2).all(|pair| pair[0].above < pair[1].above);
            let starts_at_0 = price.tiers.first().is_some_and(|tier| tier.above == 0.0);
            if !starts_at_0
                || !is_ascending
                || !price.tiers.iter().all(|tier| is_price(tier.usd) && tier.above.is_finite())
            {
                return Err(PricesError::Tiers(name));
            }
            if price.unit != unit {
                return Err(PricesError::Unit { entry: name, found: price.unit.clone(), expected: unit });
            }
            if [&price.what, &price.source, &price.read].iter().any(|text| text.chars().any(char::is_control)) {
                return Err(PricesError::ControlCharacter(name));
            }
        }
        let FreeTier { lambda_gb_s, lambda_request, state_transition } = prices.free_tier;
        if ![lambda_gb_s, lambda_request, state_transition].iter().all(|units| units.is_finite() && *units >= 0.0) {
            return Err(PricesError::FreeTier);
        }
        Ok(prices)
    }

    /// Name of the entry that is 0 and that alone makes up the bill of `executor`; `None` if its runs cost something.
    ///
    /// A budget has no effect on an executor whose runs are free.
    pub fn free_entry(&self, executor: ExecutorKind) -> Option<&'static str> {
        let (name, price) = match executor {
            ExecutorKind::Local | ExecutorKind::Workers => ("local_hour", &self.local_hour),
            ExecutorKind::Slurm => ("slurm_core_hour", &self.slurm_core_hour),
            ExecutorKind::StepFunctions => return None,
        };
        (price.of(1.0) <= 0.0).then_some(name)
    }

    /// Lambda's price of memory × time.
    pub fn lambda(&self, architecture: Architecture) -> &Price {
        match architecture {
            Architecture::X86 => &self.lambda_x86_64,
            Architecture::Arm => &self.lambda_arm64,
        }
    }

    /// Name, expected unit and price of each entry.
    fn entries(&self) -> [(&'static str, &'static str, &Price); 10] {
        [
            ("lambda_x86_64", "GB·s", &self.lambda_x86_64),
            ("lambda_arm64", "GB·s", &self.lambda_arm64),
            ("lambda_ephemeral", "GB·s", &self.lambda_ephemeral),
            ("lambda_request", "request", &self.lambda_request),
            ("state_transition", "transition", &self.state_transition),
            ("s3_put", "request", &self.s3_put),
            ("s3_get", "request", &self.s3_get),
            ("local_hour", "hour", &self.local_hour),
            ("slurm_core_hour", "core hour", &self.slurm_core_hour),
            ("slurm_accelerator_hour", "accelerator hour", &self.slurm_accelerator_hour),
        ]
    }
}

/// Price of an accelerator in a table that does not have it.
fn free_accelerator() -> Price {
    Price {
        what: "cluster, hours of an accelerator (GPU)".to_owned(),
        unit: "accelerator hour".to_owned(),
        tiers: vec![Tier { above: 0.0, usd: 0.0 }],
        source: "yours to fill in: what the cluster's owner charges".to_owned(),
        read: "never".to_owned(),
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("a test reads the default table")
    }
}

impl Price {
    /// Cost of a quantity in USD.
    pub fn of(&self, quantity: f64) -> f64 {
        let ends = self.tiers.iter().skip(1).map(|tier| tier.above).chain([f64::INFINITY]);
        self.tiers.iter().zip(ends).map(|(tier, end)| (quantity.min(end) - tier.above).max(0.0) * tier.usd).sum()
    }
}

#[cfg(test)]
mod tests;
