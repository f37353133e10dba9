//! `cosmicai ingest --size`: a folder of partitions, each complete or not there.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use pipeline::storage::Stores;
use serde_json::{Value, json};
use sources::ingest::{IngestRequest, Ingested, IngestedParts, PartFolder, ingest_parts};
use tokio::runtime::Handle;

use super::{warnings, with_numbers, write_objects};
use crate::counting_bar::counting_bar;
use crate::new_file::NewFile;
use crate::printer::{count, grouped};

/// Folder on this machine.
struct Folder {
    stores: Stores,
    runtime: Handle,
    path: PathBuf,
    url: String,
    resumes: bool,
}

impl PartFolder for Folder {
    type File = NewFile;

    fn url(&self) -> &str {
        &self.url
    }

    fn resumes(&self) -> bool {
        self.resumes
    }

    fn create(&mut self, number: usize) -> io::Result<NewFile> {
        NewFile::create(&self.path.join(format!("{number}.pt"))).map_err(io::Error::other)
    }

    fn keep(&mut self, number: usize, file: NewFile, ingested: &Ingested) -> io::Result<()> {
        let out = self.path.join(format!("{number}.pt"));
        let objects = write_objects(&self.stores, ingested, &file, &out);
        self.runtime.block_on(objects).and_then(|_| file.keep()).map_err(io::Error::other)
    }
}

/// Writes partitions of `size` bytes to the folder `out`.
pub(super) async fn write(
    stores: &Stores,
    request: IngestRequest,
    size: u64,
    out: PathBuf,
    resumes: bool,
) -> Result<IngestedParts> {
    let url = out.to_str().context("--out: expected a path in UTF-8")?.to_owned();
    if url.contains("://") {
        bail!("--out `{url}`: expected a folder on this machine; copy it to object storage afterwards");
    }
    if url.ends_with(".pt") || out.is_file() {
        bail!("--out `{url}`: with `--size`, expected a folder");
    }
    std::fs::create_dir_all(&out).with_context(|| format!("create folder `{url}`"))?;
    if resumes {
        remove_unfinished(&out).with_context(|| format!("delete unfinished files in `{url}`"))?;
    }
    let (stores, runtime) = (stores.clone(), Handle::current());
    let bar = counting_bar("galaxies", 0);
    let shown = bar.clone();
    let making = tokio::task::spawn_blocking(move || {
        let mut folder = Folder { stores: stores.clone(), runtime: runtime.clone(), path: out, url, resumes };
        ingest_parts(&runtime, &stores, &request, size, &mut folder, &mut |done, total| {
            shown.set_length(total as u64);
            shown.set_position(done as u64);
        })
    });
    let made = making.await;
    bar.finish_and_clear();
    Ok(made.context("ingest: this is a bug, please report it")??)
}

/// Deletes the temporary files that an ingest leaves behind if it is killed.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let is_unfinished = name.to_str().is_some_and(|name| {
            let number = name.strip_prefix('.').and_then(|name| name.split_once(".pt."));
            number.is_some_and(|(number, rest)| number.parse::<usize>().is_ok() && rest.ends_with(".part"))
        });
        if is_unfinished {
            std::fs::remove_file(folder.join(name))?;
        }
    }
    Ok(())
}

pub(super) fn report(parts: &IngestedParts, out: &str, seconds: f64) -> Value {
    let IngestedParts { written, kept, total } = parts;
    let objects = total.objects.is_some();
    let report = json!({"out": out, "objects": objects, "partitions_written": written, "partitions_kept": kept});
    with_numbers(report, total, seconds)
}

pub(super) fn human(parts: &IngestedParts, out: &str, seconds: f64) -> String {
    let IngestedParts { written, kept, total } = parts;
    let galaxies = grouped(total.samples as u64);
    let mut text = format!(
        "{out}: {galaxies} galaxies of 5×{}×{}, {} written in {seconds:.1} s",
        total.height,
        total.width,
        count(*written, "partition")
    );
    if *kept > 0 {
        text += &format!(", {kept} kept");
    }
    if total.objects.is_some() {
        text += "; identifiers and positions beside each";
    }
    text += "\n";
    for warning in warnings(total) {
        text += &(warning + "\n");
    }
    text
}
