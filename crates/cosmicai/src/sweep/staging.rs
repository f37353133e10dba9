//! Staging folder for files that several sweeps share: one process at a time makes them there, and moves them into
//! place when they are complete.
//!
//! The operating system holds the lock, so a killed process leaves no lock; the next process deletes its incomplete
//! files. An existing file is never replaced, because a run may be reading it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::printer::Printer;

/// Name of the lock file. It is never deleted, because another process may hold its lock.
const LOCK: &str = ".lock";
/// Name of the folder for incomplete files.
const MAKING: &str = ".making";
/// Time between two attempts to lock.
const TRY_AGAIN: Duration = Duration::from_millis(200);

/// Locked staging folder. Dropping it deletes the folder and all files that were not moved.
pub(crate) struct StagingFolder {
    making: PathBuf,
    /// The lock is released when this file is closed.
    _lock: File,
}

impl StagingFolder {
    /// Waits for the lock of a folder, and deletes incomplete files of a killed process.
    pub(crate) async fn enter(folder: &Path, printer: &Printer) -> Result<StagingFolder> {
        let making = folder.join(MAKING);
        std::fs::create_dir_all(folder).with_context(|| format!("create folder `{}`", folder.display()))?;
        let path = folder.join(LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let lock = lock.with_context(|| format!("open `{}`", path.display()))?;
        let mut is_reported = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    if !is_reported {
                        printer.tell(&format!("waiting for another sweep that makes files in `{}`", folder.display()));
                        is_reported = true;
                    }
                    tokio::time::sleep(TRY_AGAIN).await;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| {
                        format!(
                            "cannot lock `{}`, so another sweep could make the same files; on a file system without \
                             locks, use `cosmicai simulate` and `cosmicai split` instead of `simulate = true`",
                            path.display()
                        )
                    });
                }
            }
        }
        clear(&making)?;
        std::fs::create_dir(&making).with_context(|| format!("create folder `{}`", making.display()))?;
        Ok(StagingFolder { making, _lock: lock })
    }

    /// Path of a file in the staging folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.making.join(name)
    }

    /// Moves a complete file to `into`, unless that exists: files of the same seed are identical.
    pub(crate) fn move_into_place(&self, name: &str, into: &Path) -> Result<()> {
        if into.exists() {
            return Ok(());
        }
        let whole = self.path(name);
        std::fs::rename(&whole, into).with_context(|| format!("move `{}` to `{}`", whole.display(), into.display()))
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        // The lock is still held. Ignore an error here: the next process clears the folder and reports why it cannot.
        drop(clear(&self.making));
    }
}

fn clear(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("clear folder `{}`", folder.display()))
        }
        _ => Ok(()),
    }
}
