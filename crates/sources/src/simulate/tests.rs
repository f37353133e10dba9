use super::*;

fn sky(count: usize, seed: u64, image_size: usize) -> Sky<'static> {
    Sky { galaxies: Galaxies::Drawn(count, Sample::Main), seed, image_size }
}

fn simulate(count: usize, seed: u64, threads: usize) -> Vec<u8> {
    write_partition(sky(count, seed, 32), NonZeroUsize::new(threads).unwrap(), Vec::new(), |_| {}).unwrap()
}

fn draw(sky: Sky<'_>) -> (Vec<Galaxy>, Vec<f32>) {
    let count = sky.galaxies.count();
    let mut images = vec![0.0; count * BANDS * sky.image_size * sky.image_size];
    (Renderer::new(sky).draw(0..count, NonZeroUsize::new(2).unwrap(), &mut images), images)
}

#[test]
fn same_seed_gives_same_bytes_on_any_number_of_threads() {
    let once = simulate(300, 5, 1);
    assert_eq!(once, simulate(300, 5, 2));
    assert_eq!(once, simulate(300, 5, 7));
    assert_ne!(once, simulate(300, 6, 1));
}

#[test]
fn galaxy_does_not_depend_on_the_number_of_galaxies() {
    let ((few, few_images), (many, many_images)) = (draw(sky(3, 9, 32)), draw(sky(10, 9, 32)));
    assert_eq!(few[..], many[..3]);
    assert_eq!(few_images, many_images[..few_images.len()]);
}

#[test]
fn light_of_an_image_agrees_with_the_magnitude() {
    let (galaxies, images) = draw(sky(200, 1, 64));
    let pixels = 64 * 64;
    let mut ratios: Vec<f64> = galaxies
        .iter()
        .zip(images.chunks_exact(BANDS * pixels))
        .map(|(galaxy, image)| {
            let r = &image[2 * pixels..3 * pixels];
            r.iter().map(|x| f64::from(*x)).sum::<f64>() / 10f64.powf(0.4 * (22.5 - galaxy.magnitudes[2]))
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    // Light outside a 25″ cutout, dust of our Galaxy, neighbours and noise make the ratio of one galaxy differ from 1.
    assert!((0.85..1.1).contains(&ratios[100]), "median ratio {}", ratios[100]);
}

#[test]
fn known_galaxies_keep_their_magnitudes_and_redshifts() {
    let known: Vec<Known> =
        draw(sky(50, 3, 32)).0.iter().map(|galaxy| Known::new(galaxy.magnitudes, galaxy.redshift).unwrap()).collect();
    let (galaxies, images) = draw(Sky { galaxies: Galaxies::Known(&known), seed: 4, image_size: 32 });
    for (galaxy, known) in galaxies.iter().zip(&known) {
        assert_eq!((galaxy.magnitudes, galaxy.redshift), (known.magnitudes, known.redshift));
    }
    assert!(images.iter().all(|pixel| pixel.is_finite()));
}

#[test]
fn rejects_galaxies_out_of_range_and_draws_extreme_ones() {
    for (magnitudes, redshift) in [([17.0; 5], 1e-4), ([22.0; 5], 1.0), ([30.0, 10.0, 25.0, 5.0, 30.0], 0.1)] {
        let extreme = [Known::new(magnitudes, redshift).unwrap()];
        let (_, images) = draw(Sky { galaxies: Galaxies::Known(&extreme), seed: 4, image_size: 32 });
        assert!(images.iter().all(|pixel| pixel.is_finite()), "{extreme:?}");
    }
    let error = |magnitudes, redshift| Known::new(magnitudes, redshift).unwrap_err().to_string();
    assert_eq!(error([17.0, 17.0, -9999.0, 17.0, 17.0], 0.1), "r: expected 5 to 30, found -9999");
    assert_eq!(error([f64::NAN; 5], 0.1), "u: expected 5 to 30, found NaN");
    assert_eq!(error([17.0; 5], 0.0), "redshift: expected 0.0001 to 1, found 0");
}
