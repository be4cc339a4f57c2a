//! One JSON document on standard output. Described in `docs/json.md`.

use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// Prints a document, indented, with a newline.
pub(crate) fn print(document: &impl Serialize) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, document)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
}
