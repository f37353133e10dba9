//! The file that a sweep writes: a line of JSON for each measured run, in the order in which they were measured.
//!
//! A line is only ever added, whole, and forced to the disk before the next run begins. The file is locked as long as a
//! sweep writes it, by the system, so that a process that was killed leaves no lock. Lines of another sweep, and files
//! that hold something else, are left alone.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use pipeline::sweep::SweepPoint;

use super::points::{Repeat, Sweep};

/// The largest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// The file, locked, and what is in it.
pub(super) struct Lines {
    file: File,
    path: PathBuf,
    /// What was measured, in the order of the lines.
    pub(super) measured: Vec<SweepPoint>,
    /// Bytes of a last line without its end, which were cut off.
    pub(super) cut: usize,
}

impl Lines {
    /// Opens or creates the file; with `overwrite` the lines of a sweep in it, whichever, are deleted.
    pub(super) fn open(path: &Path, sweep: &Sweep, overwrite: bool) -> Result<Lines> {
        let shown = path.display();
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(path);
        let file = file.with_context(|| format!("open `{shown}`"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("`{shown}` is being written by another sweep; wait for its end, or give another `name` and --out")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| {
                    format!("lock `{shown}`, so that no other sweep writes it; where a file system has no locks, give another --out")
                });
            }
        }
        let bytes = read(&file, path)?;
        let mut lines = Lines { file, path: path.to_owned(), measured: Vec::new(), cut: 0 };
        if overwrite {
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            // A sweep that was killed within its first line leaves the beginning of one.
            let is_torn = !bytes.contains(&b'\n') && bytes.starts_with(b"{\"format_version\":");
            let is_ours = bytes.is_empty() || is_torn || SweepPoint::parse(first).is_ok();
            ensure!(is_ours, "--overwrite: the first line of `{shown}` is no line of a sweep; the file was left alone");
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

    /// What a sweep has measured so far, by a file that is only read.
    pub(super) fn peek(path: &Path, sweep: &Sweep) -> Result<Vec<SweepPoint>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            file => file.with_context(|| format!("open `{}`", path.display()))?,
        };
        let bytes = read(&file, path)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        parse(&bytes[..whole], path, sweep)
    }

    /// Adds a line; it is on the disk when this returns.
    pub(super) fn append(&mut self, point: SweepPoint) -> Result<()> {
        let mut line = serde_json::to_vec(&point)?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("add a line to `{}`", self.path.display()))?;
        self.measured.push(point);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> Result<()> {
        let cut = self.file.set_len(bytes).and_then(|()| self.file.sync_data());
        cut.with_context(|| format!("cut `{}` to {bytes} bytes", self.path.display()))
    }
}

fn read(file: &File, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_FILE_BYTES + 1);
    limited.read_to_end(&mut bytes).with_context(|| format!("read `{}`", path.display()))?;
    let shown = path.display();
    ensure!(
        bytes.len() as u64 <= MAX_FILE_BYTES,
        "`{shown}` has more than {MAX_FILE_BYTES} bytes: not the lines of a sweep"
    );
    Ok(bytes)
}

/// The points of whole lines, all of this sweep and none twice.
fn parse(bytes: &[u8], path: &Path, sweep: &Sweep) -> Result<Vec<SweepPoint>> {
    let mut seen = HashSet::new();
    let lines = bytes.strip_suffix(b"\n").map_or_else(Vec::new, |all| all.split(|byte| *byte == b'\n').collect());
    let points = lines.into_iter().enumerate().map(|(index, line)| {
        let place = format!("`{}`, line {}", path.display(), index + 1);
        let point = SweepPoint::parse(line)
            .map_err(anyhow::Error::msg)
            .with_context(|| format!("{place}: not a line of a sweep; give another --out"))?;
        ensure!(
            point.sweep_sha256 == sweep.sha256,
            "{place}: of sweep `{}` as it was defined then, which is not what is asked for now (another definition, --scale \
             or --state-machine); give another `name` and --out, or --overwrite deletes all lines",
            point.sweep
        );
        let run = Repeat::of(&point);
        let is_known = run.point < sweep.points.len() && (1..=sweep.repeats).contains(&run.repeat);
        ensure!(is_known, "{place}: there is no repeat {} of point {}; was the file changed by hand?", run.repeat, run.point);
        ensure!(seen.insert(run), "{place}: repeat {} of point {} is there twice", run.repeat, run.point);
        Ok(point)
    });
    points.collect()
}
