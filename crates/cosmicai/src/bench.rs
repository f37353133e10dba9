//! Benchmark of the engine on this machine.
//!
//! This process makes the model and the galaxies, checks the predictions, and starts child processes of this program:
//! one for each precision, so that each has its own peak memory, and several that predict a single galaxy.
//! docs/reference/benchmarking.md defines each number.

mod answers;
pub(crate) mod calibration;
mod children;
mod interleaved;
mod median;
pub(crate) mod one_precision;
mod profile;
mod request;
pub(crate) mod tables;
mod workload;

use anyhow::{Context, Result};
use astromae::Precision;
use pipeline::event::now;
use pipeline::model_file::ModelFile;
use records::benchmark::Benchmark;

use crate::printer::Printer;
use crate::settings::Settings;
pub(crate) use request::BenchRequest;
use request::empty_record;
use workload::{ModelInputs, Workload, open};

/// Makes the workload, checks the predictions, and measures in child processes.
pub(crate) async fn measure(request: &mut BenchRequest, settings: &Settings, printer: &Printer) -> Result<Benchmark> {
    let (created, isa) = (now(), request.isa);
    printer.tell("making the model and the galaxies, and comparing predictions with float64");
    let workload = Workload::make(request.model.as_deref(), settings)?;
    let file = ModelFile::of_url(&settings.stores(".").await?, &workload.model).await?;
    let (model, checks) = {
        let reference_model = answers::ReferenceModel::new(&file, &workload, isa).await?;
        let galaxies = request.batch.iter().copied().max().map_or(answers::GALAXIES, usize::from);
        workload.simulate(galaxies.max(answers::GALAXIES), reference_model.image_size())?;
        let inputs = ModelInputs::read(&open(settings, &workload.galaxies).await?, answers::GALAXIES).await?;
        (reference_model.model(), reference_model.check(&inputs, &request.precision, printer)?)
    };
    let ran = |precision: &Precision| checks.iter().any(|check| check.precision == precision.to_string());
    request.precision.retain(ran);

    let program = settings.program().context("start this program again to measure it")?;
    let child = children::Child { program, workload: &workload, isa, settings };
    let mut benchmark = empty_record(request, model, created, settings);
    benchmark.checks = checks;
    // The user chooses which precision comes first.
    benchmark.first_result_ms = Some(child.first_result_ms(request.precision[0])?);
    for precision in &request.precision {
        let count = request.threads.len() * request.batch.len();
        printer.tell(&format!("{precision}: {count} × {} s or more", request.seconds));
        benchmark.merge(child.measure(request, *precision)?);
    }
    Ok(benchmark)
}
