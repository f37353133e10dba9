//! The table of prices: one dated, sourced entry for each thing that is charged for.

use serde::{Deserialize, Serialize};

/// The version of the table that this code reads.
const PRICES_FORMAT: u32 = 1;
/// The largest table that is read, in bytes.
pub const MAX_PRICES_BYTES: u64 = 1 << 20;
/// The most that a unit of anything costs, in USD.
const MOST_USD: f64 = 1e6;
/// The table that is used where nobody brings another.
pub const DEFAULT: &str = include_str!("prices.toml");

/// All prices.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    format_version: u32,
    /// Where and under which terms they hold.
    pub name: String,
    /// Lambda's memory × time on x86_64.
    pub lambda_x86_64: Price,
    /// The same on arm64.
    pub lambda_arm64: Price,
    /// Lambda's disk above what is free.
    pub lambda_ephemeral: Price,
    /// Lambda's requests.
    pub lambda_request: Price,
    /// Transitions of a Standard state machine.
    pub state_transition: Price,
    /// Requests of S3 that write or list.
    pub s3_put: Price,
    /// Requests of S3 that read.
    pub s3_get: Price,
    /// An hour of this machine.
    pub local_hour: Price,
    /// An hour of a cluster's core.
    pub slurm_core_hour: Price,
    /// What a month begins with at no charge.
    pub free_tier: FreeTier,
}

/// The price of one thing.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// What is charged for.
    pub what: String,
    /// What is counted.
    pub unit: String,
    /// Prices by quantity of a month, the first one from 0.
    pub tiers: Vec<Tier>,
    /// Where it stands.
    pub source: String,
    /// When it was read there.
    pub read: String,
}

/// What a unit costs above a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Units that come before.
    pub above: f64,
    /// USD of a unit.
    pub usd: f64,
}

/// Units of a month that are not charged for.
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

/// Whose processors compute.
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

impl Prices {
    /// Reads a table.
    ///
    /// # Errors
    /// Where it is no table of prices, says which entry is wrong.
    pub fn parse(toml: &str) -> Result<Self, String> {
        let prices: Self = toml::from_str(toml).map_err(|error| error.to_string())?;
        if prices.format_version != PRICES_FORMAT {
            return Err(format!("format_version {} found, {PRICES_FORMAT} expected", prices.format_version));
        }
        if prices.name.chars().any(char::is_control) {
            return Err("name: a control character is in it".to_owned());
        }
        let default: Self = toml::from_str(DEFAULT).map_err(|error| error.to_string())?;
        let known = default.entries();
        for (name, price) in prices.entries() {
            let is_price = |usd: f64| (0.0..=MOST_USD).contains(&usd);
            let is_ascending = price.tiers.windows(2).all(|pair| pair[0].above < pair[1].above);
            let begins = price.tiers.first().is_some_and(|tier| tier.above == 0.0);
            if !begins || !is_ascending || !price.tiers.iter().all(|tier| is_price(tier.usd) && tier.above.is_finite())
            {
                return Err(format!(
                    "{name}: `tiers` must begin above 0, ascend, and have prices of 0 to {MOST_USD} USD"
                ));
            }
            let unit = &known.iter().find(|(known, _)| *known == name).expect("the same entries").1.unit;
            if price.unit != *unit {
                return Err(format!("{name}: `unit` is `{}`, and quantities are reckoned in `{unit}`", price.unit));
            }
            if [&price.what, &price.source, &price.read].iter().any(|text| text.chars().any(char::is_control)) {
                return Err(format!("{name}: a control character is in its words"));
            }
        }
        let FreeTier { lambda_gb_s, lambda_request, state_transition } = prices.free_tier;
        if ![lambda_gb_s, lambda_request, state_transition].iter().all(|units| units.is_finite() && *units >= 0.0) {
            return Err("free_tier: quantities of 0 or more are expected".to_owned());
        }
        Ok(prices)
    }

    /// Lambda's price of memory × time.
    pub fn lambda(&self, architecture: Architecture) -> &Price {
        match architecture {
            Architecture::X86 => &self.lambda_x86_64,
            Architecture::Arm => &self.lambda_arm64,
        }
    }

    fn entries(&self) -> [(&'static str, &Price); 9] {
        [
            ("lambda_x86_64", &self.lambda_x86_64),
            ("lambda_arm64", &self.lambda_arm64),
            ("lambda_ephemeral", &self.lambda_ephemeral),
            ("lambda_request", &self.lambda_request),
            ("state_transition", &self.state_transition),
            ("s3_put", &self.s3_put),
            ("s3_get", &self.s3_get),
            ("local_hour", &self.local_hour),
            ("slurm_core_hour", &self.slurm_core_hour),
        ]
    }
}

impl Default for Prices {
    fn default() -> Self {
        Self::parse(DEFAULT).expect("the table in this program is tested")
    }
}

impl Price {
    /// What a quantity costs, in USD.
    pub fn of(&self, quantity: f64) -> f64 {
        let ends = self.tiers.iter().skip(1).map(|tier| tier.above).chain([f64::INFINITY]);
        self.tiers.iter().zip(ends).map(|(tier, end)| (quantity.min(end) - tier.above).max(0.0) * tier.usd).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_table_is_the_published_one() {
        let prices = Prices::default();
        assert_eq!(prices.lambda_x86_64.of(1.0), 0.0000166667);
        assert_eq!(prices.lambda(Architecture::Arm).of(3.0), 3.0 * 0.0000133334);
        assert_eq!(prices.state_transition.of(1_000.0), 0.025);
        assert!((prices.lambda_request.of(1e6) - 0.2).abs() < 1e-12);
    }

    #[test]
    fn each_tier_charges_what_lies_in_it() {
        let price = &Prices::default().lambda_x86_64;
        let expected = 6e9 * 0.0000166667 + 9e9 * 0.000015 + 1e9 * 0.0000133334;
        assert!((price.of(16e9) / expected - 1.0).abs() < 1e-12);
        assert_eq!(price.of(0.0), 0.0);
    }

    #[test]
    fn a_wrong_table_is_refused_by_entry() {
        let wrong = |from: &str, to: &str| {
            assert!(DEFAULT.contains(from));
            Prices::parse(&DEFAULT.replace(from, to)).unwrap_err()
        };
        assert!(wrong("format_version = 1", "format_version = 2").contains("format_version 2"));
        assert!(wrong("usd = 0.0000002", "usd = -1").contains("lambda_request"));
        assert!(wrong("usd = 0.0000002", "usd = nan").contains("lambda_request"));
        assert!(wrong("usd = 0.0000002", "usd = 1e308").contains("lambda_request"));
        assert!(wrong("unit = \"request\"", "unit = \"million\"").contains("`request`"));
        assert!(wrong("name = \"AWS", "name = \"\\u001b[31mAWS").contains("control character"));
        assert!(wrong("above = 15_000_000_000", "above = 1").contains("lambda_x86_64"));
        assert!(wrong("[s3_get]", "[s3_gets]").contains("s3_gets"));
        assert!(wrong("lambda_gb_s = 400_000", "lambda_gb_s = -1").contains("free_tier"));
    }
}
