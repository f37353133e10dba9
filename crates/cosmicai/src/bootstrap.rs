//! Program of the Lambda functions: the processor and the libc that it needs, and its zip for Lambda.

use std::fmt;
use std::io::{Cursor, Read, Write};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// Name of the program that Lambda starts.
const NAME: &str = "bootstrap";
/// Version of libc in provided.al2023.
const GLIBC_MAX: (u32, u32) = (2, 34);
/// Prefix of the version of a libc symbol.
const GLIBC: &[u8] = b"GLIBC_";
/// First bytes of a 64-bit little-endian ELF file.
const ELF_64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
/// Position of the processor in an ELF file.
const ELF_MACHINE: std::ops::Range<usize> = 18..20;

/// Processor architectures of Lambda, with its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Architecture {
    /// Intel and AMD.
    #[serde(rename = "x86_64")]
    X86_64,
    /// Graviton.
    #[serde(rename = "arm64")]
    Arm64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}

/// Requirements of a program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Requirements {
    pub(crate) architecture: Architecture,
    /// Newest version of libc that the program names; `None` if it names none.
    pub(crate) glibc: Option<String>,
}

/// Finds the requirements of a program.
///
/// # Errors
/// The file is not a program for Lambda, or it needs a newer libc than Lambda has and would fail to start there.
pub(crate) fn inspect(program: &[u8]) -> Result<Requirements> {
    if !program.starts_with(ELF_64_LITTLE) {
        bail!("not a program for 64-bit Linux");
    }
    let architecture = match program.get(ELF_MACHINE).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]])) {
        Some(62) => Architecture::X86_64,
        Some(183) => Architecture::Arm64,
        other => bail!("a program for another processor ({other:?}); expected x86_64 or arm64"),
    };
    let glibc = versions(program).max();
    if let Some(found) = glibc.filter(|found| *found > GLIBC_MAX) {
        bail!(
            "needs glibc {}.{}, but Lambda (provided.al2023) has {}.{}; build it with cargo-lambda",
            found.0,
            found.1,
            GLIBC_MAX.0,
            GLIBC_MAX.1
        );
    }
    Ok(Requirements { architecture, glibc: glibc.map(|(major, minor)| format!("{major}.{minor}")) })
}

/// Versions in all `GLIBC_major.minor` of a program.
fn versions(program: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    program.windows(GLIBC.len()).enumerate().filter(|(_, window)| *window == GLIBC).filter_map(|(at, _)| {
        let rest = &program[at + GLIBC.len()..];
        let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
        let mut numbers = std::str::from_utf8(&rest[..end]).ok()?.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

/// Zips a program for Lambda. The same program always gives the same bytes.
pub(crate) fn zip(program: &[u8]) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        .last_modified_time(DateTime::default())
        .unix_permissions(0o755);
    zip.start_file(NAME, options)?;
    zip.write_all(program)?;
    Ok(zip.finish()?.into_inner())
}

/// Returns the program: from the zip, if `content` is one, otherwise `content` itself.
pub(crate) fn unzip(content: Vec<u8>, limit: u64) -> Result<Vec<u8>> {
    if !content.starts_with(b"PK") {
        return Ok(content);
    }
    let mut archive = ZipArchive::new(Cursor::new(content)).context("a broken zip")?;
    let entry = archive.by_name(NAME).context("a zip without `bootstrap`")?;
    let mut program = Vec::new();
    entry.take(limit + 1).read_to_end(&mut program).context("a broken zip")?;
    if program.len() as u64 > limit {
        bail!("more than {limit} bytes unpacked");
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn program(machine: u16, words: &str) -> Vec<u8> {
        let mut program = ELF_64_LITTLE.to_vec();
        program.resize(ELF_MACHINE.start, 0);
        program.extend(machine.to_le_bytes());
        program.extend(words.as_bytes());
        program.push(0);
        program
    }

    #[test]
    fn finds_processor_and_libc_of_a_program() {
        let needs = inspect(&program(62, "GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_PRIVATE")).unwrap();
        assert_eq!((needs.architecture, needs.glibc.as_deref()), (Architecture::X86_64, Some("2.34")));
        assert_eq!(
            inspect(&program(183, "")).unwrap(),
            Requirements { architecture: Architecture::Arm64, glibc: None }
        );
        let error = |program: &[u8]| inspect(program).unwrap_err().to_string();
        assert!(error(&program(62, "GLIBC_2.4\0GLIBC_2.36")).contains("needs glibc 2.36, but Lambda"));
        assert!(error(&program(8, "")).contains("another processor"));
        assert!(error(b"#!/bin/sh").contains("not a program"));
        assert!(error(ELF_64_LITTLE).contains("another processor"));
    }

    #[test]
    fn zip_is_reproducible_and_unzips() {
        let program = program(62, &"x".repeat(1_000));
        let packed = zip(&program).unwrap();
        assert_eq!(packed, zip(&program).unwrap());
        assert_eq!(unzip(packed.clone(), 2_000).unwrap(), program);
        assert_eq!(unzip(program.clone(), 2_000).unwrap(), program);
        assert!(unzip(packed.clone(), 100).unwrap_err().to_string().contains("more than 100 bytes"));
        assert!(unzip(packed[..40].to_vec(), 2_000).unwrap_err().to_string().contains("broken"));
        let mut archive = ZipArchive::new(Cursor::new(packed)).unwrap();
        assert_eq!(archive.by_index(0).unwrap().unix_mode().unwrap() & 0o777, 0o755);
    }

    proptest! {
        #[test]
        fn never_panics_on_any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(inspect(&bytes));
            bytes.splice(..0, *b"PK\x03\x04");
            drop(unzip(bytes, 1_000));
        }
    }
}
