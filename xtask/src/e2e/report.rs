//! The results of all checks, and whether they are good.

use std::fmt::Write as _;

use anyhow::{Result, bail};

/// One thing that was compared.
#[derive(Debug)]
struct Row {
    scenario: String,
    core: String,
    check: String,
    /// What was seen, or everything that is wrong.
    result: Result<String, Vec<String>>,
}

/// All results, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

/// Differences listed of one check; the rest is counted.
const SHOWN: usize = 8;

impl Report {
    /// Adds a result; what is wrong is told at once.
    pub(crate) fn add(
        &mut self,
        scenario: &str,
        core: &str,
        check: &str,
        result: Result<String, Vec<String>>,
    ) {
        let text = match &result {
            Ok(seen) => format!("ok: {seen}"),
            Err(wrong) => format!("WRONG: {}", wrong.first().map_or("", String::as_str)),
        };
        eprintln!("e2e: {scenario}: {core}: {check}: {text}");
        let (scenario, core, check) = (scenario.to_owned(), core.to_owned(), check.to_owned());
        self.rows.push(Row { scenario, core, check, result });
    }

    /// The table, and below it what is wrong.
    pub(crate) fn table(&self) -> String {
        let widths = self.rows.iter().fold([8, 4, 5], |[a, b, c], row| {
            [a.max(row.scenario.len()), b.max(row.core.len()), c.max(row.check.len())]
        });
        let [a, b, c] = widths;
        let mut table = format!("{:a$}  {:b$}  {:c$}  result\n", "scenario", "core", "check");
        for row in &self.rows {
            let result = match &row.result {
                Ok(seen) => seen.clone(),
                Err(wrong) => format!("WRONG ({})", wrong.len()),
            };
            let _ = writeln!(table, "{:a$}  {:b$}  {:c$}  {result}", row.scenario, row.core, row.check);
        }
        for row in &self.rows {
            let Err(wrong) = &row.result else { continue };
            let _ = writeln!(table, "\n{}, {}, {}:", row.scenario, row.core, row.check);
            for line in wrong.iter().take(SHOWN) {
                let _ = writeln!(table, "  {line}");
            }
            if wrong.len() > SHOWN {
                let _ = writeln!(table, "  and {} more", wrong.len() - SHOWN);
            }
        }
        table
    }

    /// Fails if any check did, or if there was none.
    pub(crate) fn verdict(&self) -> Result<()> {
        let failed = self.rows.iter().filter(|row| row.result.is_err()).count();
        if failed > 0 || self.rows.is_empty() {
            bail!("{failed} of {} checks failed", self.rows.len());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_result_is_listed_and_fails() {
        let mut report = Report::default();
        assert!(report.verdict().is_err(), "nothing was checked");
        report.add("frozen", "elf", "extract", Ok("3 packets equal".into()));
        assert!(report.verdict().is_ok());
        report.add("frozen", "elf", "join", Err((0..10).map(|n| format!("packet {n} is missing")).collect()));
        let table = report.table();
        assert!(table.contains("frozen    elf   extract  3 packets equal"), "{table}");
        assert!(table.contains("packet 7 is missing\n  and 2 more"), "{table}");
        assert_eq!(report.verdict().unwrap_err().to_string(), "1 of 2 checks failed");
    }
}
