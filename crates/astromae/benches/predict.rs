//! Images/s of the engine alone: `cargo bench -p astromae -- [MODEL] [--batch N] [--threads N] [--seconds S]`.
//!
//! Without a model, seeded full-size weights. Prints one line of JSON: images per second, GFLOP/s, the multiply-add
//! peak of as many threads measured just before, and the percentage of it. The first image's answer is checked against
//! the float64 reference before anything is timed.

#![expect(clippy::print_stdout, reason = "what a benchmark measures is its output")]

use std::time::Instant;

use astromae::checkpoint::Checkpoint;
use astromae::init::{Sizes, seeded};
use astromae::{Isa, Model, Precision, reference};

/// Floating-point operations of one image through the full-size model: twice its multiply-adds.
const FLOP_PER_IMAGE: f64 = 0.22e9;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let option = |name: &str, default: usize| {
        let at = arguments.iter().position(|argument| argument == name);
        at.map_or(default, |at| arguments[at + 1].parse().expect("a number after the option"))
    };
    let (batch, threads, seconds) = (option("--batch", 256), option("--threads", 1), option("--seconds", 5));
    let bytes = match arguments.first().filter(|first| !first.starts_with("--")) {
        Some(path) => std::fs::read(path).expect("the model file is readable"),
        None => seeded(&Sizes::full(), 1),
    };
    let isa = std::env::var("COSMICAI_ISA").map_or_else(|_| Isa::detect(), |name| name.parse().expect("an ISA here"));
    let model = Model::from_bytes(&bytes, None, Precision::F32, isa).expect("a model");
    let pixels = model.bands() * model.image_size().pow(2);
    let images: Vec<f32> = (0..batch * pixels).map(|i| ((i * 7919) % 1000) as f32 / 500.0 - 1.0).collect();
    let magnitudes: Vec<f32> = (0..batch * model.bands()).map(|i| 15.0 + (i * 37 % 70) as f32 / 10.0).collect();

    let mut first = [f32::NAN];
    model.predict(&images[..pixels], &magnitudes[..model.bands()], &mut model.scratch(), &mut first);
    let checkpoint = Checkpoint::read(&bytes).expect("a model");
    let exact = reference::predict(&checkpoint, &images[..pixels], &magnitudes[..model.bands()], &mut |_, _| {});
    let exact = exact.expect("a model")[0];
    let error = (f64::from(first[0]) / exact - 1.0).abs();
    assert!(error <= 1e-5, "{} instead of {exact}", first[0]);

    let peak = on_threads(threads, || {
        let start = Instant::now();
        let operations = kernels::multiply_adds(isa, kernels::Arithmetic::F32, 4_000_000);
        operations / start.elapsed().as_secs_f64() / 1e9
    });
    let rate = on_threads(threads, || {
        let mut scratch = model.scratch();
        let mut redshift = vec![0.0; batch];
        model.predict(&images, &magnitudes, &mut scratch, &mut redshift);
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed().as_secs() < seconds as u64 {
            model.predict(&images, &magnitudes, &mut scratch, &mut redshift);
            done += batch;
        }
        done as f64 / start.elapsed().as_secs_f64()
    });
    let gflop_per_s = rate * FLOP_PER_IMAGE / 1e9;
    println!(
        "{{\"isa\": \"{isa}\", \"precision\": \"f32\", \"threads\": {threads}, \"batch\": {batch}, \
         \"images_per_s\": {rate:.1}, \"gflop_per_s\": {gflop_per_s:.1}, \"peak_gflop_per_s\": {peak:.1}, \
         \"percent_of_peak\": {:.1}, \"relative_error\": {error:.1e}}}",
        100.0 * gflop_per_s / peak
    );
}

/// The sum of what each thread measures, all running at once.
fn on_threads(threads: usize, measure: impl Fn() -> f64 + Sync) -> f64 {
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(&measure)).collect();
        handles.into_iter().map(|handle| handle.join().expect("a thread that measured")).sum()
    })
}
