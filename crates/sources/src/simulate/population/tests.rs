use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::*;

fn members(sample: Sample, count: usize) -> Vec<Member> {
    let population = Population::new(sample);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..count).map(|_| population.draw(&mut rng)).collect()
}

#[test]
fn samples_keep_their_limits() {
    for sample in [Sample::Main, Sample::LuminousRed, Sample::Faint] {
        let (bright, faint) = sample.magnitudes();
        for member in members(sample, 2000) {
            assert!(REDSHIFTS.contains(&member.redshift), "{sample:?}: {member:?}");
            // Within a redshift cell the magnitude changes by less than 0.1, so galaxies may pass the limit by
            // that.
            assert!((bright - 0.1..faint + 0.1).contains(&member.magnitudes.0[R]), "{sample:?}: {member:?}");
            assert!(sample.selects(member.kind, member.redshift + 1e-3), "{sample:?}: {member:?}");
        }
    }
}

#[test]
fn main_sample_has_the_redshifts_of_the_survey() {
    let mut redshifts: Vec<f64> = members(Sample::Main, 4000).iter().map(|member| member.redshift).collect();
    redshifts.sort_by(f64::total_cmp);
    // Median redshift: 0.1 in the SDSS main sample (Strauss et al. 2002), 0.092 in the catalogue of the fit.
    assert!((0.085..0.11).contains(&redshifts[2000]), "median {}", redshifts[2000]);
    assert!((0.16..0.20).contains(&redshifts[3800]), "95th percentile {}", redshifts[3800]);
}

#[test]
fn classify_finds_the_type_of_drawn_galaxies() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let members = members(Sample::Main, 3000);
    let kept = members
        .iter()
        .filter(|member| Population::classify(member.magnitudes, member.redshift, &mut rng).kind == member.kind);
    let share = kept.count() as f64 / members.len() as f64;
    assert!(share > 0.7, "{share} of the types are classified correctly");
    assert!(members.iter().filter(|member| member.kind == Kind::Early).count() > 900);
}

#[test]
fn log_density_agrees_with_the_normal_distribution() {
    let mut lower = [[0.0; COLOURS]; COLOURS];
    (0..COLOURS).for_each(|c| lower[c][c] = 1.0);
    lower[1][0] = 1.0;
    let residual = [1.0, 1.0, 0.0, 2.0];
    // L⁻¹ (1, 1, 0, 2) = (1, 0, 0, 2).
    assert!((log_density(&lower, &residual) + 2.5).abs() < 1e-12);
}

#[test]
fn red_sequence_is_redder_in_g_minus_r_at_higher_redshift() {
    let track: Vec<f64> = (1..8).map(|i| Kind::Early.mean_colours(f64::from(i) * 0.05, -22.0)[1]).collect();
    assert!(track.windows(2).all(|pair| pair[0] < pair[1]), "{track:?}");
}
