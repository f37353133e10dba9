use super::*;

#[test]
fn default_prices_are_the_published_ones() {
    let prices = Prices::default();
    assert_eq!(prices.lambda_x86_64.of(1.0), 0.0000166667);
    assert_eq!(prices.lambda(Architecture::Arm).of(3.0), 3.0 * 0.0000133334);
    assert_eq!(prices.state_transition.of(1_000.0), 0.025);
    assert!((prices.lambda_request.of(1e6) - 0.2).abs() < 1e-12);
}

#[test]
fn each_tier_charges_the_quantity_in_it() {
    let price = &Prices::default().lambda_x86_64;
    let expected = 6e9 * 0.0000166667 + 9e9 * 0.000015 + 1e9 * 0.0000133334;
    assert!((price.of(16e9) / expected - 1.0).abs() < 1e-12);
    assert_eq!(price.of(0.0), 0.0);
}

#[test]
fn rejects_invalid_table_and_names_the_entry() {
    let wrong = |from: &str, to: &str| {
        assert!(DEFAULT.contains(from));
        Prices::parse(&DEFAULT.replace(from, to)).unwrap_err().to_string()
    };
    assert!(wrong("format_version = 1", "format_version = 2").contains("format_version is 2"));
    assert!(wrong("usd = 0.0000002", "usd = -1").contains("lambda_request"));
    assert!(wrong("usd = 0.0000002", "usd = nan").contains("lambda_request"));
    assert!(wrong("usd = 0.0000002", "usd = 1e308").contains("lambda_request"));
    assert!(wrong("unit = \"request\"", "unit = \"million\"").contains("`request`"));
    assert!(wrong("name = \"AWS", "name = \"\\u001b[31mAWS").contains("control character"));
    assert!(wrong("above = 15_000_000_000", "above = 1").contains("lambda_x86_64"));
    assert!(wrong("[s3_get]", "[s3_gets]").contains("s3_gets"));
    assert!(wrong("lambda_gb_s = 400_000", "lambda_gb_s = -1").contains("free_tier"));
}

#[test]
fn table_without_accelerators_is_read() {
    let start = DEFAULT.find("[slurm_accelerator_hour]").unwrap();
    let end = DEFAULT.find("[free_tier]").unwrap();
    let earlier = [&DEFAULT[..start], &DEFAULT[end..]].concat();
    assert_eq!(Prices::parse(&earlier).unwrap(), Prices::default());
}

#[test]
fn free_entry_names_the_price_that_makes_runs_free() {
    let mut prices = Prices::default();
    (prices.local_hour.tiers[0].usd, prices.slurm_core_hour.tiers[0].usd) = (0.0, 0.0);
    let free = |prices: &Prices| {
        [ExecutorKind::Local, ExecutorKind::Workers, ExecutorKind::Slurm, ExecutorKind::StepFunctions]
            .map(|executor| prices.free_entry(executor))
    };
    assert_eq!(free(&prices), [Some("local_hour"), Some("local_hour"), Some("slurm_core_hour"), None]);
    (prices.local_hour.tiers[0].usd, prices.slurm_core_hour.tiers[0].usd) = (0.5, 0.02);
    assert_eq!(free(&prices), [None; 4]);
}
