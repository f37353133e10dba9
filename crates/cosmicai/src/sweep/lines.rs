//! File of a sweep's measured runs: one line of JSON for each run, in the order in which they were measured.
//!
//! The sweep only appends complete lines, and syncs each to disk before the next run starts. The operating system locks
//! the file while a sweep writes it, so a killed process leaves no lock. Files of other sweeps or of other content are
//! not changed.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use records::sweep::SweepPoint;

use super::points::{Repeat, Sweep};

/// Largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The locked file and its content.
pub(crate) struct Lines {
    file: File,
    path: PathBuf,
    /// Measured runs, in the order of the lines.
    pub(crate) measured: Vec<SweepPoint>,
    /// Number of bytes of an incomplete last line that were cut off.
    pub(crate) cut: usize,
}

impl Lines {
    /// Opens or creates the file. With `overwrite`, deletes the lines of any sweep in it.
    pub(crate) fn open(path: &Path, sweep: &Sweep, overwrite: bool) -> Result<Lines> {
        let shown = path.display();
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = file.with_context(|| format!("open `{shown}`"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another sweep is writing `{shown}`; wait until it ends, or choose another `name` and --out")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| {
                    format!(
                        "cannot lock `{shown}`, so another sweep could write it; choose an --out on a file system \
                        with locks"
                    )
                });
            }
        }
        let bytes = read(&file, path)?;
        let mut lines = Lines { file, path: path.to_owned(), measured: Vec::new(), cut: 0 };
        if overwrite {
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            // A sweep that was killed while it wrote its first line leaves the beginning of that line.
            let is_torn = !bytes.contains(&b'\n') && bytes.starts_with(b"{\"format_version\":");
            let is_ours = bytes.is_empty() || is_torn || SweepPoint::parse(first).is_ok();
            ensure!(
                is_ours,
                "--overwrite: the first line of `{shown}` is not a line of a sweep; the file was not changed"
            );
            lines.truncate(0)?;
            return Ok(lines);
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        lines.measured = parse(&bytes[..whole], path, sweep)?;
        lines.cut = bytes.len() - whole;
        if lines.cut > 0 {
            lines.truncate(whole as u64)?;
        }
        Ok(lines)
    }

    /// Reads the measured runs without locking or changing the file.
    pub(crate) fn peek(path: &Path, sweep: &Sweep) -> Result<Vec<SweepPoint>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.with_context(|| format!("open `{}`", path.display()))?,
        };
        let bytes = read(&file, path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        parse(&bytes[..whole], path, sweep)
    }

    /// Appends a line and syncs it to disk.
    pub(crate) fn append(&mut self, point: SweepPoint) -> Result<()> {
        let mut line = serde_json::to_vec(&point)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("append a line to `{}`", self.path.display()))?;
        self.measured.push(point);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> Result<()> {
        let cut = self.file.set_len(bytes).and_then(|()| self.file.sync_data());
        cut.with_context(|| format!("truncate `{}` to {bytes} bytes", self.path.display()))
    }
}

fn read(file: &File, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).with_context(|| format!("read `{}`", path.display()))?;
    let shown = path.display();
    ensure!(
        bytes.len() as u64 <= MAX_FILE_BYTES,
        "`{shown}` has more than {MAX_FILE_BYTES} bytes, so it is not the file of a sweep"
    );
    Ok(bytes)
}

/// Parses complete lines, and checks that all are of this sweep and none is there twice.
fn parse(bytes: &[u8], path: &Path, sweep: &Sweep) -> Result<Vec<SweepPoint>> {
    let mut seen = HashSet::new();
    let lines = bytes.strip_suffix(b"\n").map_or_else(Vec::new, |all| all.split(|byte| *byte == b'\n').collect());
    let points = lines.into_iter().enumerate().map(|(index, line)| {
        let place = format!("`{}`, line {}", path.display(), index + 1);
        let point = SweepPoint::parse(line)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{place}: not a line of a sweep; choose another --out"))?;
        ensure!(
            point.sweep_sha256 == sweep.sha256,
            "{place} is of sweep `{}` with another definition, --scale or --state-machine; choose another `name` and \
             --out, or pass --overwrite to delete all lines",
            point.sweep
        );
        let run = Repeat::of(&point);
        let is_known = run.point < sweep.points.len() && (1..=sweep.repeats).contains(&run.repeat);
        ensure!(is_known, "{place}: the sweep has no repeat {} of point {}; was it edited?", run.repeat, run.point);
        ensure!(seen.insert(run), "{place}: repeat {} of point {} is there twice", run.repeat, run.point);
        Ok(point)
    });
    points.collect()
}
